/* SPDX-License-Identifier: Apache-2.0 */
/* dev-firmware's registers: every offset and width, items to their end and beyond, a clock at its edges, and what a
 * successor makes of what it finds. */
#include "cmd/dev-firmware/registers.h"

#include "lib/base/cleanup.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define S 1000000000ULL

static struct registers r;
static struct kept kept;
static struct loop loop;
static uint8_t image[FWCFG_IMAGE_SIZE];
static uint8_t item[1000];
static uint64_t wall_ns, steady_ns;
static int peer;

static uint64_t clock_of_the_test(clockid_t id)
{
	return id == CLOCK_MONOTONIC ? steady_ns : wall_ns;
}

static void open_device(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(loop_open(&loop), 0);
	assert_int_equal(registers_open(&r, image, &kept, clock_of_the_test, &loop, pair[0]), 0);
	peer = pair[1];
}

static void close_device(void)
{
	vfu_server_close(&r.vfu);
	loop_close(&loop);
	close(peer);
}

static void make_image(void)
{
	static const uint8_t cmos[FWCFG_CMOS_LEN] = { [0x34] = 0x56, [0x0f] = 9 };
	struct fwcfg_writer w;

	for (size_t i = 0; i < sizeof(item); i++)
		item[i] = (uint8_t)(i % 251 + 1);
	memset(image, 0, sizeof(image));
	fwcfg_begin(&w, image, cmos);
	fwcfg_add(&w, 0, "QEMU", 4);
	fwcfg_add(&w, 3, item, sizeof(item));
	assert_int_equal(fwcfg_finish(&w), 0);
}

static int begin(void **state)
{
	(void)state;
	make_image();
	memset(&kept, 0, sizeof(kept));
	wall_ns = steady_ns = 0;
	open_device();
	r.vfu.ops->reset(&r);
	return 0;
}

static int end(void **state)
{
	(void)state;
	close_device();
	return 0;
}

/* ---- accesses as the server makes them ---- */

static uint16_t next_id;

static uint64_t in(uint64_t offset, unsigned int width)
{
	r.vfu.id = ++next_id;
	return r.vfu.ops->read(&r, 0, offset, width);
}

static void out(uint64_t offset, unsigned int width, uint64_t v)
{
	r.vfu.id = ++next_id;
	r.vfu.ops->write(&r, 0, offset, width, v);
}

static bool run(uint64_t offset, uint8_t *data, uint32_t len)
{
	r.vfu.id = ++next_id;
	return r.vfu.ops->read_run(&r, 0, offset, data, len);
}

static uint8_t cmos(uint8_t index)
{
	out(FWREGS_CMOS, 1, index);
	return (uint8_t)in(FWREGS_CMOS + 1, 1);
}

static void every_offset_and_width(void **state)
{
	static const unsigned int widths[] = { 1, 2, 4, 8 };
	uint8_t data[8];

	(void)state;
	for (uint64_t offset = 0; offset < FWREGS_SIZE; offset++)
		for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
			const unsigned int w = widths[i];
			bool known = (offset == FWREGS_TIMER && w == 4) ||
				     (offset == FWREGS_CMOS + 1 && w == 1);

			assert_int_equal(run(offset, data, w), offset == FWREGS_DATA);
			if (!known)
				assert_int_equal(in(offset, w), UINT64_MAX);
			if (offset != FWREGS_SELECTOR || w != 2)
				out(offset, w, UINT64_MAX);
			assert_int_equal(r.items.number, 0);
			assert_in_range(r.cmos.index, 0, 0x7f);
		}
	r.vfu.id = ++next_id;
	assert_int_equal(r.vfu.ops->read(&r, VFU_DONE_REGION, 0, 4), 0);
	r.vfu.ops->write(&r, VFU_DONE_REGION, 0, 4, UINT64_MAX);
	assert_false(r.vfu.ops->read_run(&r, VFU_DONE_REGION, FWREGS_DATA, data, 1));
}

/* ---- items ---- */

static void selectors_that_there_are_not(void **state)
{
	uint8_t data[256];

	(void)state;
	for (uint32_t n = 0; n <= UINT16_MAX; n++) {
		if (n == 0 || n == 3 || n == FWCFG_DIRECTORY)
			continue;
		memset(data, 0xa5, sizeof(data));
		out(FWREGS_SELECTOR, 2, n);
		assert_true(run(FWREGS_DATA, data, sizeof(data)));
		for (size_t i = 0; i < sizeof(data); i++)
			assert_int_equal(data[i], 0);
	}
}

static void zeros_behind_the_end(void **state)
{
	uint8_t data[256];

	(void)state;
	for (uint32_t len = 1; len <= sizeof(data); len++) {
		out(FWREGS_SELECTOR, 2, 3);
		for (size_t at = 0; at < sizeof(item) + 600; at += len) {
			memset(data, 0xa5, sizeof(data));
			assert_true(run(FWREGS_DATA, data, len));
			for (uint32_t i = 0; i < len; i++)
				assert_int_equal(data[i], at + i < sizeof(item) ? item[at + i] : 0);
			assert_in_range(r.items.offset, 0, sizeof(item));
		}
		for (uint32_t i = len; i < sizeof(data); i++)
			assert_int_equal(data[i], 0xa5);
	}
}

static void a_selector_begins_anew(void **state)
{
	uint8_t data[4];

	(void)state;
	out(FWREGS_SELECTOR, 2, 3);
	run(FWREGS_DATA, data, 4);
	out(FWREGS_SELECTOR, 2, 0);
	run(FWREGS_DATA, data, 4);
	assert_memory_equal(data, "QEMU", 4);
	out(FWREGS_SELECTOR, 2, 3);
	run(FWREGS_DATA, data, 4);
	assert_memory_equal(data, item, 4);
	r.vfu.ops->reset(&r);
	run(FWREGS_DATA, data, 4);
	assert_memory_equal(data, "QEMU", 4);
}

/* Whatever the image says, an item lies within it. */
static void an_image_that_lies(void **state)
{
	uint8_t data[256];

	(void)state;
	for (unsigned int shift = 0; shift < 32; shift++) {
		const uint32_t v = UINT32_MAX >> shift;

		memcpy(image + FWCFG_ROWS_AT + FWCFG_ROW_LEN + 8, &v, sizeof(v));
		out(FWREGS_SELECTOR, 2, 3);
		for (int i = 0; i < 5; i++)
			run(FWREGS_DATA, data, sizeof(data));
		assert_in_range(r.items.offset, 0, FWCFG_IMAGE_SIZE);
	}
}

/* ---- the timer ---- */

static void the_timer_counts(void **state)
{
	static const uint64_t times[] = { 0,	      1,       279,	    S - 1,
					  S,	      4 * S,   1000000 * S, 4294967296 * S,
					  UINT64_MAX, 86400ULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		const uint64_t s = times[i] / S, ns = times[i] % S;

		steady_ns = times[i];
		assert_int_equal(in(FWREGS_TIMER, 4), (s * 3579545 + ns * 3579545 / S) & 0xffffff);
	}
	steady_ns = S;
	assert_int_equal(in(FWREGS_TIMER, 4), 3579545);
}

/* ---- CMOS ---- */

static void the_clock_at_its_edges(void **state)
{
	/* seconds since 1970; then as `date -u` says */
	static const struct {
		uint64_t at;
		uint8_t c, y, m, d, weekday, hour, min, s;
	} dates[] = {
		{ 0, 0x19, 0x70, 0x01, 0x01, 5, 0x00, 0x00, 0x00 },
		{ 951782399, 0x20, 0x00, 0x02, 0x28, 2, 0x23, 0x59, 0x59 },
		{ 951782400, 0x20, 0x00, 0x02, 0x29, 3, 0x00, 0x00, 0x00 },
		{ 951868800, 0x20, 0x00, 0x03, 0x01, 4, 0x00, 0x00, 0x00 },
		{ 946684799, 0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59 },
		{ 1709164800, 0x20, 0x24, 0x02, 0x29, 5, 0x00, 0x00, 0x00 },
		{ 1767225599, 0x20, 0x25, 0x12, 0x31, 4, 0x23, 0x59, 0x59 },
		{ 4107542400, 0x21, 0x00, 0x03, 0x01, 2, 0x00, 0x00, 0x00 },
		{ 13569465600, 0x24, 0x00, 0x01, 0x01, 7, 0x00, 0x00, 0x00 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dates); i++) {
		wall_ns = dates[i].at * S;
		assert_int_equal(cmos(CMOS_CENTURY), dates[i].c);
		assert_int_equal(cmos(9), dates[i].y);
		assert_int_equal(cmos(8), dates[i].m);
		assert_int_equal(cmos(7), dates[i].d);
		assert_int_equal(cmos(6), dates[i].weekday);
		assert_int_equal(cmos(4), dates[i].hour);
		assert_int_equal(cmos(2), dates[i].min);
		assert_int_equal(cmos(0), dates[i].s);
	}
}

static void hours_of_both_kinds(void **state)
{
	static const uint8_t twelve[] = { 0x12, 0x01, 0x11, 0x92, 0x81, 0x91 };
	static const unsigned int hours[] = { 0, 1, 11, 12, 13, 23 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hours); i++) {
		wall_ns = hours[i] * 3600ULL * S + 45 * S;
		(void)cmos(CMOS_B);
		out(FWREGS_CMOS + 1, 1, 0);
		assert_int_equal(cmos(4), twelve[i]);
		(void)cmos(CMOS_B);
		out(FWREGS_CMOS + 1, 1, CMOS_B_24H | CMOS_B_BINARY);
		assert_int_equal(cmos(4), hours[i]);
		assert_int_equal(cmos(0), 45);
	}
}

/* Who sees no update has a moment to read on, and one that was seen ends. */
static void an_update_is_announced(void **state)
{
	(void)state;
	for (uint64_t second = 0; second < 3; second++) {
		wall_ns = second * S;
		assert_int_equal(cmos(CMOS_A), 0x26);
		wall_ns = (second + 1) * S - CMOS_UPDATE_NS - 1;
		assert_int_equal(cmos(CMOS_A), 0x26);
		wall_ns = (second + 1) * S - CMOS_UPDATE_NS;
		assert_int_equal(cmos(CMOS_A), 0xa6);
		wall_ns = (second + 1) * S - 1;
		assert_int_equal(cmos(CMOS_A), 0xa6);
	}
}

static void what_can_be_written(void **state)
{
	(void)state;
	for (unsigned int index = 0; index < 256; index++) {
		const uint8_t at = index & 0x7f;
		uint8_t before = cmos((uint8_t)index), after;

		out(FWREGS_CMOS + 1, 1, 0xff);
		after = (uint8_t)in(FWREGS_CMOS + 1, 1);
		if (at == CMOS_A)
			assert_int_equal(after, 0x7f);
		else if (at == CMOS_B)
			assert_int_equal(after, CMOS_B_KEPT);
		else if (at == 0 || at == 2 || at == 4 || (at >= 6 && at <= 9) || at == 0x32 ||
			 at == CMOS_C || at == CMOS_D)
			assert_true(index >= 128 || after == before);
		else
			assert_int_equal(after, 0xff);
		r.vfu.ops->reset(&r);
	}
	assert_int_equal(cmos(CMOS_C), 0);
	assert_int_equal(cmos(CMOS_D), CMOS_D_VALID);
	assert_int_equal(cmos(0x34), 0x56);
	assert_int_equal(cmos(0x0f), 9);
}

/* ---- a successor ---- */

static void succeed(void)
{
	close_device();
	memset(&r, 0xa5, sizeof(r));
	open_device();
}

/* After any access it is as its predecessor was, but for one that its client does not know to be done. */
static void a_successor_goes_on(void **state)
{
	uint8_t data[100], again[100];

	(void)state;
	out(FWREGS_SELECTOR, 2, 3);
	for (uint32_t at = 0; at + 100 <= sizeof(item); at += 100) {
		run(FWREGS_DATA, data, 100);
		succeed();
		/* its answer was lost: the same message comes again, and once more */
		r.vfu.id = next_id;
		assert_true(r.vfu.ops->read_run(&r, 0, FWREGS_DATA, again, 100));
		assert_memory_equal(data, again, 100);
		succeed();
		r.vfu.id = next_id;
		assert_true(r.vfu.ops->read_run(&r, 0, FWREGS_DATA, again, 100));
		assert_memory_equal(again, item + at, 100);
		succeed();
	}
	out(FWREGS_CMOS, 1, 0x40);
	succeed();
	out(FWREGS_CMOS + 1, 1, 0x77);
	succeed();
	assert_int_equal(in(FWREGS_CMOS + 1, 1), 0x77);
	r.vfu.ops->reset(&r);
	succeed();
	assert_int_equal(cmos(0x40), 0);
}

/* Another selection in between: no read before it is repeated, whatever its id. */
static void a_selection_is_no_read(void **state)
{
	uint8_t data[4];

	(void)state;
	out(FWREGS_SELECTOR, 2, 3);
	run(FWREGS_DATA, data, 4);
	r.vfu.ops->write(&r, 0, FWREGS_SELECTOR, 2, 0);
	assert_true(r.vfu.ops->read_run(&r, 0, FWREGS_DATA, data, 4));
	assert_memory_equal(data, "QEMU", 4);
}

/* What is kept is damaged, bit by bit: it starts anew, or within its bounds. */
static void damaged(void **state)
{
	struct kept good;
	uint8_t data[256];

	(void)state;
	assert_in_range(state_wire_len(&registers_schema), 1, KEPT_SLOT_LEN);
	out(FWREGS_SELECTOR, 2, 3);
	run(FWREGS_DATA, data, 200);
	good = kept;
	for (size_t bit = 0; bit < sizeof(kept) * 8; bit++) {
		kept = good;
		((uint8_t *)&kept)[bit / 8] ^= (uint8_t)(1U << bit % 8);
		succeed();
		for (int i = 0; i < 6; i++)
			run(FWREGS_DATA, data, sizeof(data));
		(void)in(FWREGS_CMOS + 1, 1);
		out(FWREGS_CMOS + 1, 1, 0xff);
		assert_in_range(r.items.offset, 0, FWCFG_IMAGE_SIZE);
		assert_in_range(r.cmos.index, 0, 0x7f);
	}
}

#define T(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_offset_and_width),
		T(selectors_that_there_are_not),
		T(zeros_behind_the_end),
		T(a_selector_begins_anew),
		T(an_image_that_lies),
		T(the_timer_counts),
		T(the_clock_at_its_edges),
		T(hours_of_both_kinds),
		T(an_update_is_announced),
		T(what_can_be_written),
		T(a_successor_goes_on),
		T(a_selection_is_no_read),
		T(damaged),
	};

	return cmocka_run_group_tests_name("firmware_registers", tests, NULL, NULL);
}
