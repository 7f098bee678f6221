/* SPDX-License-Identifier: Apache-2.0 */
/* vhost-user: every request and reply there and back, and what a hostile peer can send. */
#include "tests/unit/unit.h"

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/vhost_user/vhost_user.h"

#include <errno.h>
#include <string.h>

#define WIRE_MAX (VU_HEADER_LEN + VU_PAYLOAD_MAX)

/* clang-format off */
enum { NONE = 0, U64 = 8, STATE = 8, ADDR = 40, MEM = 8, REGION = 32, MEM_REG = 40, CONFIG = 12,
       LOG = 16, INFLIGHT = 24 };
/* clang-format on */

/* By the specification: bytes of payload, of the reply's, and descriptors. */
struct known {
	uint32_t request;
	size_t len, reply_len;
	size_t n_fds, reply_fds;
	bool has_reply;
	struct vu_msg m;
};

#define R(name) .request = VHOST_USER_##name, .m.request = VHOST_USER_##name

static const struct known knowns[] = {
	{ R(GET_FEATURES), .len = NONE, .reply_len = U64, .has_reply = true },
	{ R(SET_FEATURES), .len = U64, .reply_len = U64, .m.u64 = ~0ULL },
	{ R(SET_OWNER), .len = NONE, .reply_len = U64 },
	{ R(RESET_OWNER), .len = NONE, .reply_len = U64 },
	{ R(SET_MEM_TABLE), .len = MEM + REGION, .reply_len = U64, .n_fds = 1,
	  .m.mem = { .n = 1, .region = { { 1, 2, 3, 4 } } } },
	{ R(SET_MEM_TABLE), .len = MEM + 8 * REGION, .reply_len = U64, .n_fds = 8,
	  .m.mem = { .n = 8, .region = { { 1, 2, 3, 4 }, [7] = { 5, 6, 7, ~0ULL } } } },
	{ R(SET_LOG_BASE), .len = LOG, .reply_len = U64, .n_fds = 1, .has_reply = true,
	  .m.log = { 1, ~0ULL } },
	{ R(SET_LOG_FD), .len = NONE, .reply_len = U64, .n_fds = 1 },
	{ R(SET_VRING_NUM), .len = STATE, .reply_len = U64, .m.state = { 1, 256 } },
	{ R(SET_VRING_ADDR), .len = ADDR, .reply_len = U64, .m.addr = { 1, 2, 3, 4, 5, 6 } },
	{ R(SET_VRING_BASE), .len = STATE, .reply_len = U64, .m.state = { 255, ~0U } },
	{ R(GET_VRING_BASE), .len = STATE, .reply_len = STATE, .has_reply = true,
	  .m.state = { 3, 4 } },
	{ R(SET_VRING_KICK), .len = U64, .reply_len = U64, .n_fds = 1, .m.u64 = 255 },
	{ R(SET_VRING_KICK), .len = U64, .reply_len = U64, .m.u64 = 255 | VU_VRING_NOFD },
	{ R(SET_VRING_CALL), .len = U64, .reply_len = U64, .n_fds = 1, .m.u64 = 1 },
	{ R(SET_VRING_CALL), .len = U64, .reply_len = U64, .m.u64 = VU_VRING_NOFD },
	{ R(SET_VRING_ERR), .len = U64, .reply_len = U64, .n_fds = 1, .m.u64 = 2 },
	{ R(SET_VRING_ERR), .len = U64, .reply_len = U64, .m.u64 = 2 | VU_VRING_NOFD },
	{ R(GET_PROTOCOL_FEATURES), .len = NONE, .reply_len = U64, .has_reply = true },
	{ R(SET_PROTOCOL_FEATURES), .len = U64, .reply_len = U64, .m.u64 = 1 << 9 },
	{ R(GET_QUEUE_NUM), .len = NONE, .reply_len = U64, .has_reply = true },
	{ R(SET_VRING_ENABLE), .len = STATE, .reply_len = U64, .m.state = { 0, 1 } },
	{ R(GET_CONFIG), .len = CONFIG + 60, .reply_len = CONFIG + 60, .has_reply = true,
	  .m.config = { .offset = 0, .size = 60, .data = { 1, [59] = 2 } } },
	{ R(GET_CONFIG), .len = CONFIG + 256, .reply_len = CONFIG + 256, .has_reply = true,
	  .m.config = { .size = 256, .flags = 1, .data = { [255] = 9 } } },
	{ R(SET_CONFIG), .len = CONFIG + 1, .reply_len = U64,
	  .m.config = { .offset = ~0U, .size = 1, .flags = 3, .data = { 7 } } },
	{ R(GET_INFLIGHT_FD), .len = INFLIGHT, .reply_len = INFLIGHT, .has_reply = true,
	  .reply_fds = 1, .m.inflight = { ~0ULL, 2, 3, 0xffff } },
	{ R(SET_INFLIGHT_FD), .len = INFLIGHT, .reply_len = U64, .n_fds = 1,
	  .m.inflight = { 0, ~0ULL, 0xffff, 1 } },
	{ R(RESET_DEVICE), .len = NONE, .reply_len = U64 },
	{ R(GET_MAX_MEM_SLOTS), .len = NONE, .reply_len = U64, .has_reply = true },
	{ R(ADD_MEM_REG), .len = MEM_REG, .reply_len = U64, .n_fds = 1,
	  .m.mem_reg = { 1, 2, 3, ~0ULL } },
	{ R(REM_MEM_REG), .len = MEM_REG, .reply_len = U64, .m.mem_reg = { 1, 2, 3, 4 } },
	{ R(SET_STATUS), .len = U64, .reply_len = U64, .m.u64 = 15 },
	{ R(GET_STATUS), .len = NONE, .reply_len = U64, .has_reply = true },
	{ R(SET_DEVICE_STATE_FD), .len = STATE, .reply_len = U64, .n_fds = 1, .reply_fds = 1,
	  .has_reply = true, .m.transfer = { 1, ~0U } },
	{ R(CHECK_DEVICE_STATE), .len = NONE, .reply_len = U64, .has_reply = true },
};

#define FOR_KNOWN(k) for (const struct known *k = knowns; k < knowns + ARRAY_SIZE(knowns); k++)

/* A header and the payload behind it, as a channel would do it. */
static int decode(const uint8_t *wire, size_t len, struct vu_msg *ret)
{
	struct vu_header h;
	int r = vu_decode_header(wire, &h);

	return r < 0 ? r : vu_decode(&h, wire + VU_HEADER_LEN, len - VU_HEADER_LEN, ret);
}

static void assert_same(const struct vu_msg *a, const struct vu_msg *b)
{
	uint8_t wa[WIRE_MAX], wb[WIRE_MAX];
	int la = vu_encode(a, wa, sizeof(wa)), lb = vu_encode(b, wb, sizeof(wb));

	assert_true(la > 0);
	assert_int_equal(la, lb);
	assert_memory_equal(wa, wb, la);
}

static struct vu_msg reply_to(const struct known *k)
{
	struct vu_msg m = { .u64 = 0x1122334455667788 };

	if (k->len == k->reply_len && k->len != NONE && k->len != U64)
		m = k->m;
	if (k->request == VHOST_USER_SET_DEVICE_STATE_FD)
		m.u64 = 1; /* bits 0 to 8 only */
	m.request = k->request;
	m.reply = true;
	return m;
}

static void every_request_there_and_back(void **state)
{
	(void)state;
	FOR_KNOWN(k)
		for (int need_reply = 0; need_reply < 2; need_reply++) {
			uint8_t wire[WIRE_MAX];
			struct vu_msg m = k->m, got;
			int len;

			m.need_reply = need_reply;
			len = vu_encode(&m, wire, sizeof(wire));
			assert_int_equal(len, VU_HEADER_LEN + k->len);
			assert_int_equal(decode(wire, (size_t)len, &got), 0);
			assert_int_equal(got.request, k->request);
			assert_int_equal(got.need_reply, need_reply);
			assert_false(got.reply);
			assert_same(&m, &got);
			assert_int_equal(vu_n_fds(&got), k->n_fds);
			assert_int_equal(vu_has_reply(k->request), k->has_reply);
		}
}

static void every_reply_there_and_back(void **state)
{
	(void)state;
	FOR_KNOWN(k) {
		uint8_t wire[WIRE_MAX];
		struct vu_msg m = reply_to(k), got;
		int len = vu_encode(&m, wire, sizeof(wire));

		assert_int_equal(len, VU_HEADER_LEN + k->reply_len);
		assert_int_equal(decode(wire, (size_t)len, &got), 0);
		assert_true(got.reply);
		assert_same(&m, &got);
		assert_int_equal(vu_n_fds(&got), k->reply_fds);
	}
}

/* The wire as the specification draws it, once by hand. */
static void the_wire_itself(void **state)
{
	static const uint8_t want[] = {
		9, 0, 0, 0, 9, 0, 0, 0,	   40, 0, 0, 0, /* SET_VRING_ADDR, version 1, need_reply */
		1, 0, 0, 0, 2, 0, 0, 0,			/* index, flags */
		3, 0, 0, 0, 0, 0, 0, 0,			/* descriptor */
		4, 0, 0, 0, 0, 0, 0, 0,			/* used */
		5, 0, 0, 0, 0, 0, 0, 0,			/* available */
		6, 0, 0, 0, 0, 0, 0, 0x80,		/* log */
	};
	struct vu_msg m = { .request = VHOST_USER_SET_VRING_ADDR, .need_reply = true };
	uint8_t wire[WIRE_MAX];

	(void)state;
	m.addr.index = 1;
	m.addr.flags = 2;
	m.addr.desc = 3;
	m.addr.used = 4;
	m.addr.avail = 5;
	m.addr.log = 0x8000000000000006;
	assert_int_equal(vu_encode(&m, wire, sizeof(wire)), sizeof(want));
	assert_memory_equal(wire, want, sizeof(want));
	assert_int_equal(decode(want, sizeof(want), &m), 0);
	assert_int_equal(m.addr.avail, 5);
}

static void set_size(uint8_t *wire, size_t len)
{
	struct bytes_writer w = bytes_writer(wire + 8, 4);

	bytes_put32(&w, (uint32_t)len);
}

/* Any other length than the right one is refused, with an honest size and with the old one. */
static void wrong_lengths(const struct vu_msg *m)
{
	uint8_t wire[WIRE_MAX + 64] = { 0 };
	int len = vu_encode(m, wire, WIRE_MAX);
	size_t payload = (size_t)len - VU_HEADER_LEN;

	for (size_t n = 0; n <= payload + 16 && n <= VU_PAYLOAD_MAX; n++) {
		struct vu_msg got = { .request = 4242 };
		bool refusal = m->reply && m->request == VHOST_USER_GET_CONFIG && n == 0;
		int r;

		if (n == payload)
			continue;
		set_size(wire, payload);
		assert_int_equal(decode(wire, VU_HEADER_LEN + n, &got), -EBADMSG);
		assert_int_equal(got.request, 4242);
		set_size(wire, n);
		r = decode(wire, VU_HEADER_LEN + n, &got);
		assert_int_equal(r, refusal ? 0 : -EBADMSG);
		if (r < 0)
			assert_int_equal(got.request, 4242);
	}
}

static void every_wrong_length_is_refused(void **state)
{
	(void)state;
	FOR_KNOWN(k) {
		struct vu_msg reply = reply_to(k);

		wrong_lengths(&k->m);
		wrong_lengths(&reply);
	}
}

static void headers_at_their_edges(void **state)
{
	uint8_t wire[VU_HEADER_LEN] = { VHOST_USER_SET_OWNER };
	struct vu_header h;

	(void)state;
	for (uint64_t flags = 0; flags <= 0x1f; flags++) {
		wire[4] = (uint8_t)flags;
		assert_int_equal(vu_decode_header(wire, &h),
				 (flags & 3) == 1 && flags < 0x10 ? 0 : -EBADMSG);
	}
	for (int bit = 4; bit < 32; bit++) {
		wire[4] = wire[5] = wire[6] = wire[7] = 0;
		wire[4 + bit / 8] = (uint8_t)(1 << bit % 8);
		wire[4] |= VU_VERSION;
		assert_int_equal(vu_decode_header(wire, &h), -EBADMSG);
	}
	wire[4] = VU_VERSION;
	wire[5] = wire[6] = wire[7] = 0;
	set_size(wire, VU_PAYLOAD_MAX);
	assert_int_equal(vu_decode_header(wire, &h), 0);
	set_size(wire, VU_PAYLOAD_MAX + 1);
	assert_int_equal(vu_decode_header(wire, &h), -EBADMSG);
	set_size(wire, UINT32_MAX);
	assert_int_equal(vu_decode_header(wire, &h), -EBADMSG);
}

static void unknown_requests_are_named(void **state)
{
	(void)state;
	for (uint32_t request = 0; request < 300; request++) {
		struct vu_msg m = { .request = request }, got;
		uint8_t wire[WIRE_MAX] = { (uint8_t)request, (uint8_t)(request >> 8), 0, 0, 1 };
		struct vu_header h = { 0 };
		bool known = false;

		FOR_KNOWN(k)
			known |= k->request == request;
		assert_int_equal(vu_decode_header(wire, &h), known ? 0 : -EOPNOTSUPP);
		assert_int_equal(h.request, request);
		if (known)
			continue;
		assert_int_equal(vu_decode(&h, wire + VU_HEADER_LEN, 0, &got), -EBADMSG);
		assert_int_equal(vu_encode(&m, wire, sizeof(wire)), -EINVAL);
		assert_int_equal(vu_n_fds(&m), 0);
		assert_false(vu_has_reply(request));
	}
}

static void reserved_bits_of_a_ring(void **state)
{
	static const uint32_t requests[] = { VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL,
					     VHOST_USER_SET_VRING_ERR };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		for (int bit = 0; bit < 64; bit++) {
			struct vu_header h = { requests[i], VU_VERSION, 8 };
			uint8_t payload[8] = { 0 };
			struct vu_msg m = { .request = requests[i], .u64 = 1ULL << bit }, got;
			uint8_t wire[WIRE_MAX];

			payload[bit / 8] = (uint8_t)(1 << bit % 8);
			assert_int_equal(vu_decode(&h, payload, 8, &got), bit <= 8 ? 0 : -EBADMSG);
			assert_int_equal(vu_encode(&m, wire, sizeof(wire)) > 0, bit <= 8);
		}
}

static void tables_of_too_many_regions(void **state)
{
	static const uint32_t counts[] = { 0, 9, 15, 255, 0x80000000, UINT32_MAX };
	struct vu_msg m = { .request = VHOST_USER_SET_MEM_TABLE };
	uint8_t wire[WIRE_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		for (size_t len = 0; len <= VU_PAYLOAD_MAX; len += 8) {
			struct vu_header h = { m.request, VU_VERSION, (uint32_t)len };
			uint8_t payload[VU_PAYLOAD_MAX] = { 0 };
			struct vu_msg got;

			memcpy(payload, &counts[i], 4);
			assert_int_equal(vu_decode(&h, payload, len, &got), -EBADMSG);
			m.mem.n = counts[i];
			assert_int_equal(vu_encode(&m, wire, sizeof(wire)), -EINVAL);
		}
}

static void configurations_of_wrong_sizes(void **state)
{
	static const uint32_t sizes[] = { 257, 500, 0x7fffffff, 0xfffffff4, UINT32_MAX };
	struct vu_msg m = { .request = VHOST_USER_SET_CONFIG };
	uint8_t wire[WIRE_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t len = CONFIG; len <= VU_PAYLOAD_MAX; len++) {
			struct vu_header h = { m.request, VU_VERSION, (uint32_t)len };
			uint8_t payload[VU_PAYLOAD_MAX] = { 0 };
			struct vu_msg got;

			memcpy(payload + 4, &sizes[i], 4);
			assert_int_equal(vu_decode(&h, payload, len, &got), -EBADMSG);
		}
	m.config.size = VU_MAX_CONFIG + 1;
	assert_int_equal(vu_encode(&m, wire, sizeof(wire)), -EINVAL);
	m.config.size = 1;
	m.config.flags = 4;
	assert_int_equal(vu_encode(&m, wire, sizeof(wire)), -EINVAL);
}

/* The back end's refusal, in the two forms that there are. */
static void a_refused_configuration(void **state)
{
	struct vu_header h = { VHOST_USER_GET_CONFIG, VU_VERSION | VU_FLAG_REPLY, 0 };
	uint8_t payload[CONFIG] = { 8 }, wire[WIRE_MAX];
	struct vu_msg m;

	(void)state;
	assert_int_equal(vu_decode(&h, payload, 0, &m), 0);
	assert_int_equal(m.config.size, 0);
	h.size = CONFIG;
	assert_int_equal(vu_decode(&h, payload, CONFIG, &m), 0);
	assert_int_equal(m.config.size, 0);
	assert_int_equal(vu_encode(&m, wire, sizeof(wire)), VU_HEADER_LEN);
	h.flags = VU_VERSION; /* a request may not leave it out */
	h.size = 0;
	assert_int_equal(vu_decode(&h, payload, 0, &m), -EBADMSG);
}

static void padding_is_ignored(void **state)
{
	uint8_t payload[MEM_REG] = { 0 }, table[MEM + REGION] = { 1 };
	struct vu_header h = { VHOST_USER_ADD_MEM_REG, VU_VERSION, MEM_REG };
	struct vu_msg m;

	(void)state;
	memset(payload, 0xff, 8);
	payload[8] = 5;
	assert_int_equal(vu_decode(&h, payload, sizeof(payload), &m), 0);
	assert_int_equal(m.mem_reg.gpa, 5);
	memset(table + 4, 0xff, 4);
	h = (struct vu_header){ VHOST_USER_SET_MEM_TABLE, VU_VERSION, sizeof(table) };
	assert_int_equal(vu_decode(&h, table, sizeof(table), &m), 0);
	assert_int_equal(m.mem.region[0].gpa, 0);
	h = (struct vu_header){ VHOST_USER_SET_INFLIGHT_FD, VU_VERSION, INFLIGHT };
	memset(payload, 0, 20);
	memset(payload + 20, 0xff, 4);
	payload[18] = 7;
	assert_int_equal(vu_decode(&h, payload, INFLIGHT, &m), 0);
	assert_int_equal(m.inflight.queue_size, 7);
}

static void encode_needs_room(void **state)
{
	(void)state;
	FOR_KNOWN(k) {
		uint8_t wire[WIRE_MAX];
		int len = vu_encode(&k->m, wire, sizeof(wire));

		for (int cap = 0; cap < len; cap++)
			assert_int_equal(vu_encode(&k->m, wire, (size_t)cap), -EMSGSIZE);
	}
}

/* ---- the channel ---- */

static void send_bytes(int sock, const void *data, size_t len, int fd, size_t n_fds)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	int fds[MSG_MAX_FDS];

	for (size_t i = 0; i < MSG_MAX_FDS; i++)
		fds[i] = fd;
	assert_int_equal(msg_send(sock, &iov, 1, fds, n_fds), 0);
}

static void descriptors_must_match(void **state)
{
	_cleanup_(closep) int e = make_event();

	(void)state;
	FOR_KNOWN(k)
		for (size_t n = 0; n <= MSG_MAX_FDS; n++) {
			bool spare = k->request == VHOST_USER_REM_MEM_REG && n == 1;
			int fds[MSG_MAX_FDS], before, r, s[2];
			uint8_t wire[WIRE_MAX];
			struct vu_msg m;
			size_t got = 99;

			make_pair(SOCK_STREAM, s);
			before = open_fds();
			send_bytes(s[0], wire, (size_t)vu_encode(&k->m, wire, sizeof(wire)), e, n);
			r = vu_recv(s[1], &m, fds, &got);
			assert_int_equal(r, n == k->n_fds || spare ? 1 : -EBADMSG);
			if (r == 1) {
				assert_int_equal(got, k->n_fds);
				fds_close(fds, got);
			}
			assert_int_equal(open_fds(), before);
			close_pair(s);
		}
}

static void replies_carry_no_descriptor(void **state)
{
	_cleanup_(closep) int e = make_event();
	struct vu_msg m = { .request = VHOST_USER_ADD_MEM_REG, .reply = true };
	int fds[MSG_MAX_FDS], before, s[2];
	uint8_t wire[WIRE_MAX];
	size_t n;

	(void)state;
	make_pair(SOCK_STREAM, s);
	before = open_fds();
	assert_int_equal(vu_send(s[0], &m, &e, 1), -EINVAL);
	send_bytes(s[0], wire, (size_t)vu_encode(&m, wire, sizeof(wire)), e, 1);
	assert_int_equal(vu_recv(s[1], &m, fds, &n), -EBADMSG);
	assert_int_equal(open_fds(), before);
	close_pair(s);
}

/* The one reply that has a descriptor, unless it says that there is nothing to map. */
static void the_reply_with_a_descriptor(void **state)
{
	_cleanup_(closep) int e = make_event();
	struct vu_msg m = { .request = VHOST_USER_GET_INFLIGHT_FD, .reply = true }, got;

	(void)state;
	for (uint64_t size = 0; size < 2; size++)
		for (size_t n = 0; n < 2; n++) {
			int fds[MSG_MAX_FDS], before, s[2];
			uint8_t wire[WIRE_MAX];
			size_t n_got = 0;

			m.inflight.size = size;
			make_pair(SOCK_STREAM, s);
			before = open_fds();
			assert_int_equal(vu_send(s[0], &m, &e, n), n == size ? 0 : -EINVAL);
			if (n != size)
				send_bytes(s[0], wire, (size_t)vu_encode(&m, wire, sizeof(wire)), e,
					   n);
			assert_int_equal(vu_recv(s[1], &got, fds, &n_got),
					 n == size ? 1 : -EBADMSG);
			fds_close(fds, n_got);
			assert_int_equal(open_fds(), before);
			close_pair(s);
		}
}

static void messages_in_pieces(void **state)
{
	_cleanup_(closep) int e = make_event();
	struct vu_msg m = { .request = VHOST_USER_ADD_MEM_REG };
	uint8_t wire[WIRE_MAX];
	int len;

	(void)state;
	m.mem_reg = (struct vu_region){ 1, 2, 3, 4 };
	len = vu_encode(&m, wire, sizeof(wire));
	for (int cut = 1; cut < len; cut++) {
		int fds[MSG_MAX_FDS], s[2];
		struct vu_msg got;
		size_t n;

		make_pair(SOCK_STREAM, s);
		send_bytes(s[0], wire, (size_t)cut, e, 1);
		send_bytes(s[0], wire + cut, (size_t)(len - cut), -1, 0);
		assert_int_equal(vu_recv(s[1], &got, fds, &n), 1);
		assert_int_equal(n, 1);
		fds_close(fds, n);
		assert_same(&m, &got);
		close_pair(s);
	}
}

static void the_end_at_every_byte(void **state)
{
	_cleanup_(closep) int e = make_event();
	struct vu_msg m = { .request = VHOST_USER_ADD_MEM_REG };
	uint8_t wire[WIRE_MAX];
	int len = vu_encode(&m, wire, sizeof(wire));

	(void)state;
	for (int cut = 0; cut < len; cut++) {
		int fds[MSG_MAX_FDS], before, s[2];
		struct vu_msg got;
		size_t n;

		make_pair(SOCK_STREAM, s);
		if (cut)
			send_bytes(s[0], wire, (size_t)cut, e, 1);
		closep(&s[0]);
		before = open_fds();
		assert_int_equal(vu_recv(s[1], &got, fds, &n), cut ? -EBADMSG : 0);
		assert_int_equal(open_fds(), before);
		close_pair(s);
	}
}

/* What is unknown is skipped whole, its descriptors closed, and the next message is understood. */
static void unknown_requests_are_skipped(void **state)
{
	static const uint8_t unknown[VU_HEADER_LEN + 20] = { 33, 0, 0, 0, 9, 0, 0, 0, 20 };
	_cleanup_(closep) int e = make_event();
	struct vu_msg m = { .request = VHOST_USER_GET_STATUS };
	int fds[MSG_MAX_FDS], before, s[2];
	size_t n = 99;

	(void)state;
	make_pair(SOCK_STREAM, s);
	before = open_fds();
	send_bytes(s[0], unknown, sizeof(unknown), e, 1);
	assert_int_equal(vu_send(s[0], &m, NULL, 0), 0);
	m.request = 0;
	assert_int_equal(vu_recv(s[1], &m, fds, &n), -EOPNOTSUPP);
	assert_int_equal(m.request, 33);
	assert_true(m.need_reply);
	assert_int_equal(open_fds(), before);
	assert_int_equal(vu_recv(s[1], &m, fds, &n), 1);
	assert_int_equal(m.request, VHOST_USER_GET_STATUS);
	assert_int_equal(n, 0);
	assert_int_equal(fd_set_nonblock(s[1], true), 0);
	assert_int_equal(vu_recv(s[1], &m, fds, &n), -EAGAIN);
	close_pair(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_there_and_back),
		cmocka_unit_test(every_reply_there_and_back),
		cmocka_unit_test(the_wire_itself),
		cmocka_unit_test(every_wrong_length_is_refused),
		cmocka_unit_test(headers_at_their_edges),
		cmocka_unit_test(unknown_requests_are_named),
		cmocka_unit_test(reserved_bits_of_a_ring),
		cmocka_unit_test(tables_of_too_many_regions),
		cmocka_unit_test(configurations_of_wrong_sizes),
		cmocka_unit_test(a_refused_configuration),
		cmocka_unit_test(padding_is_ignored),
		cmocka_unit_test(encode_needs_room),
		cmocka_unit_test(descriptors_must_match),
		cmocka_unit_test(replies_carry_no_descriptor),
		cmocka_unit_test(the_reply_with_a_descriptor),
		cmocka_unit_test(messages_in_pieces),
		cmocka_unit_test(the_end_at_every_byte),
		cmocka_unit_test(unknown_requests_are_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
