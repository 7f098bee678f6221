/* SPDX-License-Identifier: Apache-2.0 */
/* A NOR flash's commands: every byte in every mode, where the status shows, and what a successor makes of what it finds. */
#include "cmd/dev-flash/flash.h"

#include "tests/unit/unit.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define SIZE (4 * 4096U)

static struct flash f;
static struct store store;
static struct kept kept;
static struct loop loop;
static uint8_t view[SIZE], on_disk[SIZE + FLASH_LOG_LEN(SIZE)];
static uint64_t disk_size;
static int peer, timer;
static uint16_t next_id;

static ssize_t read_disk(void *owner, void *to, size_t len, uint64_t at)
{
	(void)owner;
	memcpy(to, on_disk + at, len);
	return (ssize_t)len;
}

static ssize_t write_disk(void *owner, const void *from, size_t len, uint64_t at)
{
	(void)owner;
	assert_true(at + len <= disk_size);
	memcpy(on_disk + at, from, len);
	return (ssize_t)len;
}

static int sync_disk(void *owner)
{
	(void)owner;
	return 0;
}

static int truncate_disk(void *owner, uint64_t size)
{
	(void)owner;
	if (size > disk_size)
		memset(on_disk + disk_size, 0, size - disk_size);
	disk_size = size;
	return 0;
}

static void open_device(void)
{
	static const struct store_io io = { read_disk, write_disk, sync_disk, truncate_disk, NULL };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(loop_open(&loop), 0);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	assert_int_equal(store_alloc(&store, &io, disk_size), 0);
	assert_int_equal(flash_open(&f, &store, view, &kept, timer, &loop, pair[0]), 0);
	assert_int_equal(store_read(&store), 0);
	flash_begin(&f);
	peer = pair[1];
}

/* As if it was killed: nothing is said to it. */
static void close_device(void)
{
	loop_remove(&loop, &f.timer);
	vfu_server_close(&f.vfu);
	loop_close(&loop);
	close(peer);
	close(timer);
	store_free(&store);
}

static int begin(void **state)
{
	(void)state;
	disk_size = SIZE;
	for (size_t i = 0; i < SIZE; i++)
		on_disk[i] = (uint8_t)(i % 13 + 1);
	memset(view, 0xee, sizeof(view));
	memset(&kept, 0, sizeof(kept));
	open_device();
	return 0;
}

static int end(void **state)
{
	(void)state;
	close_device();
	return 0;
}

static void out(uint32_t at, uint8_t value)
{
	f.vfu.id = ++next_id;
	f.vfu.ops->write(&f, 0, at, 1, value);
}

static uint32_t done(void)
{
	return (uint32_t)f.vfu.ops->read(&f, VFU_DONE_REGION, 0, 4);
}

static uint8_t original(uint32_t at)
{
	return (uint8_t)(at % 13 + 1);
}

static void the_view_is_the_file(void **state)
{
	(void)state;
	assert_memory_equal(view, on_disk, SIZE);
}

/* What OVMF finds a flash by: 0x50 leaves the array, 0x70 shows a status that is zero, 0xff the array again. */
static void as_firmware_looks_for_it(void **state)
{
	(void)state;
	out(5, 0x50);
	assert_int_equal(view[5], original(5));
	out(5, 0x70);
	assert_int_equal(view[5], 0);
	out(5, 0xff);
	assert_int_equal(view[5], original(5));
}

static void every_command(void **state)
{
	(void)state;
	for (unsigned int c = 0; c < 256; c++) {
		const bool programs = c == 0x10 || c == 0x40, erases = c == 0x20;

		out(100, (uint8_t)c);
		assert_int_equal(f.now.mode, programs  ? FLASH_PROGRAM :
					     erases    ? FLASH_ERASE :
					     c == 0x70 ? FLASH_STATUS :
							 FLASH_ARRAY);
		if (programs)
			out(100, original(100));
		out(100, 0xff);
		assert_int_equal(f.now.mode, FLASH_ARRAY);
	}
	for (uint32_t i = 0; i < SIZE; i++)
		assert_int_equal(view[i], original(i));
}

static void every_byte_can_be_programmed(void **state)
{
	(void)state;
	for (unsigned int v = 0; v < 256; v++) {
		out(v, 0x10);
		out(v, (uint8_t)v);
		assert_int_equal(view[v], 0x80); /* ready */
		if (v)
			assert_int_equal(view[v - 1], v - 1);
	}
	out(0, 0xff);
	for (unsigned int v = 0; v < 256; v++)
		assert_int_equal(view[v], v);
	assert_int_equal(view[256], original(256));
}

static void erasing(void **state)
{
	(void)state;
	for (unsigned int c = 0; c < 256; c++) {
		out(4096 + 7, 0x20);
		out(4096 + 7, (uint8_t)c);
		if (c != 0xd0)
			assert_int_equal(f.now.mode, FLASH_ARRAY);
		out(0, 0xff);
		for (uint32_t i = 0; i < SIZE; i++)
			assert_int_equal(view[i], i / 4096 == 1 && c >= 0xd0 ? 0xff : original(i));
	}
	out(SIZE - 1, 0x20);
	out(SIZE - 1, 0xd0);
	out(0, 0xff);
	assert_int_equal(view[SIZE - 1], 0xff);
	assert_int_equal(view[SIZE - 4097], original(SIZE - 4097));
}

/* Of what was programmed, what was left in another mode waits; the array's return brings it into the file. */
static void what_reaches_the_file(void **state)
{
	(void)state;
	out(9, 0x10);
	out(9, 0xaa);
	assert_int_equal(disk_size, SIZE);
	out(9, 0xff);
	assert_int_equal(disk_size, SIZE + FLASH_LOG_LEN(SIZE));
	close_device();
	memset(&kept, 0, sizeof(kept)); /* all processes of the VM are gone */
	memset(view, 0, sizeof(view));
	open_device();
	assert_int_equal(view[9], 0xaa);
	flash_finish(&f);
	assert_int_equal(disk_size, SIZE);
	assert_int_equal(on_disk[9], 0xaa);
}

static void a_reset_shows_the_array(void **state)
{
	(void)state;
	out(9, 0x10);
	f.vfu.ops->reset(&f);
	assert_int_equal(view[9], original(9));
	out(9, 0x10);
	out(9, 0xab);
	f.vfu.ops->reset(&f);
	assert_int_equal(view[9], 0xab);
	assert_int_equal(done(), 0);
}

/* ---- a successor ---- */

/* One who was cut off after each write of a program, whose client has or has not heard the answer. */
static void killed_after_every_write(void **state)
{
	static const struct {
		uint32_t at;
		uint8_t value;
	} writes[] = { { 3, 0x50 }, { 3, 0x70 },    { 3, 0xff },    { 3, 0x10 },
		       { 3, 0x20 }, { 4, 0x10 },    { 4, 0xd0 },    { 4, 0xff },
		       { 3, 0xff }, { 8192, 0x20 }, { 8192, 0xd0 }, { 1, 0x10 },
		       { 1, 0x77 }, { 2, 0x10 },    { 2, 0x66 },    { 2, 0xff } };
	const size_t n = sizeof(writes) / sizeof(writes[0]);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		out(writes[i].at, writes[i].value);
		close_device();
		open_device();
		assert_int_equal(done(), VFU_DONE_ANY | next_id);
	}
	for (uint32_t i = 0; i < SIZE; i++)
		assert_int_equal(view[i], i == 1	? 0x77 :
					  i == 2	? 0x66 :
					  i == 3	? 0x20 :
					  i == 4	? 0xd0 :
					  i / 4096 == 2 ? 0xff :
							  original(i));
}

/* What a predecessor had programmed and not committed is its successor's to commit. */
static void killed_before_the_commit(void **state)
{
	(void)state;
	out(9, 0x10);
	out(9, 0xaa);
	close_device();
	assert_int_equal(disk_size, SIZE);
	open_device();
	assert_int_equal(view[9], 0x80);
	assert_int_equal(store.saved[9], 0xaa);
}

static void what_is_kept_may_lie(void **state)
{
	(void)state;
	for (int what = 0; what < 3; what++) {
		out(9, 0x10);
		out(9, 0xaa);
		out(9, 0xff);
		close_device();
		if (what == 0)
			memset(kept.slots, 0xff, sizeof(kept.slots));
		if (what == 1)
			kept.slots[kept.sequence & 1][STATE_HEADER_LEN] = FLASH_MODES;
		if (what == 2)
			memset(kept.slots[kept.sequence & 1] + STATE_HEADER_LEN, 0xff, 10);
		memset(view, 0x55, sizeof(view));
		open_device();
		assert_int_equal(view[9], 0xaa);
		assert_int_equal(view[10], original(10));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_view_is_the_file, begin, end),
		cmocka_unit_test_setup_teardown(as_firmware_looks_for_it, begin, end),
		cmocka_unit_test_setup_teardown(every_command, begin, end),
		cmocka_unit_test_setup_teardown(every_byte_can_be_programmed, begin, end),
		cmocka_unit_test_setup_teardown(erasing, begin, end),
		cmocka_unit_test_setup_teardown(what_reaches_the_file, begin, end),
		cmocka_unit_test_setup_teardown(a_reset_shows_the_array, begin, end),
		cmocka_unit_test_setup_teardown(killed_after_every_write, begin, end),
		cmocka_unit_test_setup_teardown(killed_before_the_commit, begin, end),
		cmocka_unit_test_setup_teardown(what_is_kept_may_lie, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
