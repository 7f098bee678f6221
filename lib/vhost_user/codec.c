/* SPDX-License-Identifier: Apache-2.0 */
/* The vhost-user codec: pure, no I/O; see vhost_user.h. */
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/vhost_user/vhost_user.h"

#include <errno.h>
#include <string.h>

#define FLAG_VERSION_MASK 3U
#define FLAGS_KNOWN (FLAG_VERSION_MASK | VU_FLAG_REPLY | VU_FLAG_NEED_REPLY)
#define CONFIG_FLAGS_KNOWN 3U

/* "Message Specification", Payload */
enum payload {
	NONE,
	U64,
	RING,	  /* u64: bits 0 to 7 a ring's index, or an error, bit 8 no descriptor */
	STATE,	  /* a vring state description */
	ADDR,	  /* a vring address description */
	MEM,	  /* memory regions description */
	MEM_REG,  /* single memory region description */
	CONFIG,	  /* virtio device config space */
	LOG,	  /* log description */
	INFLIGHT, /* inflight description, padded as the specification's C structure is */
	TRANSFER, /* device state transfer parameters */
};

enum fds { NO_FDS, ONE_FD, FD_PER_REGION, FD_UNLESS_NOFD, FD_IN_REPLY, FD_AND_BACK };

/* What a request carries, and what its reply does. An acknowledgement (NEED_REPLY) is a U64. */
struct row {
	uint32_t request;
	enum payload payload;
	enum payload reply;
	bool has_reply; /* asked for or not */
	enum fds fds;
};

static const struct row rows[] = {
	{ VHOST_USER_GET_FEATURES, NONE, U64, true, NO_FDS },
	{ VHOST_USER_SET_FEATURES, U64, U64, false, NO_FDS },
	{ VHOST_USER_SET_OWNER, NONE, U64, false, NO_FDS },
	{ VHOST_USER_RESET_OWNER, NONE, U64, false, NO_FDS },
	{ VHOST_USER_SET_MEM_TABLE, MEM, U64, false, FD_PER_REGION },
	{ VHOST_USER_SET_LOG_BASE, LOG, U64, true, ONE_FD },
	{ VHOST_USER_SET_LOG_FD, NONE, U64, false, ONE_FD },
	{ VHOST_USER_SET_VRING_NUM, STATE, U64, false, NO_FDS },
	{ VHOST_USER_SET_VRING_ADDR, ADDR, U64, false, NO_FDS },
	{ VHOST_USER_SET_VRING_BASE, STATE, U64, false, NO_FDS },
	{ VHOST_USER_GET_VRING_BASE, STATE, STATE, true, NO_FDS },
	{ VHOST_USER_SET_VRING_KICK, RING, U64, false, FD_UNLESS_NOFD },
	{ VHOST_USER_SET_VRING_CALL, RING, U64, false, FD_UNLESS_NOFD },
	{ VHOST_USER_SET_VRING_ERR, RING, U64, false, FD_UNLESS_NOFD },
	{ VHOST_USER_GET_PROTOCOL_FEATURES, NONE, U64, true, NO_FDS },
	{ VHOST_USER_SET_PROTOCOL_FEATURES, U64, U64, false, NO_FDS },
	{ VHOST_USER_GET_QUEUE_NUM, NONE, U64, true, NO_FDS },
	{ VHOST_USER_SET_VRING_ENABLE, STATE, U64, false, NO_FDS },
	{ VHOST_USER_GET_CONFIG, CONFIG, CONFIG, true, NO_FDS },
	{ VHOST_USER_SET_CONFIG, CONFIG, U64, false, NO_FDS },
	{ VHOST_USER_GET_INFLIGHT_FD, INFLIGHT, INFLIGHT, true, FD_IN_REPLY },
	{ VHOST_USER_SET_INFLIGHT_FD, INFLIGHT, U64, false, ONE_FD },
	{ VHOST_USER_RESET_DEVICE, NONE, U64, false, NO_FDS },
	{ VHOST_USER_GET_MAX_MEM_SLOTS, NONE, U64, true, NO_FDS },
	{ VHOST_USER_ADD_MEM_REG, MEM_REG, U64, false, ONE_FD },
	{ VHOST_USER_REM_MEM_REG, MEM_REG, U64, false, NO_FDS },
	{ VHOST_USER_SET_STATUS, U64, U64, false, NO_FDS },
	{ VHOST_USER_GET_STATUS, NONE, U64, true, NO_FDS },
	{ VHOST_USER_SET_DEVICE_STATE_FD, TRANSFER, RING, true, FD_AND_BACK },
	{ VHOST_USER_CHECK_DEVICE_STATE, NONE, U64, true, NO_FDS },
};

static const struct row *row_of(uint32_t request)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].request == request)
			return &rows[i];
	return NULL;
}

bool vu_has_reply(uint32_t request)
{
	const struct row *row = row_of(request);

	return row && row->has_reply;
}

static size_t fds_of_reply(const struct row *row, const struct vu_msg *m)
{
	if (row->fds == FD_IN_REPLY)
		return m->inflight.size ? 1 : 0;
	return row->fds == FD_AND_BACK && !(m->u64 & VU_TRANSFER_NOFD) ? 1 : 0;
}

size_t vu_n_fds(const struct vu_msg *m)
{
	const struct row *row = row_of(m->request);

	if (!row)
		return 0;
	if (m->reply)
		return fds_of_reply(row, m);
	switch (row->fds) {
	case NO_FDS:
	case FD_IN_REPLY:
		return 0;
	case ONE_FD:
	case FD_AND_BACK:
		return 1;
	case FD_PER_REGION:
		return m->mem.n;
	case FD_UNLESS_NOFD:
		return m->u64 & VU_VRING_NOFD ? 0 : 1;
	}
	return 0;
}

int vu_decode_header(const uint8_t wire[VU_HEADER_LEN], struct vu_header *ret)
{
	struct bytes_reader r = bytes_reader(wire, VU_HEADER_LEN);
	struct vu_header h = { 0 };

	h.request = bytes_get32(&r);
	h.flags = bytes_get32(&r);
	h.size = bytes_get32(&r);
	if ((h.flags & FLAG_VERSION_MASK) != VU_VERSION || h.flags & ~FLAGS_KNOWN ||
	    h.size > VU_PAYLOAD_MAX)
		return -EBADMSG;
	*ret = h;
	return row_of(h.request) ? 0 : -EOPNOTSUPP;
}

/* ---- payloads ---- */

static void get_region(struct bytes_reader *r, struct vu_region *region)
{
	region->gpa = bytes_get64(r);
	region->size = bytes_get64(r);
	region->uaddr = bytes_get64(r);
	region->mmap_offset = bytes_get64(r);
}

static void put_region(struct bytes_writer *w, const struct vu_region *region)
{
	bytes_put64(w, region->gpa);
	bytes_put64(w, region->size);
	bytes_put64(w, region->uaddr);
	bytes_put64(w, region->mmap_offset);
}

static void get_addr(struct bytes_reader *r, struct vu_msg *m)
{
	m->addr.index = bytes_get32(r);
	m->addr.flags = bytes_get32(r);
	m->addr.desc = bytes_get64(r);
	m->addr.used = bytes_get64(r);
	m->addr.avail = bytes_get64(r);
	m->addr.log = bytes_get64(r);
}

static void put_addr(struct bytes_writer *w, const struct vu_msg *m)
{
	bytes_put32(w, m->addr.index);
	bytes_put32(w, m->addr.flags);
	bytes_put64(w, m->addr.desc);
	bytes_put64(w, m->addr.used);
	bytes_put64(w, m->addr.avail);
	bytes_put64(w, m->addr.log);
}

static bool mem_valid(const struct vu_msg *m)
{
	return m->mem.n >= 1 && m->mem.n <= VU_MAX_REGIONS;
}

static void get_mem(struct bytes_reader *r, struct vu_msg *m)
{
	m->mem.n = bytes_get32(r);
	bytes_skip(r, 4);
	if (!mem_valid(m))
		r->failed = true;
	for (uint32_t i = 0; !r->failed && i < m->mem.n; i++)
		get_region(r, &m->mem.region[i]);
}

static void put_mem(struct bytes_writer *w, const struct vu_msg *m)
{
	bytes_put32(w, m->mem.n);
	bytes_put32(w, 0);
	for (uint32_t i = 0; i < m->mem.n; i++)
		put_region(w, &m->mem.region[i]);
}

static bool config_valid(const struct vu_msg *m)
{
	return m->config.size <= VU_MAX_CONFIG && !(m->config.flags & ~CONFIG_FLAGS_KNOWN);
}

/* A back end refuses GET_CONFIG by a reply of size 0, with or without the three words before it. */
static void get_config(struct bytes_reader *r, struct vu_msg *m)
{
	if (m->reply && !bytes_left(r))
		return;
	m->config.offset = bytes_get32(r);
	m->config.size = bytes_get32(r);
	m->config.flags = bytes_get32(r);
	if (!config_valid(m)) {
		r->failed = true;
		return;
	}
	bytes_get(r, m->config.data, m->config.size);
	if (m->reply && !m->config.size)
		memset(&m->config, 0, sizeof(m->config));
}

static void put_config(struct bytes_writer *w, const struct vu_msg *m)
{
	if (m->reply && !m->config.size)
		return;
	bytes_put32(w, m->config.offset);
	bytes_put32(w, m->config.size);
	bytes_put32(w, m->config.flags);
	bytes_put(w, m->config.data, m->config.size);
}

static void get_inflight(struct bytes_reader *r, struct vu_msg *m)
{
	m->inflight.size = bytes_get64(r);
	m->inflight.offset = bytes_get64(r);
	m->inflight.n_queues = bytes_get16(r);
	m->inflight.queue_size = bytes_get16(r);
	bytes_skip(r, 4);
}

static void put_inflight(struct bytes_writer *w, const struct vu_msg *m)
{
	bytes_put64(w, m->inflight.size);
	bytes_put64(w, m->inflight.offset);
	bytes_put16(w, m->inflight.n_queues);
	bytes_put16(w, m->inflight.queue_size);
	bytes_put32(w, 0);
}

static bool ring_valid(const struct vu_msg *m)
{
	return !(m->u64 & ~(uint64_t)(VU_VRING_IDX_MASK | VU_VRING_NOFD));
}

static void get_payload(struct bytes_reader *r, enum payload kind, struct vu_msg *m)
{
	switch (kind) {
	case NONE:
		break;
	case U64:
		m->u64 = bytes_get64(r);
		break;
	case RING:
		m->u64 = bytes_get64(r);
		if (!ring_valid(m))
			r->failed = true;
		break;
	case STATE:
		m->state.index = bytes_get32(r);
		m->state.num = bytes_get32(r);
		break;
	case ADDR:
		get_addr(r, m);
		break;
	case MEM:
		get_mem(r, m);
		break;
	case MEM_REG:
		bytes_skip(r, 8);
		get_region(r, &m->mem_reg);
		break;
	case CONFIG:
		get_config(r, m);
		break;
	case LOG:
		m->log.size = bytes_get64(r);
		m->log.offset = bytes_get64(r);
		break;
	case INFLIGHT:
		get_inflight(r, m);
		break;
	case TRANSFER:
		m->transfer.direction = bytes_get32(r);
		m->transfer.phase = bytes_get32(r);
		break;
	}
}

static void put_payload(struct bytes_writer *w, enum payload kind, const struct vu_msg *m)
{
	switch (kind) {
	case NONE:
		break;
	case U64:
	case RING:
		bytes_put64(w, m->u64);
		break;
	case STATE:
		bytes_put32(w, m->state.index);
		bytes_put32(w, m->state.num);
		break;
	case ADDR:
		put_addr(w, m);
		break;
	case MEM:
		put_mem(w, m);
		break;
	case MEM_REG:
		bytes_put64(w, 0);
		put_region(w, &m->mem_reg);
		break;
	case CONFIG:
		put_config(w, m);
		break;
	case LOG:
		bytes_put64(w, m->log.size);
		bytes_put64(w, m->log.offset);
		break;
	case INFLIGHT:
		put_inflight(w, m);
		break;
	case TRANSFER:
		bytes_put32(w, m->transfer.direction);
		bytes_put32(w, m->transfer.phase);
		break;
	}
}

/* What decode would refuse is not said. */
static bool payload_valid(enum payload kind, const struct vu_msg *m)
{
	switch (kind) {
	case RING:
		return ring_valid(m);
	case MEM:
		return mem_valid(m);
	case CONFIG:
		return config_valid(m);
	default:
		return true;
	}
}

/* ---- messages ---- */

int vu_decode(const struct vu_header *h, const uint8_t *payload, size_t len, struct vu_msg *ret)
{
	struct bytes_reader r = bytes_reader(payload, len);
	const struct row *row = row_of(h->request);
	struct vu_msg m;
	int err;

	if (!row || len != h->size)
		return -EBADMSG;
	memset(&m, 0, sizeof(m)); /* the whole union */
	m.request = h->request;
	m.reply = h->flags & VU_FLAG_REPLY;
	m.need_reply = h->flags & VU_FLAG_NEED_REPLY;
	get_payload(&r, m.reply ? row->reply : row->payload, &m);
	err = bytes_finish(&r);
	if (err < 0)
		return err;
	*ret = m;
	return 0;
}

int vu_encode(const struct vu_msg *m, uint8_t *out, size_t cap)
{
	uint8_t payload[VU_PAYLOAD_MAX];
	struct bytes_writer body = bytes_writer(payload, sizeof(payload));
	struct bytes_writer w = bytes_writer(out, cap);
	const struct row *row = row_of(m->request);
	enum payload kind;
	int len;

	if (!row)
		return -EINVAL;
	kind = m->reply ? row->reply : row->payload;
	if (!payload_valid(kind, m))
		return -EINVAL;
	put_payload(&body, kind, m);
	len = bytes_written(&body);
	if (len < 0)
		return len;
	bytes_put32(&w, m->request);
	bytes_put32(&w, VU_VERSION | (m->reply ? VU_FLAG_REPLY : 0) |
				(m->need_reply ? VU_FLAG_NEED_REPLY : 0));
	bytes_put32(&w, (uint32_t)len);
	bytes_put(&w, payload, (size_t)len);
	return bytes_written(&w);
}
