/* SPDX-License-Identifier: Apache-2.0 */
/* What each legal vhost-user request does, and the tables of when it is legal; see vu_device.h. */
#include "lib/devkit/vu_internal.h"

#include "lib/base/checked.h"
#include "lib/base/cleanup.h"
#include "lib/base/units.h"

#include <errno.h>
#include <string.h>

/* VIRTIO 1.2, 2.1 */
#define VIRTIO_CONFIG_S_NEEDS_RESET 0x40U

#define PROTOCOL_FEATURES                                                                     \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |               \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIG) | BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |        \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | BIT(VHOST_USER_PROTOCOL_F_STATUS) | \
	 BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) | BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD))

/* Who serves lent rings marks no page. */
static bool may_log(const struct vu_device *d)
{
	return !d->ops->queue_lend;
}

static uint64_t offered(const struct vu_device *d)
{
	return d->spec->features | BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_INDIRECT_DESC) |
	       BIT(VIRTIO_F_EVENT_IDX) | (may_log(d) ? BIT(VHOST_F_LOG_ALL) : 0) |
	       BIT(VHOST_USER_F_PROTOCOL_FEATURES);
}

static uint64_t protocol_offered(const struct vu_device *d)
{
	return (PROTOCOL_FEATURES | (d->ops->state ? BIT(VHOST_USER_PROTOCOL_F_DEVICE_STATE) : 0)) &
	       ~(may_log(d) ? 0 : BIT(VHOST_USER_PROTOCOL_F_LOG_SHMFD));
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
	/* dirty logging goes on and off while rings run, and nothing else does */
	if (vu_rings_any_armed(d) && (m->u64 ^ d->features) & ~BIT(VHOST_F_LOG_ALL))
		return vu_blame(d, "SET_FEATURES would change a ring in use");
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
	(void)m, (void)fds;
	reply->u64 = protocol_offered(d);
	return 0;
}

static int set_protocol_features(struct vu_device *d, const struct vu_msg *m, int *fds,
				 struct vu_msg *reply)
{
	(void)fds, (void)reply;
	if (m->u64 & ~protocol_offered(d))
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
	if (vu_rings_drain(d))
		return VU_LATER;
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
	vu_rings_reclaim(d); /* whoever serves them is told of it */
	return add_region(d, &m->mem_reg, fds[0]);
}

static int rem_mem_reg(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)fds, (void)reply;
	if (vu_rings_drain(d))
		return VU_LATER;
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

static int reset(struct vu_device *d)
{
	if (vu_rings_drain(d))
		return VU_LATER;
	for (unsigned int i = 0; i < d->spec->n_queues; i++) {
		struct dev_queue *q = &d->queue[i];

		vu_ring_stop(q);
		/* base stays: some front ends ask for it after the reset */
		q->has_num = q->has_addr = q->enabled = false;
	}
	vu_inflight_reset(d);
	vu_state_close(d);
	d->transfer.state = VU_TRANSFER_NONE;
	d->status = 0;
	d->needs_reset = false;
	if (d->ops->reset)
		d->ops->reset(d->owner);
	return 0;
}

static int reset_device(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)m, (void)fds, (void)reply;
	return reset(d);
}

static int set_status(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)fds, (void)reply;
	if (m->u64 > UINT8_MAX)
		return -EPROTO;
	if (m->u64 == 0)
		return reset(d);
	d->status = (uint8_t)(m->u64 & ~VIRTIO_CONFIG_S_NEEDS_RESET);
	return 0;
}

static int get_status(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)m, (void)fds;
	reply->u64 = d->status | (d->needs_reset ? VIRTIO_CONFIG_S_NEEDS_RESET : 0);
	return 0;
}

/* What cannot be is answered, not punished: it is the other side's user who is told. */
static int set_device_state_fd(struct vu_device *d, const struct vu_msg *m, int *fds,
			       struct vu_msg *reply)
{
	reply->u64 = VU_TRANSFER_NOFD | (vu_state_begin(d, m, &fds[0]) < 0);
	return 0;
}

static int check_device_state(struct vu_device *d, const struct vu_msg *m, int *fds,
			      struct vu_msg *reply)
{
	(void)m, (void)fds;
	reply->u64 = !vu_state_check(d);
	return 0;
}

static int set_log_base(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)reply;
	return vu_log_set(d, fds[0], m->log.offset, m->log.size);
}

static int set_log_fd(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply)
{
	(void)m, (void)reply;
	return vu_ring_take_event(&d->log_fd, fds);
}

static int get_inflight_fd(struct vu_device *d, const struct vu_msg *m, int *fds,
			   struct vu_msg *reply)
{
	(void)fds;
	return vu_inflight_get(d, m, reply);
}

static int set_inflight_fd(struct vu_device *d, const struct vu_msg *m, int *fds,
			   struct vu_msg *reply)
{
	(void)reply;
	return vu_inflight_set(d, m, fds[0]);
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
	if (m->addr.flags & ~VU_VRING_LOG)
		return -EPROTO;
	if (q->armed && (m->addr.desc != q->uaddr_desc || m->addr.avail != q->uaddr_avail ||
			 m->addr.used != q->uaddr_used))
		return vu_blame(q->dev, "SET_VRING_ADDR would move a ring in use");
	q->log_used = m->addr.flags & VU_VRING_LOG;
	q->log_addr = m->addr.log;
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
	if (vu_ring_drain(q))
		return VU_LATER;
	vu_inflight_settle(q);
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
	vu_ring_reclaim(q);
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

const struct vu_session_rule vu_session_rules[] = {
	{ VHOST_USER_GET_FEATURES, ANY, -1, get_features },
	{ VHOST_USER_SET_FEATURES, ANY, -1, set_features },
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
	{ VHOST_USER_SET_LOG_BASE, ANY, VHOST_USER_PROTOCOL_F_LOG_SHMFD, set_log_base },
	{ VHOST_USER_SET_LOG_FD, ANY, VHOST_USER_PROTOCOL_F_LOG_SHMFD, set_log_fd },
	{ VHOST_USER_GET_INFLIGHT_FD, START | SET, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
	  get_inflight_fd },
	{ VHOST_USER_SET_INFLIGHT_FD, START | SET, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
	  set_inflight_fd },
	{ VHOST_USER_GET_CONFIG, ANY, VHOST_USER_PROTOCOL_F_CONFIG, get_config },
	{ VHOST_USER_SET_CONFIG, SET | LIVE, VHOST_USER_PROTOCOL_F_CONFIG, set_config },
	{ VHOST_USER_RESET_DEVICE, ANY, VHOST_USER_PROTOCOL_F_RESET_DEVICE, reset_device },
	{ VHOST_USER_SET_STATUS, ANY, VHOST_USER_PROTOCOL_F_STATUS, set_status },
	{ VHOST_USER_GET_STATUS, ANY, VHOST_USER_PROTOCOL_F_STATUS, get_status },
	{ VHOST_USER_SET_DEVICE_STATE_FD, START | SET, VHOST_USER_PROTOCOL_F_DEVICE_STATE,
	  set_device_state_fd },
	{ VHOST_USER_CHECK_DEVICE_STATE, ANY, VHOST_USER_PROTOCOL_F_DEVICE_STATE,
	  check_device_state },
};

const size_t vu_n_session_rules = ARRAY_SIZE(vu_session_rules);

const struct vu_ring_rule vu_ring_rules[] = {
	{ VHOST_USER_SET_VRING_NUM, ANY, false, VU_IN_STATE, set_vring_num },
	{ VHOST_USER_SET_VRING_ADDR, ANY, true, VU_IN_ADDR, set_vring_addr },
	{ VHOST_USER_SET_VRING_BASE, ANY, false, VU_IN_STATE, set_vring_base },
	{ VHOST_USER_GET_VRING_BASE, ANY, true, VU_IN_STATE, get_vring_base },
	{ VHOST_USER_SET_VRING_KICK, SET | LIVE, false, VU_IN_U64, set_vring_kick },
	{ VHOST_USER_SET_VRING_CALL, ANY, true, VU_IN_U64, set_vring_call },
	{ VHOST_USER_SET_VRING_ERR, ANY, true, VU_IN_U64, set_vring_err },
	{ VHOST_USER_SET_VRING_ENABLE, ANY, true, VU_IN_STATE, set_vring_enable },
};

const size_t vu_n_ring_rules = ARRAY_SIZE(vu_ring_rules);
