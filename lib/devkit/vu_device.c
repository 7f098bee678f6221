/* SPDX-License-Identifier: Apache-2.0 */
/* The session of a vhost-user back end: the request table and its handlers; see vu_device.h. */
#include "lib/devkit/vu_internal.h"

#include "lib/base/checked.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define BIT(n) (1ULL << (n))

/* VIRTIO 1.2, 2.1 */
#define VIRTIO_CONFIG_S_NEEDS_RESET 0x40U

#define PROTOCOL_FEATURES                                                              \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |        \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIG) | BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) | \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | BIT(VHOST_USER_PROTOCOL_F_STATUS))

static uint64_t offered(const struct vu_device *d)
{
	return d->spec->features | BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_INDIRECT_DESC) |
	       BIT(VIRTIO_F_EVENT_IDX) | BIT(VHOST_USER_F_PROTOCOL_FEATURES);
}

/* ---- handlers: what a legal request does; reply is sent when the request has one of its own ---- */

static int get_features(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)m, (void)fds;
	reply->u64 = offered(d);
	return 0;
}

static int set_features(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)fds, (void)reply;
	if (m->u64 & ~offered(d))
		return -EPROTO;
	d->features = m->u64;
	d->features_set = true;
	if (d->ops->set_features)
		d->ops->set_features(d->owner, m->u64 & d->spec->features);
	return 0;
}

/* SET_OWNER says nothing new on a connected socket; RESET_OWNER is deprecated, to be ignored. */
static int ignore(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)d, (void)m, (void)fds, (void)reply;
	return 0;
}

static int get_protocol_features(struct vu_device *d, const struct vu_msg *m, int *fds,
				 struct vu_msg *reply)
{
	(void)d, (void)m, (void)fds;
	reply->u64 = PROTOCOL_FEATURES;
	return 0;
}

static int set_protocol_features(struct vu_device *d, const struct vu_msg *m, int *fds,
				 struct vu_msg *reply)
{
	(void)fds, (void)reply;
	if (m->u64 & ~PROTOCOL_FEATURES)
		return -EPROTO;
	d->protocol_features = m->u64;
	return 0;
}

static int get_queue_num(struct vu_device *d, const struct vu_msg *m, int *fds,
			 struct vu_msg *reply)
{
	(void)m, (void)fds;
	reply->u64 = d->spec->n_queues;
	return 0;
}

static int get_max_mem_slots(struct vu_device *d, const struct vu_msg *m, int *fds,
			     struct vu_msg *reply)
{
	(void)d, (void)m, (void)fds;
	reply->u64 = GUESTMEM_MAX_REGIONS;
	return 0;
}

static int add_region(struct vu_device *d, const struct vu_region *r, int fd)
{
	return guestmem_add(&d->mem, GPA(r->gpa), r->size, r->uaddr, fd, r->mmap_offset);
}

/* A front end may change the table while rings run (firmware that moves memory windows): nothing
 * may be in flight then, and the rings are looked up by guest address at every access. */
static int set_mem_table(struct vu_device *d, const struct vu_msg *m, int *fds,
			 struct vu_msg *reply)
{
	(void)reply;
	vu_rings_drain(d);
	guestmem_clear(&d->mem);
	for (uint32_t i = 0; i < m->mem.n; i++) {
		int r = add_region(d, &m->mem.region[i], fds[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_mem_reg(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)reply;
	return add_region(d, &m->mem_reg, fds[0]);
}

static int rem_mem_reg(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)fds, (void)reply;
	vu_rings_drain(d);
	return guestmem_remove(&d->mem, GPA(m->mem_reg.gpa), m->mem_reg.size, m->mem_reg.uaddr);
}

static int get_config(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	uint8_t config[VU_MAX_CONFIG] = { 0 };

	(void)fds;
	if (!range_within(m->config.offset, m->config.size, sizeof(config)))
		return -EPROTO;
	if (d->ops->config_read)
		d->ops->config_read(d->owner, config);
	reply->config.offset = m->config.offset;
	reply->config.size = m->config.size;
	reply->config.flags = m->config.flags;
	memcpy(reply->config.data, config + m->config.offset, m->config.size);
	return 0;
}

/* What the device refuses is answered, not punished: the guest chose it. */
static int set_config(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)fds;
	if (!range_within(m->config.offset, m->config.size, d->spec->config_len) ||
	    !d->ops->config_write ||
	    d->ops->config_write(d->owner, m->config.offset, m->config.data, m->config.size) < 0)
		reply->u64 = 1;
	return 0;
}

static void reset(struct vu_device *d)
{
	vu_rings_drain(d);
	for (unsigned int i = 0; i < d->spec->n_queues; i++) {
		struct dev_queue *q = &d->queue[i];

		vu_ring_stop(q);
		/* base stays: some front ends ask for it after the reset */
		q->has_num = q->has_addr = q->enabled = false;
	}
	d->status = 0;
	d->needs_reset = false;
	if (d->ops->reset)
		d->ops->reset(d->owner);
}

static int reset_device(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)m, (void)fds, (void)reply;
	reset(d);
	return 0;
}

static int set_status(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)fds, (void)reply;
	if (m->u64 > UINT8_MAX)
		return -EPROTO;
	if (m->u64 == 0)
		reset(d);
	else
		d->status = (uint8_t)(m->u64 & ~VIRTIO_CONFIG_S_NEEDS_RESET);
	return 0;
}

static int get_status(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)m, (void)fds;
	reply->u64 = d->status | (d->needs_reset ? VIRTIO_CONFIG_S_NEEDS_RESET : 0);
	return 0;
}

static int set_vring_num(struct dev_queue *q, const struct vu_msg *m, int *fd, struct vu_msg *reply)
{
	uint32_t num = m->state.num;

	(void)fd, (void)reply;
	if (!num || num > q->dev->spec->queue_max || (num & (num - 1)))
		return -EPROTO;
	q->num = (uint16_t)num;
	q->has_num = true;
	return 0;
}

static int set_vring_addr(struct dev_queue *q, const struct vu_msg *m, int *fd,
			  struct vu_msg *reply)
{
	(void)fd, (void)reply;
	if (m->addr.flags) /* dirty logging is not offered */
		return -EPROTO;
	q->uaddr_desc = m->addr.desc;
	q->uaddr_avail = m->addr.avail;
	q->uaddr_used = m->addr.used;
	q->has_addr = true;
	return 0;
}

static int set_vring_base(struct dev_queue *q, const struct vu_msg *m, int *fd,
			  struct vu_msg *reply)
{
	(void)fd, (void)reply;
	if (m->state.num > UINT16_MAX)
		return -EPROTO;
	q->base = (uint16_t)m->state.num;
	return 0;
}

static int get_vring_base(struct dev_queue *q, const struct vu_msg *m, int *fd,
			  struct vu_msg *reply)
{
	(void)m, (void)fd;
	vu_ring_stop(q);
	reply->state.index = q->index;
	reply->state.num = q->base;
	return 0;
}

static int set_vring_kick(struct dev_queue *q, const struct vu_msg *m, int *fd,
			  struct vu_msg *reply)
{
	(void)reply;
	if ((m->u64 & VU_VRING_NOFD) || !q->has_num || !q->has_addr)
		return -EPROTO;
	return vu_ring_arm(q, fd);
}

static int set_event(int *slot, const struct vu_msg *m, int *fd)
{
	if (!(m->u64 & VU_VRING_NOFD))
		return vu_ring_take_event(slot, fd);
	closep(slot);
	return 0;
}

static int set_vring_call(struct dev_queue *q, const struct vu_msg *m, int *fd,
			  struct vu_msg *reply)
{
	(void)reply;
	return set_event(&q->call_fd, m, fd);
}

static int set_vring_err(struct dev_queue *q, const struct vu_msg *m, int *fd, struct vu_msg *reply)
{
	(void)reply;
	return set_event(&q->err_fd, m, fd);
}

static int set_vring_enable(struct dev_queue *q, const struct vu_msg *m, int *fd,
			    struct vu_msg *reply)
{
	(void)fd, (void)reply;
	if (m->state.num > 1)
		return -EPROTO;
	q->enabled = m->state.num;
	return 0;
}

/* ---- the policy ---- */

#define START VU_STATE_START
#define SET VU_STATE_SET
#define LIVE VU_STATE_LIVE
#define ANY (START | SET | LIVE)

struct session_rule {
	uint32_t request;
	unsigned int states;  /* legal ones */
	int protocol_feature; /* that must have been negotiated, or -1 */
	int (*handle)(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply);
};

static const struct session_rule session_rules[] = {
	{ VHOST_USER_GET_FEATURES, ANY, -1, get_features },
	{ VHOST_USER_SET_FEATURES, START | SET, -1, set_features },
	{ VHOST_USER_SET_OWNER, START | SET, -1, ignore },
	{ VHOST_USER_RESET_OWNER, ANY, -1, ignore },
	{ VHOST_USER_GET_PROTOCOL_FEATURES, ANY, -1, get_protocol_features },
	{ VHOST_USER_SET_PROTOCOL_FEATURES, START | SET, -1, set_protocol_features },
	{ VHOST_USER_GET_QUEUE_NUM, ANY, VHOST_USER_PROTOCOL_F_MQ, get_queue_num },
	{ VHOST_USER_SET_MEM_TABLE, ANY, -1, set_mem_table },
	{ VHOST_USER_GET_MAX_MEM_SLOTS, ANY, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
	  get_max_mem_slots },
	{ VHOST_USER_ADD_MEM_REG, ANY, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS, add_mem_reg },
	{ VHOST_USER_REM_MEM_REG, ANY, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS, rem_mem_reg },
	{ VHOST_USER_GET_CONFIG, ANY, VHOST_USER_PROTOCOL_F_CONFIG, get_config },
	{ VHOST_USER_SET_CONFIG, SET | LIVE, VHOST_USER_PROTOCOL_F_CONFIG, set_config },
	{ VHOST_USER_RESET_DEVICE, ANY, VHOST_USER_PROTOCOL_F_RESET_DEVICE, reset_device },
	{ VHOST_USER_SET_STATUS, ANY, VHOST_USER_PROTOCOL_F_STATUS, set_status },
	{ VHOST_USER_GET_STATUS, ANY, VHOST_USER_PROTOCOL_F_STATUS, get_status },
};

enum index_at { IN_STATE, IN_ADDR, IN_U64 };

struct ring_rule {
	uint32_t request;
	unsigned int states; /* legal ones of the session */
	bool armed;	     /* legal while the ring is armed */
	enum index_at index;
	int (*handle)(struct dev_queue *q, const struct vu_msg *m, int *fd, struct vu_msg *reply);
};

static const struct ring_rule ring_rules[] = {
	{ VHOST_USER_SET_VRING_NUM, ANY, false, IN_STATE, set_vring_num },
	{ VHOST_USER_SET_VRING_ADDR, ANY, false, IN_ADDR, set_vring_addr },
	{ VHOST_USER_SET_VRING_BASE, ANY, false, IN_STATE, set_vring_base },
	{ VHOST_USER_GET_VRING_BASE, ANY, true, IN_STATE, get_vring_base },
	{ VHOST_USER_SET_VRING_KICK, SET | LIVE, false, IN_U64, set_vring_kick },
	{ VHOST_USER_SET_VRING_CALL, ANY, true, IN_U64, set_vring_call },
	{ VHOST_USER_SET_VRING_ERR, ANY, true, IN_U64, set_vring_err },
	{ VHOST_USER_SET_VRING_ENABLE, ANY, true, IN_STATE, set_vring_enable },
};

static unsigned int state_of(const struct vu_device *d)
{
	if (vu_rings_any_armed(d))
		return LIVE;
	return d->features_set ? SET : START;
}

static int refuse(struct vu_device *d, uint32_t request, const char *why)
{
	snprintf(d->why, sizeof(d->why), "vhost-user request %u %s", request, why);
	if (d->ret_why)
		*d->ret_why = d->why;
	return -EPROTO;
}

static uint64_t index_of(const struct vu_msg *m, enum index_at at)
{
	switch (at) {
	case IN_STATE:
		return m->state.index;
	case IN_ADDR:
		return m->addr.index;
	case IN_U64:
		return m->u64 & VU_VRING_IDX_MASK;
	}
	return UINT64_MAX;
}

static int handle_ring(struct vu_device *d, const struct ring_rule *rule, const struct vu_msg *m,
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

static int handle_session(struct vu_device *d, const struct session_rule *rule,
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
	for (size_t i = 0; i < ARRAY_SIZE(session_rules); i++)
		if (session_rules[i].request == m->request)
			return handle_session(d, &session_rules[i], m, fds, reply);
	for (size_t i = 0; i < ARRAY_SIZE(ring_rules); i++)
		if (ring_rules[i].request == m->request)
			return handle_ring(d, &ring_rules[i], m, fds, reply);
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
	r = vu_send(d->channel.fd, reply, NULL, 0);
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
	if (r == 0)
		r = vu_rings_update(d);
	if (r < 0)
		return d->why[0] ? r : refuse(d, m->request, "failed");
	return answer(d, m, &reply);
}

static int on_channel(struct loop_source *src, uint32_t events)
{
	struct vu_device *d = src->owner;
	int fds[MSG_MAX_FDS] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	struct vu_msg m = { 0 };
	size_t n_fds = 0;
	int r;

	(void)events;
	r = vu_recv(src->fd, &m, fds, &n_fds);
	if (r == -EAGAIN)
		return 0;
	if (r == 0) {
		loop_stop(d->loop, 0);
		return 0;
	}
	if (r < 0)
		return refuse(d, m.request, r == -EOPNOTSUPP ? "is unknown" : "is malformed");
	r = serve_message(d, &m, fds);
	fds_close(fds, n_fds);
	return r;
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
	memset(d, 0, sizeof(*d));
	d->spec = spec;
	d->ops = ops;
	d->owner = owner;
	d->loop = loop;
	d->channel.fd = d->again.fd = -1;
	d->gate = LOG_GATE(8);
	guestmem_init(&d->mem);
	for (unsigned int i = 0; i < DEV_MAX_QUEUES; i++)
		vu_ring_init(&d->queue[i], d, i);
	d->again_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->again_fd < 0)
		return -errno;
	r = loop_add(loop, &d->again, d->again_fd, EPOLLIN, vu_rings_on_again, d);
	if (r == 0)
		r = loop_add(loop, &d->channel, sock, EPOLLIN, on_channel, d);
	if (r < 0) {
		loop_remove(loop, &d->again);
		closep(&d->again_fd);
	}
	return r;
}

void vu_device_close(struct vu_device *d)
{
	int sock = d->channel.fd;

	for (unsigned int i = 0; i < d->spec->n_queues; i++) {
		vu_ring_stop(&d->queue[i]);
		closep(&d->queue[i].call_fd);
		closep(&d->queue[i].err_fd);
	}
	guestmem_clear(&d->mem);
	loop_remove(d->loop, &d->channel);
	loop_remove(d->loop, &d->again);
	closep(&d->again_fd);
	closep(&sock);
}
