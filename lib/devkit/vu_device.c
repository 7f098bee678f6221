/* SPDX-License-Identifier: Apache-2.0 */
/* The session of a vhost-user back end: messages against the tables, start, end; see vu_device.h. */
#include "lib/devkit/vu_internal.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static unsigned int state_of(const struct vu_device *d)
{
	if (vu_rings_any_armed(d))
		return VU_STATE_LIVE;
	return d->features_set ? VU_STATE_SET : VU_STATE_START;
}

static int refuse(struct vu_device *d, uint32_t request, const char *why)
{
	snprintf(d->why, sizeof(d->why), "vhost-user request %u %s", request, why);
	if (d->ret_why)
		*d->ret_why = d->why;
	return -EPROTO;
}

/* What did not even decode, or had no whole header: no valid one names request 0. */
static int refuse_message(struct vu_device *d, const struct vu_msg *m, int error)
{
	int r = refuse(d, m->request, error == -EOPNOTSUPP ? "is unknown" : "is malformed");

	if (error != -EOPNOTSUPP && !m->request)
		snprintf(d->why, sizeof(d->why), "no vhost-user message: a malformed header");
	return r;
}

int vu_blame(struct vu_device *d, const char *why)
{
	snprintf(d->why, sizeof(d->why), "vhost-user: %s", why);
	if (d->ret_why)
		*d->ret_why = d->why;
	return -EPROTO;
}

static uint64_t index_of(const struct vu_msg *m, enum vu_index_at at)
{
	switch (at) {
	case VU_IN_STATE:
		return m->state.index;
	case VU_IN_ADDR:
		return m->addr.index;
	case VU_IN_U64:
		return m->u64 & VU_VRING_IDX_MASK;
	}
	return UINT64_MAX;
}

static int handle_ring(struct vu_device *d, const struct vu_ring_rule *rule, const struct vu_msg *m,
		       int *fds, struct vu_msg *reply)
{
	uint64_t index = index_of(m, rule->index);

	if (!(rule->states & state_of(d)))
		return refuse(d, m->request, "out of order");
	if (index >= d->spec->n_queues)
		return refuse(d, m->request, "names a ring that is not there");
	if (d->queue[index].armed && !rule->armed)
		return refuse(d, m->request, "would change a ring in use");
	return rule->handle(&d->queue[index], m, fds, reply);
}

static int handle_session(struct vu_device *d, const struct vu_session_rule *rule,
			  const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	if (!(rule->states & state_of(d)))
		return refuse(d, m->request, "out of order");
	if (rule->protocol_feature >= 0 && !(d->protocol_features & BIT(rule->protocol_feature)))
		return refuse(d, m->request, "was not negotiated");
	return rule->handle(d, m, fds, reply);
}

static int dispatch(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	for (size_t i = 0; i < vu_n_session_rules; i++)
		if (vu_session_rules[i].request == m->request)
			return handle_session(d, &vu_session_rules[i], m, fds, reply);
	for (size_t i = 0; i < vu_n_ring_rules; i++)
		if (vu_ring_rules[i].request == m->request)
			return handle_ring(d, &vu_ring_rules[i], m, fds, reply);
	return refuse(d, m->request, "is unknown");
}

static int answer(struct vu_device *d, const struct vu_msg *m, struct vu_msg *reply)
{
	bool ack = m->need_reply && (d->protocol_features & BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK));
	int r;

	if (!ack && !vu_has_reply(m->request))
		return 0;
	reply->request = m->request;
	reply->reply = true;
	r = vu_send(d->sock, reply, &d->inflight.fd, vu_n_fds(reply));
	/* a front end that is gone is seen by the next receive */
	return r == -EPIPE ? 0 : r;
}

static int serve_message(struct vu_device *d, const struct vu_msg *m, int *fds)
{
	struct vu_msg reply = { 0 };
	int r;

	if (m->reply)
		return refuse(d, m->request, "is a reply");
	r = dispatch(d, m, fds, &reply);
	if (r == VU_LATER)
		return r;
	if (r == 0)
		r = vu_log_update(d);
	if (r == 0)
		r = vu_rings_update(d);
	if (r < 0)
		return d->why[0] ? r : refuse(d, m->request, "failed");
	return answer(d, m, &reply);
}

static void forget(struct vu_parked *p)
{
	fds_close(p->fds, p->n_fds);
	p->there = false;
}

/* Carries the request out, or puts it aside; owns its descriptors. */
static int serve_or_park(struct vu_device *d, struct vu_parked *p)
{
	int r = serve_message(d, &p->m, p->fds);

	if (r == VU_LATER) {
		d->parked = *p;
		d->parked.there = true;
		return 0;
	}
	forget(p);
	vu_rings_release(d);
	return r == 0 && d->ops->queue_lend ? vu_rings_update(d) : r; /* those that were held */
}

static unsigned int count_in_flight(struct vu_device *d)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->spec->n_queues; i++)
		if (d->queue[i].held)
			n += vu_ring_drain(&d->queue[i]);
	return n;
}

static void say_busy(struct vu_device *d, unsigned int n)
{
	if (n && d->busy)
		d->busy(d->busy_owner, n);
}

/* A request while another one waits. */
static int serve_meanwhile(struct vu_device *d, struct vu_parked *p)
{
	int r;

	if (p->m.request != VHOST_USER_GET_STATUS) {
		d->behind = *p;
		d->behind.there = true;
		loop_remove(d->loop, &d->channel);
		return 0;
	}
	say_busy(d, count_in_flight(d));
	r = serve_message(d, &p->m, p->fds);
	forget(p);
	return r < 0 ? r : vu_device_drained(d);
}

static int on_channel(struct loop_source *src, uint32_t events)
{
	struct vu_device *d = src->owner;
	struct vu_parked p = { .fds = { -1, -1, -1, -1, -1, -1, -1, -1 } };
	int r;

	(void)events;
	r = vu_recv(d->sock, &p.m, p.fds, &p.n_fds);
	if (r == -EAGAIN)
		return 0;
	if (r == 0) {
		vu_device_finish(d);
		return 0;
	}
	if (r < 0)
		return refuse_message(d, &p.m, r);
	return d->parked.there ? serve_meanwhile(d, &p) : serve_or_park(d, &p);
}

static int listen_again(struct vu_device *d)
{
	return d->channel.fd >= 0 ? 0 :
				    loop_add(d->loop, &d->channel, d->sock, EPOLLIN, on_channel, d);
}

int vu_device_drained(struct vu_device *d)
{
	if (d->finishing) {
		vu_device_finish(d);
		return 0;
	}
	if (!d->parked.there)
		return 0;
	while (d->parked.there) {
		struct vu_parked p = d->parked;
		int r;

		d->parked.there = false;
		r = serve_or_park(d, &p);
		if (r < 0 || d->parked.there)
			return r;
		d->parked = d->behind;
		d->behind.there = false;
	}
	return listen_again(d);
}

void vu_device_finish(struct vu_device *d)
{
	unsigned int n = vu_rings_drain(d);

	if (!d->finishing) {
		d->finishing = true;
		loop_remove(d->loop, &d->channel);
		forget(&d->parked);
		forget(&d->behind);
	}
	if (n)
		say_busy(d, n);
	else
		loop_stop(d->loop, 0);
}

static bool spec_valid(const struct dev_spec *s)
{
	return s->n_queues >= 1 && s->n_queues <= DEV_MAX_QUEUES && s->queue_max >= 1 &&
	       s->queue_max <= VIRTQ_SIZE_MAX && !(s->queue_max & (s->queue_max - 1)) &&
	       s->config_len <= VU_MAX_CONFIG;
}

int vu_device_open(struct vu_device *d, const struct dev_spec *spec, const struct dev_ops *ops,
		   void *owner, struct loop *loop, int sock)
{
	int r;

	if (!spec_valid(spec) || !ops->queue_run)
		return -EINVAL;
	memset(d, 0, offsetof(struct vu_device, queue)); /* rings that it has not stay untouched */
	d->spec = spec;
	d->ops = ops;
	d->owner = owner;
	d->loop = loop;
	d->sock = sock;
	d->channel.fd = d->again.fd = -1;
	d->log_fd = d->inflight.fd = d->transfer.fd = d->transfer.src.fd = -1;
	d->gate = LOG_GATE(8);
	guestmem_init(&d->mem);
	for (unsigned int i = 0; i < spec->n_queues; i++)
		vu_ring_init(&d->queue[i], d, i);
	d->again_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->again_fd < 0)
		return -errno;
	r = vu_inflight_open(&d->inflight, spec);
	if (r == 0)
		r = loop_add(loop, &d->again, d->again_fd, EPOLLIN, vu_rings_on_again, d);
	if (r == 0)
		r = loop_add(loop, &d->channel, sock, EPOLLIN, on_channel, d);
	if (r < 0) {
		loop_remove(loop, &d->again);
		closep(&d->again_fd);
		vu_inflight_close(&d->inflight);
		return r;
	}
	vu_poll_begin(d);
	return 0;
}

void vu_device_close(struct vu_device *d)
{
	vu_poll_end(d);
	for (unsigned int i = 0; i < d->spec->n_queues; i++) {
		(void)vu_ring_drain(&d->queue[i]);
		vu_ring_stop(&d->queue[i]);
		closep(&d->queue[i].call_fd);
		closep(&d->queue[i].err_fd);
	}
	vu_state_close(d);
	vu_log_close(d);
	vu_inflight_close(&d->inflight);
	guestmem_clear(&d->mem);
	closep(&d->log_fd);
	loop_remove(d->loop, &d->channel);
	loop_remove(d->loop, &d->again);
	closep(&d->again_fd);
	forget(&d->parked);
	forget(&d->behind);
	closep(&d->sock);
}
