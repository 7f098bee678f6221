/* SPDX-License-Identifier: Apache-2.0 */
/* A vhost-user front end; see vhost_front.h. */
#include "cmd/vmm/pci/vhost_front.h"

#include "cmd/vmm/platform/peer.h"
#include "lib/base/cleanup.h"
#include "lib/base/units.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

/* After this long without the answer that a ring stands still, whether the back end is alive is asked. */
#define DRAIN_ASK_S 2

/* Memory slots are left out: guest RAM never changes, and the table always fits. */
#define PROTOCOL_WANTED                                                                \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |        \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIG) | BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) | \
	 BIT(VHOST_USER_PROTOCOL_F_STATUS) | BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))

static bool has(const struct vhost_front *f, unsigned int protocol_feature)
{
	return f->protocol & BIT(protocol_feature);
}

/* ---- one exchange ---- */

static int send_msg(struct vhost_front *f, const struct vu_msg *m, const int *fds, size_t n_fds,
		    struct peer_deadline *d)
{
	uint8_t wire[VU_HEADER_LEN + VU_PAYLOAD_MAX];
	int len = vu_encode(m, wire, sizeof(wire));

	return len < 0 ? len : peer_send(f->sock, wire, (size_t)len, fds, n_fds, d);
}

static int recv_header(struct vhost_front *f, struct vu_header *ret, int *ret_fd,
		       struct peer_deadline *d)
{
	uint8_t wire[VU_HEADER_LEN];
	int r = peer_recv(f->sock, wire, sizeof(wire), ret_fd, d);

	if (r == 0)
		r = vu_decode_header(wire, ret);
	return r == -EOPNOTSUPP ? -EBADMSG : r;
}

/* The rest of an answer to that request. */
static int recv_answer(struct vhost_front *f, const struct vu_header *h, uint32_t request,
		       struct vu_msg *ret, struct peer_deadline *d)
{
	uint8_t payload[VU_PAYLOAD_MAX];
	int r;

	/* back ends in use leave NEED_REPLY set in an acknowledgement; it says nothing there */
	if (h->request != request || !(h->flags & VU_FLAG_REPLY) || h->size > sizeof(payload))
		return -EBADMSG;
	r = peer_recv(f->sock, payload, h->size, NULL, d);
	/* and answer this one with nothing, a number, or what they were sent: that it came is all there is to it */
	if (r < 0 || request == VHOST_USER_SET_LOG_BASE)
		return r;
	return vu_decode(h, payload, h->size, ret);
}

static int recv_reply(struct vhost_front *f, uint32_t request, struct vu_msg *ret, int *ret_fd,
		      struct peer_deadline *d)
{
	struct vu_header h = { 0 };
	int r = recv_header(f, &h, ret_fd, d);

	return r < 0 ? r : recv_answer(f, &h, request, ret, d);
}

/* Sends m and, where there is an answer, waits for it, and takes a descriptor if ret_fd is not NULL. */
static int exchange_fd(struct vhost_front *f, const struct vu_msg *m, const int *fds, size_t n_fds,
		       struct vu_msg *ret, int *ret_fd)
{
	struct peer_deadline d = peer_patience();
	int r = f->dead ? -EPIPE : send_msg(f, m, fds, n_fds, &d);

	if (r == 0 && (m->need_reply || vu_has_reply(m->request)))
		r = recv_reply(f, m->request, ret, ret_fd, &d);
	if (r < 0)
		f->dead = true;
	return r;
}

static int exchange(struct vhost_front *f, const struct vu_msg *m, const int *fds, size_t n_fds,
		    struct vu_msg *ret)
{
	return exchange_fd(f, m, fds, n_fds, ret, NULL);
}

static int breach(struct vhost_front *f)
{
	f->dead = true;
	return -EPROTO;
}

/* A request without an answer of its own. */
static int tell(struct vhost_front *f, const struct vu_msg *m, const int *fds, size_t n_fds)
{
	return exchange(f, m, fds, n_fds, NULL);
}

/* The same, acknowledged where the back end can. */
static int tell_acked(struct vhost_front *f, struct vu_msg *m, const int *fds, size_t n_fds)
{
	struct vu_msg ack = { 0 };
	int r;

	m->need_reply = has(f, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	r = exchange(f, m, fds, n_fds, &ack);
	if (r < 0)
		return r;
	return ack.u64 ? breach(f) : 0;
}

static int ask_u64(struct vhost_front *f, uint32_t request, uint64_t *ret)
{
	const struct vu_msg m = { .request = request };
	struct vu_msg reply = { 0 };
	int r = exchange(f, &m, NULL, 0, &reply);

	if (r == 0)
		*ret = reply.u64;
	return r;
}

static int tell_u64(struct vhost_front *f, uint32_t request, uint64_t value)
{
	struct vu_msg m = { .request = request, .u64 = value };

	return tell_acked(f, &m, NULL, 0);
}

/* ---- the handshake ---- */

static int negotiate_protocol(struct vhost_front *f)
{
	struct vu_msg m = { .request = VHOST_USER_SET_PROTOCOL_FEATURES };
	uint64_t offered = 0, n = 0;
	int r = ask_u64(f, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);

	if (r < 0)
		return r;
	m.u64 = offered &
		(PROTOCOL_WANTED | (f->log.len ? BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD) : 0));
	r = tell(f, &m, NULL, 0);
	if (r < 0)
		return r;
	f->protocol = m.u64;
	if (!has(f, VHOST_USER_PROTOCOL_F_MQ))
		return 0;
	r = ask_u64(f, VHOST_USER_GET_QUEUE_NUM, &n);
	if (r < 0)
		return r;
	if (n < 1 || n > VU_VRING_IDX_MASK + 1)
		return breach(f);
	f->n_queues = (unsigned int)n;
	return 0;
}

static int handshake(struct vhost_front *f)
{
	const struct vu_msg owner = { .request = VHOST_USER_SET_OWNER };
	int r = ask_u64(f, VHOST_USER_GET_FEATURES, &f->features);

	if (r == 0)
		r = tell(f, &owner, NULL, 0);
	if (r < 0)
		return r;
	f->has_protocol = f->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	r = f->has_protocol ? negotiate_protocol(f) : 0;
	f->logs = has(f, VHOST_USER_PROTOCOL_F_LOG_SHMFD) && f->features & BIT(VHOST_F_LOG_ALL);
	f->features &= ~(BIT(VHOST_USER_F_PROTOCOL_FEATURES) | BIT(VHOST_F_LOG_ALL));
	return r;
}

static int wait_alone(void *owner, int sock, struct timespec *left)
{
	struct peer_deadline d = { .left = *left };

	(void)owner;
	return peer_wait(sock, &d);
}

void vhost_front_wait_by(struct vhost_front *f,
			 int (*wait)(void *owner, int sock, struct timespec *left),
			 bool (*has_served)(void *owner), void *owner)
{
	f->wait = wait;
	f->has_served = has_served;
	f->owner = owner;
}

int vhost_front_open(struct vhost_front *f, int sock, unsigned int n_queues,
		     const struct vhost_log *log)
{
	int r;

	*f = (struct vhost_front){
		.sock = sock, .n_queues = n_queues, .log = *log, .wait = wait_alone
	};
	r = handshake(f);
	if (r < 0)
		vhost_front_close(f);
	return r;
}

void vhost_front_close(struct vhost_front *f)
{
	closep(&f->sock);
	f->dead = true;
}

/* ---- configuration space ---- */

bool vhost_front_has_config(const struct vhost_front *f)
{
	return has(f, VHOST_USER_PROTOCOL_F_CONFIG);
}

int vhost_front_get_config(struct vhost_front *f, uint32_t offset, void *out, uint32_t len)
{
	struct vu_msg m = { .request = VHOST_USER_GET_CONFIG };
	struct vu_msg reply = { 0 };
	int r;

	if (!vhost_front_has_config(f) || !len || len > VU_MAX_CONFIG)
		return -EOPNOTSUPP;
	m.config.offset = offset;
	m.config.size = len;
	r = exchange(f, &m, NULL, 0, &reply);
	if (r < 0)
		return r;
	if (!reply.config.size)
		return -EOPNOTSUPP;
	if (reply.config.offset != offset || reply.config.size != len)
		return breach(f);
	memcpy(out, reply.config.data, len);
	return 0;
}

int vhost_front_set_config(struct vhost_front *f, uint32_t offset, const void *data, uint32_t len)
{
	struct vu_msg m = { .request = VHOST_USER_SET_CONFIG };
	struct vu_msg ack;

	if (!vhost_front_has_config(f) || !len || len > VU_MAX_CONFIG)
		return 0;
	m.need_reply = has(f, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	m.config.offset = offset;
	m.config.size = len;
	memcpy(m.config.data, data, len);
	return exchange(f, &m, NULL, 0, &ack);
}

/* ---- rings ---- */

static int set_status(struct vhost_front *f, uint8_t status)
{
	return has(f, VHOST_USER_PROTOCOL_F_STATUS) ? tell_u64(f, VHOST_USER_SET_STATUS, status) :
						      0;
}

int vhost_front_get_status(struct vhost_front *f, uint8_t *ret)
{
	uint64_t status = 0;
	int r = has(f, VHOST_USER_PROTOCOL_F_STATUS) ? ask_u64(f, VHOST_USER_GET_STATUS, &status) :
						       0;

	if (r < 0)
		return r;
	if (status > UINT8_MAX)
		return breach(f);
	*ret = (uint8_t)status;
	return 0;
}

int vhost_front_set_features(struct vhost_front *f, uint64_t features)
{
	if (f->has_protocol)
		features |= BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	if (f->logs)
		features |= BIT(VHOST_F_LOG_ALL);
	return tell_u64(f, VHOST_USER_SET_FEATURES, features);
}

static int set_mem_table(struct vhost_front *f, const struct vhost_memory *mem)
{
	struct vu_msg m = { .request = VHOST_USER_SET_MEM_TABLE };
	int fds[VU_MAX_REGIONS];

	m.mem.n = mem->n;
	for (unsigned int i = 0; i < mem->n; i++) {
		m.mem.region[i] = mem->regions[i];
		fds[i] = mem->fd;
	}
	return tell_acked(f, &m, fds, mem->n);
}

static int set_log(struct vhost_front *f)
{
	const struct vu_msg m = { .request = VHOST_USER_SET_LOG_BASE,
				  .log = { .size = f->log.len } };

	return f->logs ? tell(f, &m, &f->log.fd, 1) : 0;
}

static int set_state(struct vhost_front *f, uint32_t request, unsigned int index, uint32_t num)
{
	const struct vu_msg m = { .request = request, .state = { .index = index, .num = num } };

	return tell(f, &m, NULL, 0);
}

static int set_addr(struct vhost_front *f, unsigned int index, const struct vhost_ring *ring)
{
	const struct vu_msg m = { .request = VHOST_USER_SET_VRING_ADDR,
				  .addr = { .index = index,
					    .flags = f->logs ? VU_VRING_LOG : 0,
					    .log = f->logs ? ring->used_ring : 0,
					    .desc = ring->desc,
					    .used = ring->used_ring,
					    .avail = ring->avail } };

	return tell(f, &m, NULL, 0);
}

static int set_event(struct vhost_front *f, uint32_t request, unsigned int index, int fd)
{
	const struct vu_msg m = { .request = request, .u64 = index };

	return tell(f, &m, &fd, 1);
}

static int start_ring(struct vhost_front *f, unsigned int index, const struct vhost_ring *ring)
{
	int r = set_state(f, VHOST_USER_SET_VRING_NUM, index, ring->size);

	if (r == 0)
		r = set_state(f, VHOST_USER_SET_VRING_BASE, index, ring->base);
	if (r == 0)
		r = set_addr(f, index, ring);
	if (r == 0)
		r = set_event(f, VHOST_USER_SET_VRING_CALL, index, ring->call_fd);
	if (r == 0)
		r = set_event(f, VHOST_USER_SET_VRING_ERR, index, ring->err_fd);
	return r < 0 ? r : set_event(f, VHOST_USER_SET_VRING_KICK, index, ring->kick_fd);
}

/* A size of 0: it has no such memory after all. */
static int get_inflight(struct vhost_front *f, struct vhost_inflight *in)
{
	const struct vu_msg m = { .request = VHOST_USER_GET_INFLIGHT_FD,
				  .inflight = { .n_queues = in->n_queues,
						.queue_size = in->queue_size } };
	struct vu_msg reply = { 0 };
	int r = exchange_fd(f, &m, NULL, 0, &reply, &in->fd);

	if (r == 0 && !reply.inflight.size != (in->fd < 0))
		r = breach(f);
	if (r < 0) {
		closep(&in->fd);
		return r;
	}
	in->size = reply.inflight.size;
	in->offset = reply.inflight.offset;
	return 0;
}

static int use_inflight(struct vhost_front *f, struct vhost_inflight *in)
{
	struct vu_msg m = { .request = VHOST_USER_SET_INFLIGHT_FD,
			    .inflight = { .n_queues = in->n_queues,
					  .queue_size = in->queue_size } };
	int r = in->fd < 0 ? get_inflight(f, in) : 0;

	if (r < 0 || in->fd < 0)
		return r;
	m.inflight.size = in->size;
	m.inflight.offset = in->offset;
	return tell_acked(f, &m, &in->fd, 1);
}

/* Without protocol features a ring is enabled from its start. */
static int enable_ring(struct vhost_front *f, unsigned int index)
{
	struct vu_msg m = { .request = VHOST_USER_SET_VRING_ENABLE,
			    .state = { .index = index, .num = 1 } };

	return f->has_protocol ? tell_acked(f, &m, NULL, 0) : 0;
}

int vhost_front_start(struct vhost_front *f, const struct vhost_memory *mem,
		      const struct vhost_ring *rings, unsigned int n_rings,
		      struct vhost_inflight *inflight)
{
	const uint8_t driver = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			       VIRTIO_CONFIG_S_FEATURES_OK;
	int r = set_status(f, driver);

	if (r == 0)
		r = set_mem_table(f, mem);
	if (r == 0)
		r = set_log(f);
	if (r == 0 && has(f, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		r = use_inflight(f, inflight);
	for (unsigned int i = 0; i < n_rings && r == 0; i++)
		if (rings[i].used)
			r = start_ring(f, i, &rings[i]);
	for (unsigned int i = 0; i < n_rings && r == 0; i++)
		if (rings[i].used)
			r = enable_ring(f, i);
	return r < 0 ? r : set_status(f, driver | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* A ring that is being stopped: its answer comes when the host has done what is in flight. */
struct drain {
	unsigned int index;
	bool stopped; /* it has come */
	bool asked;   /* for a sign of life, which has not come yet */
};

static int ask_for_life(struct vhost_front *f, struct drain *w)
{
	const struct vu_msg m = { .request = VHOST_USER_GET_STATUS };
	struct peer_deadline d = peer_patience();

	w->asked = true;
	return send_msg(f, &m, NULL, 0, &d);
}

/* Either answer may be the first: back ends that take one request at a time give them in turn. */
static int take_answer(struct vhost_front *f, struct drain *w)
{
	struct peer_deadline d = peer_patience();
	struct vu_header h = { 0 };
	struct vu_msg reply = { 0 };
	int r = recv_header(f, &h, NULL, &d);
	bool life = w->asked && h.request == VHOST_USER_GET_STATUS;

	if (r < 0)
		return r;
	if (!life && w->stopped)
		return -EBADMSG;
	r = recv_answer(f, &h, life ? VHOST_USER_GET_STATUS : VHOST_USER_GET_VRING_BASE, &reply,
			&d);
	if (r < 0)
		return r;
	if (life) {
		w->asked = false;
		return 0;
	}
	w->stopped = true;
	return reply.state.index != w->index || reply.state.num > UINT16_MAX ? -EPROTO : 0;
}

static int await_stopped(struct vhost_front *f, struct drain *w)
{
	int r = 0;

	while (r == 0 && (!w->stopped || w->asked)) {
		bool may_ask = !w->asked && has(f, VHOST_USER_PROTOCOL_F_STATUS);
		struct timespec left = { .tv_sec = may_ask ? DRAIN_ASK_S : PEER_PATIENCE_S };

		r = f->wait(f->owner, f->sock, &left);
		if (r == 0)
			r = take_answer(f, w);
		else if (r == -ETIMEDOUT && may_ask)
			r = ask_for_life(f, w);
		else if (r == -ETIMEDOUT && f->has_served && f->has_served(f->owner))
			r = 0;
	}
	return r;
}

static int stop_ring(struct vhost_front *f, unsigned int index)
{
	const struct vu_msg m = { .request = VHOST_USER_GET_VRING_BASE,
				  .state = { .index = index } };
	struct drain w = { .index = index };
	struct peer_deadline d = peer_patience();
	int r = f->dead ? -EPIPE : send_msg(f, &m, NULL, 0, &d);

	if (r == 0)
		r = await_stopped(f, &w);
	if (r < 0)
		f->dead = true;
	return r;
}

int vhost_front_stop(struct vhost_front *f, const struct vhost_ring *rings, unsigned int n_rings)
{
	struct vu_msg reset = { .request = VHOST_USER_RESET_DEVICE };
	int r = 0;

	for (unsigned int i = 0; i < n_rings && r == 0; i++)
		if (rings[i].used)
			r = stop_ring(f, i);
	if (r < 0)
		return r;
	if (has(f, VHOST_USER_PROTOCOL_F_STATUS))
		return set_status(f, 0);
	if (has(f, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		return tell_acked(f, &reset, NULL, 0);
	return 0;
}
