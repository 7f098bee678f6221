/* SPDX-License-Identifier: Apache-2.0 */
/* The control protocol: every type there and back, and everything a hostile peer can say. */
#include "tests/unit/unit.h"

#include "lib/base/fd.h"
#include "lib/control/control.h"

#include <errno.h>
#include <string.h>

static const struct control_msg samples[] = {
	{ .type = CTL_READY },
	{ .type = CTL_LOG, .number = 2, .text_len = 5, .text = "hello" },
	{ .type = CTL_EVENT, .number = CTL_EVENT_PANIC },
	{ .type = CTL_DENIED, .number = 57 },
	{ .type = CTL_FAILED, .text_len = 3, .text = "why" },
	{ .type = CTL_BUSY, .number = 12 },
	{ .type = CTL_AWAY, .text_len = 4, .text = "gone" },
	{ .type = CTL_BACK },
	{ .type = CTL_CONFIG_CHANGED },
	{ .type = CTL_ADD, .text_len = 3, .text = "rng" },
	{ .type = CTL_ADD_FILE, .text_len = 4, .text = "disk" },
	{ .type = CTL_REMOVE, .text_len = 5, .text = "rng-2" },
	{ .type = CTL_ADDED, .number = 24, .text_len = 5, .text = "rng-2" },
	{ .type = CTL_PLUGGED, .number = 24 },
	{ .type = CTL_NOT_PLUGGED, .text_len = 3, .text = "why" },
	{ .type = CTL_UNPLUGGED, .number = 24 },
	{ .type = CTL_PLUG, .number = 17, .text_len = 4, .text = "disk" },
	{ .type = CTL_UNPLUG, .number = 24 },
	{ .type = CTL_POWER_BUTTON },
	{ .type = CTL_CONSOLE },
	{ .type = CTL_CONSOLE_SIZE, .number = 1U << 16 | 0xffff },
	{ .type = CTL_CONFIG },
	{ .type = CTL_QUERY },
	{ .type = CTL_STOP, .number = 1 },
	{ .type = CTL_ATTACH },
	{ .type = CTL_PAUSE, .number = CTL_PAUSE_VCPUS },
	{ .type = CTL_CONTINUE },
	{ .type = CTL_RESUME },
	{ .type = CTL_ADD_BESIDE, .number = 8 },
	{ .type = CTL_SET_LINK, .number = 1, .text_len = 5, .text = "net-1" },
	{ .type = CTL_GOES_ON },
	{ .type = CTL_LINK, .number = CTL_LINK_UP | CTL_LINK_ANNOUNCE },
	{ .type = CTL_ANNOUNCED },
	{ .type = CTL_TPM, .number = 3 },
	{ .type = CTL_RESIZE },
	{ .type = CTL_RESIZED, .number = 1 },
	{ .type = CTL_RESIZING, .text_len = 3, .text = "raw" },
	{ .type = CTL_RELEASE },
	{ .type = CTL_SIZE, .number = 24 << 16 | 80 },
	{ .type = CTL_ENDING },
	{ .type = CTL_INFO,
	  .info = { .name = "vm1",
		    .attached = "disk-2,rng-2",
		    .why = "storage-nbd: gone",
		    .pid = 1,
		    .cpus = 2,
		    .memory = 1ULL << 33,
		    .uptime_s = 4,
		    .state = 5,
		    .processes = 6,
		    .soft = 1,
		    .restarts = 7 } },
	{ .type = CTL_ATTACHED },
	{ .type = CTL_REFUSED, .text_len = 2, .text = "no" },
	{ .type = CTL_DONE },
	{ .type = CTL_STARTED },
	{ .type = CTL_ENDED, .number = CTL_EVENT_FAILED, .text_len = 0 },
};

static bool has_text(const struct control_msg *m)
{
	return m->type == CTL_LOG || m->type == CTL_FAILED || m->type == CTL_REFUSED ||
	       m->type == CTL_ENDED || m->type == CTL_NOT_PLUGGED || m->type == CTL_PLUG ||
	       m->type == CTL_ADD || m->type == CTL_ADD_FILE || m->type == CTL_REMOVE ||
	       m->type == CTL_ADDED || m->type == CTL_RESIZING || m->type == CTL_SET_LINK ||
	       m->type == CTL_AWAY;
}

static void assert_same(const struct control_msg *a, const struct control_msg *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->number, b->number);
	assert_int_equal(a->text_len, b->text_len);
	assert_memory_equal(a->text, b->text, sizeof(a->text));
	assert_string_equal(a->info.name, b->info.name);
	assert_int_equal(a->info.pid, b->info.pid);
	assert_int_equal(a->info.cpus, b->info.cpus);
	assert_int_equal(a->info.memory, b->info.memory);
	assert_int_equal(a->info.uptime_s, b->info.uptime_s);
	assert_int_equal(a->info.state, b->info.state);
	assert_int_equal(a->info.processes, b->info.processes);
	assert_int_equal(a->info.soft, b->info.soft);
	assert_int_equal(a->info.restarts, b->info.restarts);
	assert_string_equal(a->info.attached, b->info.attached);
	assert_string_equal(a->info.why, b->info.why);
}

static void every_type_there_and_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		uint8_t wire[CTL_WIRE_MAX];
		struct control_msg m = { 0 };
		int len = control_encode(&samples[i], wire, sizeof(wire));

		assert_true(len >= 8);
		assert_int_equal(control_decode(wire, (size_t)len, &m), 0);
		assert_same(&m, &samples[i]);
	}
}

/* What is cut reads as an error, whether or not the length field was cut with it. */
static void truncation_at_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		uint8_t wire[CTL_WIRE_MAX];
		int len = control_encode(&samples[i], wire, sizeof(wire));

		for (int cut = 0; cut < len; cut++) {
			struct control_msg m = { .number = 77 };

			assert_int_equal(control_decode(wire, (size_t)cut, &m), -EBADMSG);
			assert_int_equal(m.number, 77);
			if (cut < 8 ||
			    (has_text(&samples[i]) && cut >= len - (int)samples[i].text_len))
				continue;
			wire[4] = (uint8_t)(cut - 8);
			assert_int_equal(control_decode(wire, (size_t)cut, &m), -EBADMSG);
			wire[4] = (uint8_t)(len - 8);
		}
	}
}

static void trailing_bytes_and_wrong_lengths(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		uint8_t wire[CTL_WIRE_MAX + 1] = { 0 };
		struct control_msg m;
		int len = control_encode(&samples[i], wire, CTL_WIRE_MAX);

		assert_int_equal(control_decode(wire, (size_t)len + 1, &m), -EBADMSG);
		for (int off = -1; off <= 1; off += 2) {
			wire[4] = (uint8_t)(len - 8 + off);
			wire[7] = len - 8 + off < 0 ? 0xff : 0;
			assert_int_equal(control_decode(wire, (size_t)len, &m), -EBADMSG);
		}
		wire[7] = 0;
		if (has_text(&samples[i]))
			continue;
		wire[4] = (uint8_t)(len - 8 + 1); /* honest length, one byte too many */
		assert_int_equal(control_decode(wire, (size_t)len + 1, &m), -EBADMSG);
	}
}

static void reserved_and_unknown(void **state)
{
	uint8_t wire[8] = { CTL_READY };
	struct control_msg m;
	size_t known = 0;

	(void)state;
	assert_int_equal(control_decode(wire, sizeof(wire), &m), 0);
	for (int bit = 0; bit < 16; bit++) {
		wire[2 + bit / 8] = (uint8_t)(1 << bit % 8);
		assert_int_equal(control_decode(wire, sizeof(wire), &m), -EBADMSG);
		wire[2 + bit / 8] = 0;
	}
	for (unsigned int type = 0; type <= UINT16_MAX; type++) {
		wire[0] = (uint8_t)type;
		wire[1] = (uint8_t)(type >> 8);
		known += control_decode(wire, sizeof(wire), &m) == 0;
	}
	/* those without a payload or with a text alone, which may be empty */
	assert_int_equal(known, 25);
}

static void texts_are_bounded_and_printable(void **state)
{
	uint8_t wire[CTL_WIRE_MAX + 16] = { CTL_FAILED };
	struct control_msg m = { .type = CTL_FAILED };

	(void)state;
	for (size_t len = CTL_TEXT_MAX - 1; len <= CTL_TEXT_MAX + 1; len++) {
		memset(wire + 8, 'x', len);
		wire[4] = (uint8_t)len;
		wire[5] = (uint8_t)(len >> 8);
		assert_int_equal(control_decode(wire, 8 + len, &m),
				 len <= CTL_TEXT_MAX ? 0 : -EBADMSG);
	}
	m.text_len = CTL_TEXT_MAX + 1;
	assert_int_equal(control_encode(&m, wire, sizeof(wire)), -EINVAL);
	for (int c = 0; c < 256; c++) {
		wire[0] = CTL_FAILED;
		wire[1] = wire[2] = wire[3] = wire[5] = 0;
		wire[4] = 1;
		wire[8] = (uint8_t)c;
		assert_int_equal(control_decode(wire, 9, &m), 0);
		assert_int_equal(m.text[0], c >= ' ' && c <= '~' ? c : '?');
		assert_int_equal(m.text[1], 0);
	}
}

/* A terminal without columns or rows is none. */
static void sizes_are_not_0(void **state)
{
	static const enum control_type types[] = { CTL_SIZE, CTL_CONSOLE_SIZE };
	static const struct {
		uint16_t columns, rows;
		bool fits;
	} sizes[] = {
		{ 1, 1, true },		  { 0xffff, 1, true },	{ 1, 0xffff, true },
		{ 0xffff, 0xffff, true }, { 0, 1, false },	{ 1, 0, false },
		{ 0, 0, false },	  { 0, 0xffff, false }, { 0xffff, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types) * ARRAY_SIZE(sizes); i++) {
		const uint16_t columns = sizes[i / 2].columns, rows = sizes[i / 2].rows;
		struct control_msg m = { .type = types[i % 2],
					 .number = control_size(columns, rows) };
		uint8_t wire[12] = { (uint8_t)m.type,
				     0,
				     0,
				     0,
				     4,
				     0,
				     0,
				     0,
				     (uint8_t)columns,
				     (uint8_t)(columns >> 8),
				     (uint8_t)rows,
				     (uint8_t)(rows >> 8) };
		uint8_t out[sizeof(wire)];
		bool fits = sizes[i / 2].fits;

		assert_int_equal(control_encode(&m, out, sizeof(out)), fits ? 12 : -EINVAL);
		m.number = 0;
		assert_int_equal(control_decode(wire, sizeof(wire), &m), fits ? 0 : -EBADMSG);
		if (!fits)
			continue;
		assert_memory_equal(wire, out, sizeof(wire));
		assert_int_equal(control_columns(m.number), columns);
		assert_int_equal(control_rows(m.number), rows);
	}
}

static void a_name_without_an_end(void **state)
{
	uint8_t wire[CTL_WIRE_MAX];
	struct control_msg m = { .type = CTL_INFO };
	int len;

	(void)state;
	memset(m.info.name, 'n', sizeof(m.info.name));
	len = control_encode(&m, wire, sizeof(wire));
	assert_true(len > 0);
	wire[9] = 0x1b;
	assert_int_equal(control_decode(wire, (size_t)len, &m), 0);
	assert_int_equal(strlen(m.info.name), CTL_NAME_MAX);
	assert_int_equal(m.info.name[1], '?');
}

static void encode_needs_room(void **state)
{
	uint8_t wire[CTL_WIRE_MAX];
	struct control_msg bad = { .type = (enum control_type)9999 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		int len = control_encode(&samples[i], wire, sizeof(wire));

		for (int cap = 0; cap < len; cap++)
			assert_int_equal(control_encode(&samples[i], wire, (size_t)cap), -EMSGSIZE);
		assert_int_equal(control_encode(&samples[i], wire, (size_t)len), len);
	}
	assert_int_equal(control_encode(&bad, wire, sizeof(wire)), -EINVAL);
}

/* Every type with 0, 1 and 2 descriptors: only the right number passes, none is left open. */
static void descriptors_must_match(void **state)
{
	_cleanup_(closep) int e = make_event();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
		for (size_t n = 0; n <= 2; n++) {
			uint8_t wire[CTL_WIRE_MAX];
			int len = control_encode(&samples[i], wire, sizeof(wire));
			struct iovec iov = { wire, (size_t)len };
			int pass[2] = { e, e }, fd = -1, before, r, s[2];
			struct control_msg m;

			make_pair(SOCK_SEQPACKET, s);
			before = open_fds();
			assert_int_equal(msg_send(s[0], &iov, 1, pass, n), 0);
			r = control_recv(s[1], &m, &fd);
			assert_int_equal(r, n == control_n_fds(samples[i].type) ? 1 : -EBADMSG);
			assert_int_equal(fd >= 0, r == 1 && n == 1);
			closep(&fd);
			assert_int_equal(open_fds(), before);
			close_pair(s);
		}
}

static void send_knows_what_it_carries(void **state)
{
	_cleanup_(closep) int e = make_event();
	struct control_msg m = { .type = CTL_READY };
	int s[2], fd;

	(void)state;
	make_pair(SOCK_SEQPACKET, s);
	assert_int_equal(control_send(s[0], &m, e), -EINVAL);
	m.type = CTL_CONSOLE;
	assert_int_equal(control_send(s[0], &m, -1), -EINVAL);
	assert_int_equal(control_send(s[0], &m, e), 0);
	assert_int_equal(control_recv(s[1], &m, &fd), 1);
	assert_int_equal(m.type, CTL_CONSOLE);
	closep(&fd);
	closep(&s[0]);
	assert_int_equal(control_recv(s[1], &m, &fd), 0);
	close_pair(s);
}

static void an_oversized_packet(void **state)
{
	uint8_t wire[CTL_WIRE_MAX + 1] = { CTL_READY };
	struct iovec iov = { wire, sizeof(wire) };
	struct control_msg m;
	int s[2], fd;

	(void)state;
	make_pair(SOCK_SEQPACKET, s);
	assert_int_equal(msg_send(s[0], &iov, 1, NULL, 0), 0);
	assert_int_equal(control_recv(s[1], &m, &fd), -EBADMSG);
	close_pair(s);
}

static void words_reach_the_supervisor(void **state)
{
	char longer[CTL_TEXT_MAX * 2];
	struct control_msg m;
	int s[2], fd;

	(void)state;
	make_pair(SOCK_SEQPACKET, s);
	memset(longer, 'l', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	control_log_sink(&s[0], LOG_LEVEL_WARNING, longer, sizeof(longer) - 1);
	assert_int_equal(control_recv(s[1], &m, &fd), 1);
	assert_int_equal(m.type, CTL_LOG);
	assert_int_equal(m.number, LOG_LEVEL_WARNING);
	assert_int_equal(m.text_len, CTL_TEXT_MAX);
	assert_int_equal(control_fail(s[0], "%s %d", longer, 1), 1);
	assert_int_equal(control_recv(s[1], &m, &fd), 1);
	assert_int_equal(m.type, CTL_FAILED);
	assert_int_equal(m.text_len, CTL_TEXT_MAX);
	closep(&s[1]);
	control_log_sink(&s[0], LOG_LEVEL_INFO, "nobody", 6); /* no signal, no abort */
	close_pair(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_there_and_back),
		cmocka_unit_test(truncation_at_every_byte),
		cmocka_unit_test(trailing_bytes_and_wrong_lengths),
		cmocka_unit_test(reserved_and_unknown),
		cmocka_unit_test(texts_are_bounded_and_printable),
		cmocka_unit_test(sizes_are_not_0),
		cmocka_unit_test(a_name_without_an_end),
		cmocka_unit_test(encode_needs_room),
		cmocka_unit_test(descriptors_must_match),
		cmocka_unit_test(send_knows_what_it_carries),
		cmocka_unit_test(an_oversized_packet),
		cmocka_unit_test(words_reach_the_supervisor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
