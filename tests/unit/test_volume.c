/* SPDX-License-Identifier: Apache-2.0 */
/* Windows of vectors, a store on a descriptor, raw volumes. */
#include "lib/base/cleanup.h"
#include "lib/image/iov.h"
#include "lib/image/volume.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define SIZE 8192U

static int memory_file(size_t size)
{
	int fd = memfd_create("test-volume", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void open_raw(struct volume_raw *raw, struct store_fd *store, unsigned int flags)
{
	assert_int_equal(store_fd_open(store, memory_file(SIZE), flags), 0);
	assert_int_equal(volume_raw_open(raw, &store->store), 0);
}

static void test_window(void **state)
{
	char text[] = "0123456789";
	const struct iovec iov[] = {
		{ text, 3 }, { text + 3, 0 }, { text + 3, 4 }, { text + 7, 3 }
	};
	struct iovec out[4];
	uint64_t len = 5;

	(void)state;
	assert_int_equal(iov_bytes(iov, 4), 10);
	assert_int_equal(iov_window(iov, 4, 2, &len, out, 4), 2);
	assert_int_equal(len, 5);
	assert_ptr_equal(out[0].iov_base, text + 2);
	assert_int_equal(out[1].iov_len, 4);
	assert_int_equal(iov_window(iov, 4, 2, &len, out, 1), 1); /* too few pieces */
	assert_int_equal(len, 1);
	len = 5;
	assert_int_equal(iov_window(iov, 4, 10, &len, out, 4), 0);
	assert_int_equal(len, 0);
	iov_zero(iov, 4, 2, 2);
	assert_memory_equal(text, "01\0\000456789", 10);
	iov_fill(iov, 4, 8, "xyz", 3); /* stops at the end */
	assert_memory_equal(text + 4, "4567xy", 7);
}

static void test_what_no_store_is(void **state)
{
	_cleanup_(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_(closep) int file = memory_file(512);
	char name[32];
	_cleanup_(closep) int readonly = -1;
	struct store_fd s;

	(void)state;
	assert_int_equal(store_fd_open(&s, null, 0), -EINVAL);
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
	readonly = open(name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(store_fd_open(&s, readonly, 0), -EACCES);
	assert_int_equal(store_fd_open(&s, readonly, STORE_READONLY), 0);
	assert_int_equal(store_write(&s.store, "x", 1, 0), -EROFS);
	assert_int_equal(store_punch(&s.store, 0, 1), -EROFS);
}

static void test_behind_the_end_are_zeroes(void **state)
{
	struct store_fd s;
	char buf[8];

	(void)state;
	assert_int_equal(store_fd_open(&s, memory_file(4), 0), 0);
	memset(buf, 1, sizeof(buf));
	assert_int_equal(store_read(&s.store, buf, 8, 2), 2);
	assert_memory_equal(buf, "\0\0\0\0\0\0\0", 8);
	assert_int_equal(store_read(&s.store, buf, 8, INT64_MAX), 0);
	assert_int_equal(store_read(&s.store, buf, 8, UINT64_MAX - 2), 0);
	assert_int_equal(store_write(&s.store, buf, 8, INT64_MAX - 2), -EFBIG);
	assert_int_equal(store_truncate(&s.store, 1), -EOPNOTSUPP); /* not a tool */
	assert_int_equal(store_write(&s.store, "x", 1, 99), 0);
	assert_int_equal(s.store.size, 100);
	store_close(&s.store);
}

static void test_many_pieces(void **state)
{
	static struct iovec iov[3000];
	static uint8_t bytes[SIZE], back[SIZE];
	struct volume_raw raw;
	struct store_fd s;

	(void)state;
	open_raw(&raw, &s, 0);
	for (size_t i = 0; i < 3000; i++) {
		bytes[i] = (uint8_t)(i * 7);
		iov[i] = (struct iovec){ .iov_base = &bytes[i], .iov_len = 1 };
	}
	assert_int_equal(volume_writev(&raw.volume, iov, 3000, 100), 0);
	assert_int_equal(volume_read(&raw.volume, back, 3000, 100), 0);
	assert_memory_equal(back, bytes, 3000);
	volume_close(&raw.volume);
}

static void test_outside_the_volume(void **state)
{
	struct extent e = { .len = 7 };
	struct volume_raw raw;
	struct store_fd s;
	uint8_t buf[2] = { 0 };

	(void)state;
	open_raw(&raw, &s, 0);
	assert_int_equal(volume_read(&raw.volume, buf, 2, SIZE - 1), -EINVAL);
	assert_int_equal(volume_write(&raw.volume, buf, 2, UINT64_MAX), -EINVAL);
	assert_int_equal(volume_zero(&raw.volume, 1, SIZE, true), -EINVAL);
	assert_int_equal(volume_discard(&raw.volume, SIZE, 1), -EINVAL);
	assert_int_equal(volume_map(&raw.volume, SIZE, 1, &e), -EINVAL);
	assert_int_equal(volume_map_cached(&raw.volume, 0, 0, &e), -EINVAL);
	assert_int_equal(e.len, 7);
	assert_int_equal(s.store.size, SIZE);
	volume_close(&raw.volume);
}

static void test_holes(void **state)
{
	static uint8_t bytes[SIZE];
	struct extent e;
	struct volume_raw raw;
	struct store_fd s;

	(void)state;
	open_raw(&raw, &s, STORE_TOOL);
	memset(bytes, 1, SIZE);
	assert_int_equal(volume_write(&raw.volume, bytes, SIZE, 0), 0);
	assert_int_equal(volume_zero(&raw.volume, 0, 4096, true), 0);
	assert_int_equal(volume_map(&raw.volume, 0, SIZE, &e), 0);
	assert_int_equal(e.kind, EXTENT_ZERO);
	assert_int_equal(e.len, 4096);
	assert_int_equal(volume_zero(&raw.volume, 4096, 100, false), 0);
	assert_int_equal(volume_map(&raw.volume, 4096, SIZE - 4096, &e), 0);
	assert_int_equal(e.kind, EXTENT_DATA);
	assert_int_equal(e.offset, 4096);
	assert_int_equal(volume_read(&raw.volume, bytes, SIZE, 0), 0);
	assert_int_equal(bytes[4095] | bytes[4195], 0);
	assert_int_equal(bytes[4196], 1);
	volume_close(&raw.volume);
}

static void test_a_readonly_volume(void **state)
{
	struct volume_raw raw;
	struct store_fd s;
	uint8_t b = 1;

	(void)state;
	open_raw(&raw, &s, STORE_READONLY);
	assert_int_equal(volume_write(&raw.volume, &b, 1, 0), -EROFS);
	assert_int_equal(volume_zero(&raw.volume, 0, 1, true), -EROFS);
	assert_int_equal(volume_discard(&raw.volume, 0, 1), -EROFS);
	assert_int_equal(volume_read(&raw.volume, &b, 1, 0), 0);
	assert_int_equal(b, 0);
	volume_close(&raw.volume);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_what_no_store_is),
		cmocka_unit_test(test_behind_the_end_are_zeroes),
		cmocka_unit_test(test_many_pieces),
		cmocka_unit_test(test_outside_the_volume),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_a_readonly_volume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
