/* SPDX-License-Identifier: Apache-2.0 */
/* vfio-user: every command and reply there and back, and what a hostile peer can send. */
#include "tests/unit/unit.h"

#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/vfio_user/vfio_user.h"

#include <errno.h>
#include <linux/vfio.h>
#include <string.h>

#define WIRE_MAX (VFU_HEADER_LEN + VFU_PAYLOAD_MAX)

#define JSON "{\"capabilities\":{\"max_msg_fds\":8}}"

/* By the specification: bytes of payload of the command or of its reply, and the least argsz. */
struct known {
	size_t len;
	uint32_t argsz; /* 0: it has none */
	struct vfu_msg m;
};

#define C(name) .m.command = VFIO_USER_##name
#define D(name) .m.command = VFIO_USER_DEVICE_##name

static const struct known knowns[] = {
	{ C(VERSION), .len = 4, .m.version = { .major = 0, .minor = 1 } },
	{ C(VERSION), .len = 4 + sizeof(JSON), .m.version = { 1, 2, JSON } },
	{ C(VERSION), .len = 4 + sizeof(JSON), .m.reply = true, .m.version = { 1, 2, JSON } },
	{ C(DMA_MAP), .len = 32, .argsz = 32, .m.dma = { 3, 4096, 8192, 1ULL << 40 } },
	{ C(DMA_MAP), .m.reply = true },
	{ C(DMA_UNMAP), .len = 24, .argsz = 24, .m.dma = { .address = 1, .size = ~0ULL } },
	{ C(DMA_UNMAP), .len = 24, .argsz = 24, .m.reply = true, .m.dma = { .address = 1 } },
	{ D(GET_INFO), .len = 16, .argsz = 16 },
	{ D(GET_INFO), .len = 16, .argsz = 16, .m.reply = true, .m.device_info = { 3, 9, 5 } },
	{ D(GET_REGION_INFO), .len = 32, .argsz = 32, .m.region_info = { .index = 7 } },
	{ D(GET_REGION_INFO), .len = 32, .argsz = 32, .m.reply = true,
	  .m.region_info = { .flags = 3, .index = 7, .size = 8, .offset = ~0ULL } },
	{ D(GET_REGION_INFO), .len = 64, .argsz = 64, .m.reply = true,
	  .m.region_info = { .flags = 15,
			     .index = 7,
			     .size = 8192,
			     .n_sparse = 1,
			     .sparse = { { 4096, 4096 } } } },
	{ D(GET_REGION_INFO), .len = 112, .argsz = 112, .m.reply = true,
	  .m.region_info = { .flags = 15, .n_sparse = 4, .sparse = { { 1, 2 }, [3] = { 3, 4 } } } },
	{ D(GET_REGION_IO_FDS), .len = 16, .argsz = 16, .m.io_fds = { .index = 3 } },
	{ D(GET_REGION_IO_FDS), .len = 16, .argsz = 16, .m.reply = true,
	  .m.io_fds = { .index = 3 } },
	{ D(GET_IRQ_INFO), .len = 16, .argsz = 16, .m.irq_info = { .index = 2 } },
	{ D(GET_IRQ_INFO), .len = 16, .argsz = 16, .m.reply = true, .m.irq_info = { 1, 2, 3 } },
	{ D(SET_IRQS), .len = 20, .argsz = 20, .m.set_irqs = { 36, 1, 2, ~0U } },
	{ D(SET_IRQS), .m.reply = true },
	{ C(REGION_READ), .len = 16, .m.access = { 1ULL << 63, 3, VFU_DATA_MAX } },
	{ C(REGION_READ), .len = 16 + 8, .m.reply = true, .m.access = { 1, 3, 8, { 1, [7] = 8 } } },
	{ C(REGION_READ), .len = 16 + 256, .m.reply = true,
	  .m.access = { 1, 3, 256, { [255] = 8 } } },
	{ C(REGION_WRITE), .len = 16 + 1, .m.access = { 3, 4, 1, { 0xa5 } } },
	{ C(REGION_WRITE), .len = 16 + 256, .m.access = { 3, 4, 256, { [255] = 8 } } },
	{ C(REGION_WRITE), .len = 16, .m.reply = true, .m.access = { 3, 4, ~0U } },
	{ D(RESET), .len = 0 },
	{ D(RESET), .m.reply = true },
};

#define FOR_KNOWN(k) for (const struct known *k = knowns; k < knowns + ARRAY_SIZE(knowns); k++)

/* A header and the payload behind it, as a channel would do it. */
static int decode(const uint8_t *wire, size_t len, struct vfu_msg *ret)
{
	struct vfu_header h;
	int r = vfu_decode_header(wire, &h);

	return r < 0 ? r : vfu_decode(&h, wire + VFU_HEADER_LEN, len - VFU_HEADER_LEN, ret);
}

static void assert_same(const struct vfu_msg *a, const struct vfu_msg *b)
{
	uint8_t wa[WIRE_MAX], wb[WIRE_MAX];
	int la = vfu_encode(a, wa, sizeof(wa)), lb = vfu_encode(b, wb, sizeof(wb));

	assert_true(la > 0);
	assert_int_equal(la, lb);
	assert_memory_equal(wa, wb, la);
}

static void put32(uint8_t *at, uint64_t v)
{
	struct bytes_writer w = bytes_writer(at, 4);

	bytes_put32(&w, (uint32_t)v);
}

static uint32_t get32(const uint8_t *at)
{
	struct bytes_reader r = bytes_reader(at, 4);

	return bytes_get32(&r);
}

static void every_message_there_and_back(void **state)
{
	(void)state;
	FOR_KNOWN(k)
		for (int no_reply = 0; no_reply <= !k->m.reply; no_reply++) {
			struct vfu_msg m = k->m, got;
			uint8_t wire[WIRE_MAX];
			int len;

			m.id = 0xbeef;
			m.no_reply = no_reply;
			len = vfu_encode(&m, wire, sizeof(wire));
			assert_int_equal(len, VFU_HEADER_LEN + k->len);
			assert_int_equal(get32(wire + 4), len);
			assert_int_equal(decode(wire, (size_t)len, &got), 0);
			assert_int_equal(got.id, 0xbeef);
			assert_int_equal(got.command, m.command);
			assert_int_equal(got.reply, m.reply);
			assert_int_equal(got.no_reply, no_reply);
			assert_false(got.error);
			assert_same(&m, &got);
		}
}

/* The wire as the specification draws it, once by hand. */
static void the_wire_itself(void **state)
{
	static const uint8_t want[] = {
		2,  1,	  5, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, /* header: a reply */
		64, 0,	  0, 0, 15, 0, 0, 0,			     /* argsz, flags */
		2,  0,	  0, 0, 32, 0, 0, 0,			     /* index, cap_offset */
		0,  0x20, 0, 0, 0,  0, 0, 0,			     /* size */
		0,  0,	  0, 0, 0,  0, 0, 0,			     /* offset */
		1,  0,	  1, 0, 0,  0, 0, 0,			     /* id, version, next */
		1,  0,	  0, 0, 0,  0, 0, 0,			     /* nr_areas, reserved */
		0,  0x10, 0, 0, 0,  0, 0, 0,			     /* offset */
		0,  0x10, 0, 0, 0,  0, 0, 0,			     /* size */
	};
	struct vfu_msg m = { .id = 0x102,
			     .command = VFIO_USER_DEVICE_GET_REGION_INFO,
			     .reply = true };
	uint8_t wire[WIRE_MAX];

	(void)state;
	m.region_info.flags = 15;
	m.region_info.index = 2;
	m.region_info.size = 0x2000;
	m.region_info.n_sparse = 1;
	m.region_info.sparse[0] = (struct vfu_sparse){ 0x1000, 0x1000 };
	assert_int_equal(vfu_encode(&m, wire, sizeof(wire)), sizeof(want));
	assert_memory_equal(wire, want, sizeof(want));
}

static void errors_have_no_payload(void **state)
{
	(void)state;
	FOR_KNOWN(k) {
		struct vfu_msg m = { .command = k->m.command,
				     .reply = true,
				     .error = true,
				     .error_no = EINVAL },
			       got;
		uint8_t wire[WIRE_MAX + 1] = { 0 };

		assert_int_equal(vfu_encode(&m, wire, WIRE_MAX), VFU_HEADER_LEN);
		assert_int_equal(decode(wire, VFU_HEADER_LEN, &got), 0);
		assert_true(got.error);
		assert_int_equal(got.error_no, EINVAL);
		put32(wire + 4, VFU_HEADER_LEN + 1);
		assert_int_equal(decode(wire, VFU_HEADER_LEN + 1, &got), -EBADMSG);
		m.reply = false;
		assert_int_equal(vfu_encode(&m, wire, sizeof(wire)), -EINVAL);
	}
}

/* What else than its right length a message may have: a VERSION may leave out its data or say an
 * empty string, a region info reply may leave out its capabilities. */
static bool other_form(const struct vfu_msg *m, size_t n)
{
	if (m->command == VFIO_USER_VERSION)
		return n == 4 || (n == 5 && !m->version.json[0]);
	return m->command == VFIO_USER_DEVICE_GET_REGION_INFO && m->reply && n == 32;
}

static void every_wrong_length_is_refused(void **state)
{
	(void)state;
	FOR_KNOWN(k)
		for (size_t n = 0; n <= k->len + 24; n++) {
			struct vfu_msg got = { .id = 4242 };
			uint8_t wire[WIRE_MAX] = { 0 };
			int len = vfu_encode(&k->m, wire, sizeof(wire));
			int want = other_form(&k->m, n) ? 0 : -EBADMSG;

			if (n == k->len)
				continue;
			assert_int_equal(decode(wire, VFU_HEADER_LEN + n, &got), -EBADMSG);
			put32(wire + 4, VFU_HEADER_LEN + n);
			assert_int_equal(decode(wire, VFU_HEADER_LEN + n, &got), want);
			if (want < 0)
				assert_int_equal(got.id, 4242);
			assert_true(len > 0);
		}
}

static void argsz_covers_the_fixed_part(void **state)
{
	(void)state;
	FOR_KNOWN(k) {
		uint8_t wire[WIRE_MAX];
		int len = vfu_encode(&k->m, wire, sizeof(wire));
		struct vfu_msg got;

		if (!k->argsz)
			continue;
		for (uint32_t argsz = 0; argsz < k->argsz; argsz++) {
			put32(wire + VFU_HEADER_LEN, argsz);
			assert_int_equal(decode(wire, (size_t)len, &got), -EBADMSG);
		}
		put32(wire + VFU_HEADER_LEN, k->argsz);
		assert_int_equal(decode(wire, (size_t)len, &got), 0);
		put32(wire + VFU_HEADER_LEN, UINT32_MAX);
		assert_int_equal(decode(wire, (size_t)len, &got), 0);
	}
}

/* Every byte of a question that only the answer fills must be 0. */
static void questions_are_otherwise_empty(void **state)
{
	static const struct {
		uint16_t command;
		size_t len;
	} questions[] = {
		{ VFIO_USER_DEVICE_GET_INFO, 16 },
		{ VFIO_USER_DEVICE_GET_REGION_INFO, 32 },
		{ VFIO_USER_DEVICE_GET_REGION_IO_FDS, 16 },
		{ VFIO_USER_DEVICE_GET_IRQ_INFO, 16 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
		for (size_t at = 4; at < questions[i].len; at++) {
			struct vfu_msg m = { .command = questions[i].command }, got;
			bool index = at >= 8 && at < 12 && i > 0;
			uint8_t wire[WIRE_MAX];
			int len = vfu_encode(&m, wire, sizeof(wire));

			wire[VFU_HEADER_LEN + at] = 0x80;
			assert_int_equal(decode(wire, (size_t)len, &got), index ? 0 : -EBADMSG);
		}
}

static void headers_at_their_edges(void **state)
{
	static const uint64_t bad_sizes[] = { 0, 1, 15, WIRE_MAX + 1, 0x7fffffff, UINT32_MAX };
	uint8_t wire[VFU_HEADER_LEN] = { 0, 0, VFIO_USER_DEVICE_RESET, 0 };
	struct vfu_header h;

	(void)state;
	put32(wire + 4, VFU_HEADER_LEN);
	for (uint32_t flags = 0; flags < 0x100; flags++) {
		bool ok = flags == 0 || flags == VFU_FLAG_NO_REPLY || flags == 1 ||
			  flags == (1 | VFU_FLAG_ERROR);

		put32(wire + 8, flags);
		assert_int_equal(vfu_decode_header(wire, &h), ok ? 0 : -EBADMSG);
	}
	for (int bit = 6; bit < 32; bit++) {
		put32(wire + 8, 1ULL << bit);
		assert_int_equal(vfu_decode_header(wire, &h), -EBADMSG);
	}
	put32(wire + 8, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad_sizes); i++) {
		put32(wire + 4, bad_sizes[i]);
		assert_int_equal(vfu_decode_header(wire, &h), -EBADMSG);
	}
	put32(wire + 4, WIRE_MAX);
	assert_int_equal(vfu_decode_header(wire, &h), 0);
}

static void unknown_commands_are_named(void **state)
{
	(void)state;
	for (uint32_t command = 0; command < 300; command++) {
		uint8_t wire[VFU_HEADER_LEN] = { 7, 0, (uint8_t)command, (uint8_t)(command >> 8),
						 VFU_HEADER_LEN };
		struct vfu_msg m = { .command = (uint16_t)command }, got;
		uint8_t out[WIRE_MAX];
		struct vfu_header h = { 0 };
		bool known = false;

		FOR_KNOWN(k)
			known |= k->m.command == command;
		assert_int_equal(vfu_decode_header(wire, &h), known ? 0 : -EOPNOTSUPP);
		assert_int_equal(h.id, 7);
		if (known)
			continue;
		assert_int_equal(vfu_decode(&h, wire, 0, &got), -EBADMSG);
		assert_int_equal(vfu_encode(&m, out, sizeof(out)), -EINVAL);
	}
}

static int decode_version(const char *data, size_t len, struct vfu_msg *ret)
{
	uint8_t payload[VFU_PAYLOAD_MAX] = { 0 };
	struct vfu_header h = { .command = VFIO_USER_VERSION,
				.size = (uint32_t)(VFU_HEADER_LEN + 4 + len) };

	memcpy(payload + 4, data, len);
	return vfu_decode(&h, payload, 4 + len, ret);
}

static void version_data_is_one_string(void **state)
{
	char text[VFU_JSON_MAX + 2];
	struct vfu_msg m;
	uint8_t wire[WIRE_MAX];

	(void)state;
	assert_int_equal(decode_version("", 1, &m), 0);
	assert_int_equal(decode_version("{}", 3, &m), 0);
	assert_int_equal(decode_version("{}", 2, &m), -EBADMSG);
	assert_int_equal(decode_version("{\0}", 4, &m), -EBADMSG);
	assert_int_equal(decode_version("{}\0", 4, &m), -EBADMSG);
	memset(text, ' ', sizeof(text));
	text[VFU_JSON_MAX - 1] = 0;
	assert_int_equal(decode_version(text, VFU_JSON_MAX, &m), 0);
	assert_int_equal(strlen(m.version.json), VFU_JSON_MAX - 1);
	text[VFU_JSON_MAX - 1] = ' ';
	assert_int_equal(decode_version(text, VFU_JSON_MAX, &m), -EBADMSG);
	text[VFU_JSON_MAX] = 0;
	assert_int_equal(decode_version(text, VFU_JSON_MAX + 1, &m), -EBADMSG);
	m = (struct vfu_msg){ .command = VFIO_USER_VERSION };
	memset(m.version.json, ' ', sizeof(m.version.json));
	assert_int_equal(vfu_encode(&m, wire, sizeof(wire)), -EINVAL);
}

static void accesses_are_bounded(void **state)
{
	static const uint32_t counts[] = { VFU_DATA_MAX + 1, 496, 0x7fffffff, 0xfffffff0,
					   UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct vfu_msg m = { .command = VFIO_USER_REGION_WRITE }, got;
		uint8_t payload[VFU_PAYLOAD_MAX] = { 0 }, out[WIRE_MAX];

		put32(payload + 12, counts[i]);
		for (size_t len = 16; len <= VFU_PAYLOAD_MAX; len++) {
			struct vfu_header h = { .size = (uint32_t)(VFU_HEADER_LEN + len) };

			h.command = VFIO_USER_REGION_WRITE;
			assert_int_equal(vfu_decode(&h, payload, len, &got), -EBADMSG);
			h.command = VFIO_USER_REGION_READ;
			assert_int_equal(vfu_decode(&h, payload, len, &got), -EBADMSG);
			h.flags = VFU_FLAG_TYPE_REPLY;
			assert_int_equal(vfu_decode(&h, payload, len, &got), -EBADMSG);
		}
		m.access.count = counts[i];
		assert_int_equal(vfu_encode(&m, out, sizeof(out)), -EINVAL);
		m.command = VFIO_USER_REGION_READ;
		assert_int_equal(vfu_encode(&m, out, sizeof(out)), -EINVAL);
	}
}

/* Each field of a sparse mmap capability with a value that it may not have. */
static void capabilities_are_checked(void **state)
{
	static const struct {
		size_t at; /* in the payload */
		uint8_t value;
		bool ok;
	} changes[] = {
		{ 4, 7, false }, /* flags without CAPS */
		{ 12, 0, false },    { 12, 31, false }, { 12, 33, false }, { 15, 1, false },
		{ 32, 2, false },    { 33, 1, false },	{ 34, 2, false },  { 36, 32, false },
		{ 36, 1, false },    { 40, 0, false },	{ 40, 2, false },  { 40, 5, false },
		{ 43, 0x80, false }, { 44, 1, true },	{ 0, 63, false },  { 0, 65, true },
	};
	const struct vfu_msg *m = NULL;

	(void)state;
	FOR_KNOWN(k)
		if (k->m.region_info.n_sparse == 1 &&
		    k->m.command == VFIO_USER_DEVICE_GET_REGION_INFO)
			m = &k->m;
	assert_non_null(m);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		uint8_t wire[WIRE_MAX];
		int len = vfu_encode(m, wire, sizeof(wire));
		struct vfu_msg got;

		wire[VFU_HEADER_LEN + changes[i].at] = changes[i].value;
		assert_int_equal(decode(wire, (size_t)len, &got), changes[i].ok ? 0 : -EBADMSG);
	}
}

/* An honest length for more areas than there is room for. */
static void too_many_sparse_areas(void **state)
{
	(void)state;
	for (uint32_t n = 0; n <= 29; n++) {
		size_t len = 48 + 16 * n;
		struct vfu_header h = { .command = VFIO_USER_DEVICE_GET_REGION_INFO,
					.size = (uint32_t)(VFU_HEADER_LEN + len),
					.flags = VFU_FLAG_TYPE_REPLY };
		uint8_t payload[VFU_PAYLOAD_MAX] = { 0 };
		struct vfu_msg got;

		put32(payload, len);
		put32(payload + 4, VFIO_REGION_INFO_FLAG_CAPS);
		put32(payload + 12, 32);
		put32(payload + 32, 0x00010001);
		put32(payload + 40, n);
		assert_int_equal(vfu_decode(&h, payload, len, &got),
				 n >= 1 && n <= VFU_MAX_SPARSE ? 0 : -EBADMSG);
	}
}

static void replies_that_cannot_be_said(void **state)
{
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_GET_REGION_INFO, .reply = true };
	uint8_t wire[WIRE_MAX];

	(void)state;
	m.region_info.n_sparse = 1; /* without VFIO_REGION_INFO_FLAG_CAPS */
	assert_int_equal(vfu_encode(&m, wire, sizeof(wire)), -EINVAL);
	m.region_info.flags = VFIO_REGION_INFO_FLAG_CAPS;
	assert_int_equal(vfu_encode(&m, wire, sizeof(wire)), VFU_HEADER_LEN + 64);
	m.region_info.n_sparse = VFU_MAX_SPARSE + 1;
	assert_int_equal(vfu_encode(&m, wire, sizeof(wire)), -EINVAL);
	m.region_info.n_sparse = UINT32_MAX;
	assert_int_equal(vfu_encode(&m, wire, sizeof(wire)), -EINVAL);
	/* too little room with the client: argsz says what it would take */
	m.region_info.n_sparse = 0;
	m.region_info.argsz = 64;
	assert_int_equal(vfu_encode(&m, wire, sizeof(wire)), VFU_HEADER_LEN + 32);
	assert_int_equal(decode(wire, VFU_HEADER_LEN + 32, &m), 0);
	assert_int_equal(m.region_info.argsz, 64);
	m.no_reply = true;
	assert_int_equal(vfu_encode(&m, wire, sizeof(wire)), -EINVAL);
}

static void encode_needs_room(void **state)
{
	(void)state;
	FOR_KNOWN(k) {
		uint8_t wire[WIRE_MAX];
		int len = vfu_encode(&k->m, wire, sizeof(wire));

		for (int cap = 0; cap < len; cap++)
			assert_int_equal(vfu_encode(&k->m, wire, (size_t)cap), -EMSGSIZE);
	}
}

/* ---- the channel ---- */

static void send_bytes(int sock, const void *data, size_t len, const int *fds, size_t n_fds)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };

	assert_int_equal(msg_send(sock, &iov, 1, fds, n_fds), 0);
}

static void the_end_at_every_byte(void **state)
{
	_cleanup_(closep) int e = make_event();
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_SET_IRQS };
	uint8_t wire[WIRE_MAX];
	int len = vfu_encode(&m, wire, sizeof(wire));

	(void)state;
	for (int cut = 0; cut < len; cut++) {
		int fds[MSG_MAX_FDS], before, s[2];
		struct vfu_msg got;
		size_t n;

		make_pair(SOCK_STREAM, s);
		if (cut)
			send_bytes(s[0], wire, (size_t)cut, &e, 1);
		closep(&s[0]);
		before = open_fds();
		assert_int_equal(vfu_recv(s[1], &got, fds, &n), cut ? -EBADMSG : 0);
		assert_int_equal(open_fds(), before);
		close_pair(s);
	}
}

static void messages_in_pieces(void **state)
{
	_cleanup_(closep) int e = make_event();
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_SET_IRQS };
	uint8_t wire[WIRE_MAX];
	int len = vfu_encode(&m, wire, sizeof(wire));

	(void)state;
	for (int cut = 1; cut < len; cut++) {
		int fds[MSG_MAX_FDS], s[2];
		struct vfu_msg got;
		size_t n;

		make_pair(SOCK_STREAM, s);
		send_bytes(s[0], wire, (size_t)cut, &e, 1);
		send_bytes(s[0], wire + cut, (size_t)(len - cut), NULL, 0);
		assert_int_equal(vfu_recv(s[1], &got, fds, &n), 1);
		assert_int_equal(n, 1);
		fds_close(fds, n);
		assert_same(&m, &got);
		close_pair(s);
	}
}

static void unknown_commands_are_skipped(void **state)
{
	static const uint8_t unknown[VFU_HEADER_LEN + 9] = {
		5, 0, 15, 0, VFU_HEADER_LEN + 9, 0, 0, 0, VFU_FLAG_NO_REPLY
	};
	_cleanup_(closep) int e = make_event();
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_RESET };
	int fds[MSG_MAX_FDS], before, s[2];
	size_t n = 99;

	(void)state;
	make_pair(SOCK_STREAM, s);
	before = open_fds();
	send_bytes(s[0], unknown, sizeof(unknown), &e, 1);
	assert_int_equal(vfu_send(s[0], &m, NULL, 0), 0);
	assert_int_equal(vfu_recv(s[1], &m, fds, &n), -EOPNOTSUPP);
	assert_int_equal(m.id, 5);
	assert_int_equal(m.command, 15);
	assert_true(m.no_reply);
	assert_int_equal(open_fds(), before);
	assert_int_equal(vfu_recv(s[1], &m, fds, &n), 1);
	assert_int_equal(m.command, VFIO_USER_DEVICE_RESET);
	assert_int_equal(fd_set_nonblock(s[1], true), 0);
	assert_int_equal(vfu_recv(s[1], &m, fds, &n), -EAGAIN);
	close_pair(s);
}

static void too_many_descriptors(void **state)
{
	_cleanup_(closep) int e = make_event();
	struct vfu_msg m = { .command = VFIO_USER_DEVICE_SET_IRQS }, got;
	int pass[MSG_MAX_FDS], fds[MSG_MAX_FDS], before, s[2];
	uint8_t wire[WIRE_MAX];
	int len = vfu_encode(&m, wire, sizeof(wire));
	size_t n;

	(void)state;
	for (size_t i = 0; i < MSG_MAX_FDS; i++)
		pass[i] = e;
	make_pair(SOCK_STREAM, s);
	before = open_fds();
	send_bytes(s[0], wire, 20, pass, MSG_MAX_FDS);
	send_bytes(s[0], wire + 20, (size_t)len - 20, pass, 1);
	assert_int_equal(vfu_recv(s[1], &got, fds, &n), -EBADMSG);
	assert_int_equal(open_fds(), before);
	close_pair(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_there_and_back),
		cmocka_unit_test(the_wire_itself),
		cmocka_unit_test(errors_have_no_payload),
		cmocka_unit_test(every_wrong_length_is_refused),
		cmocka_unit_test(argsz_covers_the_fixed_part),
		cmocka_unit_test(questions_are_otherwise_empty),
		cmocka_unit_test(headers_at_their_edges),
		cmocka_unit_test(unknown_commands_are_named),
		cmocka_unit_test(version_data_is_one_string),
		cmocka_unit_test(accesses_are_bounded),
		cmocka_unit_test(capabilities_are_checked),
		cmocka_unit_test(too_many_sparse_areas),
		cmocka_unit_test(replies_that_cannot_be_said),
		cmocka_unit_test(encode_needs_room),
		cmocka_unit_test(the_end_at_every_byte),
		cmocka_unit_test(messages_in_pieces),
		cmocka_unit_test(unknown_commands_are_skipped),
		cmocka_unit_test(too_many_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
