/* SPDX-License-Identifier: Apache-2.0 */
/* Raw images over a real ring: on a file of the temporary directory and on a memory file, which
 * cannot zero ranges. */
#include "lib/base/cleanup.h"
#include "lib/image/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define SIZE (1U << 20)

static struct raw_image raw;
static int file = -1; /* our own descriptor */
static bool direct, forbidden;
static unsigned int n_done;
static int last_result;
static uint64_t last_handle;

static void on_done(void *owner, uint64_t handle, int result)
{
	(void)owner;
	n_done++;
	last_handle = handle;
	last_result = result;
}

static int temporary_file(void)
{
	char path[] = "/tmp/bulkhead-raw-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static void fill(void)
{
	static uint8_t bytes[SIZE];

	memset(bytes, 0x5a, sizeof(bytes));
	assert_int_equal(pwrite(file, bytes, SIZE, 0), SIZE);
}

/* A file description of its own: O_DIRECT is for it alone. */
static int open_again(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_CLOEXEC);
}

static void open_image(bool readonly)
{
	const struct raw_how how = { .readonly = readonly, .direct = direct, .logical = 512 };
	int r = raw_open(&raw, open_again(file), &how, NULL);

	if (direct && (r == -EOPNOTSUPP || r == -EDOM))
		skip(); /* a file system that has no O_DIRECT, or not of 512 bytes */
	assert_int_equal(r, 0);
	if (forbidden)
		assert_int_equal(raw.no_ring, -EPERM);
	raw.image.done = on_done;
}

static int setup_file(void **state)
{
	(void)state;
	file = temporary_file();
	fill();
	return 0;
}

static int setup_direct(void **state)
{
	direct = true;
	return setup_file(state);
}

int __real_uring_open(struct io_uring *ring, unsigned int entries, const int *fds,
		      unsigned int n_fds, const uint8_t *ops, size_t n_ops);
int __wrap_uring_open(struct io_uring *ring, unsigned int entries, const int *fds,
		      unsigned int n_fds, const uint8_t *ops, size_t n_ops);

int __wrap_uring_open(struct io_uring *ring, unsigned int entries, const int *fds,
		      unsigned int n_fds, const uint8_t *ops, size_t n_ops)
{
	return forbidden ? -EPERM : __real_uring_open(ring, entries, fds, n_fds, ops, n_ops);
}

static int setup_workers(void **state)
{
	forbidden = true;
	return setup_file(state);
}

static int setup_direct_workers(void **state)
{
	direct = true;
	return setup_workers(state);
}

static int setup_memory(void **state)
{
	(void)state;
	file = memfd_create("image", MFD_CLOEXEC);
	fill();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (raw.image.ops && raw.image.fd >= 0)
		image_close(&raw.image);
	memset(&raw, 0, sizeof(raw));
	closep(&file);
	direct = forbidden = false;
	return 0;
}

static int run(struct image_io io)
{
	unsigned int before = n_done;
	int r;

	io.handle = before + 1000;
	r = image_queue(&raw.image, &io);
	if (r < 0)
		return r;
	assert_int_equal(n_done, before);
	while (n_done == before)
		assert_int_equal(image_wait(&raw.image), 0);
	assert_int_equal(n_done, before + 1);
	assert_int_equal(last_handle, before + 1000);
	assert_int_equal(raw.n_in_flight, 0);
	return last_result;
}

static int transfer(enum image_op op, uint64_t offset, void *data, size_t len, bool sync)
{
	struct iovec iov[3] = { { data, 100 },
				{ (char *)data + 100, 1 },
				{ (char *)data + 101, len - 101 } };

	return run((struct image_io){
		.op = op, .sync = sync, .offset = offset, .len = len, .iov = iov, .n_iov = 3 });
}

static int span(enum image_op op, uint64_t offset, uint64_t len, bool may_unmap, bool sync)
{
	return run((struct image_io){
		.op = op, .offset = offset, .len = len, .may_unmap = may_unmap, .sync = sync });
}

static void expect_bytes(uint64_t offset, size_t len, uint8_t value)
{
	static uint8_t got[SIZE];

	assert_int_equal(pread(file, got, len, (off_t)offset), len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(got[i], value);
}

static void test_transfers(void **state)
{
	uint8_t out[4096], in[4096] = { 0 };

	(void)state;
	open_image(false);
	assert_int_equal(raw.image.capacity, SIZE);
	memset(out, 7, sizeof(out));
	assert_int_equal(transfer(IMAGE_WRITE, 512, out, sizeof(out), false), 0);
	assert_int_equal(transfer(IMAGE_READ, 512, in, sizeof(in), false), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(transfer(IMAGE_WRITE, SIZE - 4096, out, sizeof(out), true), 0);
	expect_bytes(SIZE - 4096, 4096, 7);
	expect_bytes(SIZE - 8192, 4096, 0x5a);
	assert_int_equal(run((struct image_io){ .op = IMAGE_FLUSH }), 0);
}

static void test_zeroes(void **state)
{
	struct stat st;

	(void)state;
	open_image(false);
	/* above one chunk, for the way that writes them */
	assert_int_equal(span(IMAGE_ZERO, 4096, 700 * 1024, false, false), 0);
	expect_bytes(0, 4096, 0x5a);
	expect_bytes(4096, 700 * 1024, 0);
	expect_bytes(4096 + 700 * 1024, 4096, 0x5a);
	assert_int_equal(span(IMAGE_ZERO, SIZE - 8192, 8192, true, true), 0);
	expect_bytes(SIZE - 8192, 8192, 0);
	assert_int_equal(span(IMAGE_ZERO, 512, 512, false, true), 0);
	expect_bytes(512, 512, 0);
	expect_bytes(0, 512, 0x5a);
	assert_int_equal(fstat(file, &st), 0);
	assert_int_equal(st.st_size, SIZE);
}

static void test_discard(void **state)
{
	struct stat before, after;

	(void)state;
	assert_int_equal(fstat(file, &before), 0);
	open_image(false);
	assert_true(raw.image.can_discard);
	assert_int_equal(span(IMAGE_DISCARD, 65536, SIZE / 2, false, false), 0);
	assert_int_equal(fstat(file, &after), 0);
	assert_int_equal(after.st_size, SIZE);
	assert_true(after.st_blocks < before.st_blocks);
	expect_bytes(0, 65536, 0x5a);
	expect_bytes(65536 + SIZE / 2, 4096, 0x5a);
}

static void test_opening_changes_nothing(void **state)
{
	struct stat before, after;

	(void)state;
	fsync(file);
	assert_int_equal(fstat(file, &before), 0);
	open_image(false);
	assert_int_equal(fstat(file, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(after.st_blocks, before.st_blocks);
	expect_bytes(0, SIZE, 0x5a);
}

static void test_requests_that_cannot_be(void **state)
{
	uint8_t buf[1024] = { 0 };

	(void)state;
	open_image(false);
	assert_int_equal(transfer(IMAGE_READ, SIZE, buf, 512, false), -EINVAL);
	assert_int_equal(transfer(IMAGE_READ, SIZE - 512, buf, 1024, false), -EINVAL);
	assert_int_equal(transfer(IMAGE_READ, UINT64_MAX - 511, buf, 512, false), -EINVAL);
	assert_int_equal(transfer(IMAGE_READ, 1, buf, 512, false), -EINVAL);
	assert_int_equal(transfer(IMAGE_READ, 0, buf, 513, false), -EINVAL);
	assert_int_equal(span(IMAGE_ZERO, 0, 0, false, false), -EINVAL);
	assert_int_equal(span(IMAGE_DISCARD, 512, SIZE, false, false), -EINVAL);
}

static void test_read_only(void **state)
{
	uint8_t buf[512] = { 0 };

	(void)state;
	open_image(true);
	assert_int_equal(transfer(IMAGE_READ, 0, buf, 512, false), 0);
	assert_int_equal(buf[511], 0x5a);
	assert_int_equal(transfer(IMAGE_WRITE, 0, buf, 512, false), -EROFS);
	assert_int_equal(span(IMAGE_ZERO, 0, 512, false, false), -EROFS);
	assert_int_equal(span(IMAGE_DISCARD, 0, 512, false, false), -EROFS);
	assert_int_equal(run((struct image_io){ .op = IMAGE_FLUSH }), 0);
	/* not even by our own mistake: the ring refuses */
	raw.image.readonly = false;
	assert_int_equal(transfer(IMAGE_WRITE, 0, buf, 512, false), -EACCES);
	expect_bytes(0, SIZE, 0x5a);
}

static void test_file_that_shrinks(void **state)
{
	uint8_t buf[4096];

	(void)state;
	open_image(false);
	assert_int_equal(ftruncate(file, SIZE / 2 + 100), 0);
	assert_int_equal(transfer(IMAGE_READ, SIZE / 2 - 4096, buf, 4096, false), 0);
	assert_int_equal(transfer(IMAGE_READ, SIZE / 2, buf, 4096, false), -EIO);
	assert_int_equal(transfer(IMAGE_READ, SIZE - 4096, buf, 4096, false), -EIO);
	assert_int_equal(raw.image.capacity, SIZE);
}

static void test_no_more_than_the_slots(void **state)
{
	static uint8_t buf[RAW_DEPTH + 1][512];
	static struct iovec iov[RAW_DEPTH + 1];
	unsigned int before = n_done;

	(void)state;
	open_image(false);
	for (unsigned int i = 0; i <= RAW_DEPTH; i++) {
		struct image_io io = { .op = IMAGE_READ,
				       .offset = 512ULL * i,
				       .len = 512,
				       .iov = &iov[i],
				       .n_iov = 1,
				       .handle = i };

		iov[i] = (struct iovec){ buf[i], 512 };
		assert_int_equal(image_queue(&raw.image, &io), i < RAW_DEPTH ? 0 : -EBUSY);
	}
	assert_int_equal(image_submit(&raw.image), 0);
	while (raw.n_in_flight)
		assert_int_equal(image_wait(&raw.image), 0);
	assert_int_equal(n_done - before, RAW_DEPTH);
	for (unsigned int i = 0; i < RAW_DEPTH; i++)
		assert_int_equal(buf[i][511], 0x5a);
}

/* Whatever took over the process: this ring does nothing else, and nothing to another file. */
static void expect_refused(void)
{
	struct io_uring_cqe *cqe;

	assert_int_equal(io_uring_submit_and_wait(&raw.ring, 1), 1);
	assert_int_equal(io_uring_peek_cqe(&raw.ring, &cqe), 0);
	assert_int_equal(cqe->res, -EACCES);
	io_uring_cqe_seen(&raw.ring, cqe);
}

static void need_ring(void)
{
	if (raw.no_ring)
		skip(); /* a host that forbids io_uring */
}

static void test_ring_is_closed_to_all_else(void **state)
{
	struct io_uring_sqe *sqe;
	uint8_t buf[512] = { 0 };
	struct iovec iov = { buf, sizeof(buf) };
	int other[1] = { file };

	(void)state;
	open_image(false);
	need_ring();
	sqe = io_uring_get_sqe(&raw.ring);
	io_uring_prep_openat(sqe, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	expect_refused();
	/* space behind the end of the file, which no limit of the process bounds */
	sqe = io_uring_get_sqe(&raw.ring);
	io_uring_prep_fallocate(sqe, 0, FALLOC_FL_KEEP_SIZE, SIZE, SIZE);
	sqe->flags |= IOSQE_FIXED_FILE;
	expect_refused();
	/* the operation is allowed, an ordinary descriptor not */
	sqe = io_uring_get_sqe(&raw.ring);
	io_uring_prep_writev(sqe, file, &iov, 1, 0);
	expect_refused();
	assert_true(io_uring_register_files_update(&raw.ring, 0, other, 1) < 0);
	expect_bytes(0, 512, 0x5a);
}

/* Each takes several turns through a buffer, and most of them wait for one. */
static void test_unaligned_in_flight(void **state)
{
	static uint8_t data[8][300U << 10];
	struct iovec iov[8][2];

	(void)state;
	open_image(false);
	n_done = 0;
	for (unsigned int i = 0; i < 8; i++) {
		size_t len = sizeof(data[i]) - 512;
		struct image_io io = { .op = i % 2 ? IMAGE_READ : IMAGE_WRITE,
				       .offset = i % 2 ? 0 : 512U << 10,
				       .len = len,
				       .iov = iov[i],
				       .n_iov = 2 };

		memset(data[i], 0x33, sizeof(data[i]));
		iov[i][0] = (struct iovec){ data[i] + 1, 1000 };
		iov[i][1] = (struct iovec){ data[i] + 1001, len - 1000 };
		assert_int_equal(image_queue(&raw.image, &io), 0);
	}
	while (raw.n_in_flight)
		assert_int_equal(image_wait(&raw.image), 0);
	assert_int_equal(n_done, 8);
	expect_bytes(512U << 10, sizeof(data[0]) - 512, 0x33);
	expect_bytes((512U << 10) + sizeof(data[0]) - 512, 512, 0x5a);
	for (unsigned int i = 1; i < 8; i += 2) {
		assert_int_equal(data[i][0], 0x33);
		for (size_t j = 1; j <= sizeof(data[i]) - 512; j++)
			assert_int_equal(data[i][j], 0x5a);
		assert_int_equal(data[i][sizeof(data[i]) - 511], 0x33);
	}
	if (direct)
		assert_int_equal(raw.bounce.free, (1U << BOUNCE_BUFFERS) - 1);
}

/* The smallest read that a file takes; 0: any. */
static size_t smallest;

ssize_t __real_pread64(int fd, void *buf, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t offset);

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t offset)
{
	if (len >= smallest)
		return __real_pread64(fd, buf, len, offset);
	errno = EINVAL;
	return -1;
}

static void test_no_direct_here(void **state)
{
	struct raw_how how = { .direct = true, .logical = 512 };
	_cleanup_(closep) int again = open_again(file);

	(void)state;
	smallest = 4096;
	assert_int_equal(raw_open(&raw, again, &how, NULL), -EDOM);
	smallest = 8192;
	assert_int_equal(raw_open(&raw, again, &how, NULL), -EOPNOTSUPP);
	smallest = 4096;
	how.logical = 4096;
	direct = raw_open(&raw, again, &how, NULL) == 0;
	smallest = 0;
	if (!direct)
		skip(); /* no O_DIRECT, or no io_uring */
	again = -1;
	assert_int_equal(raw.unit_mask, 4095);
}

static void test_files_that_are_none(void **state)
{
	_cleanup_(closep) int dir = open("/", O_RDONLY | O_CLOEXEC);
	_cleanup_(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_(closep) int read_only = -1;
	char path[64];

	(void)state;
	assert_int_equal(raw_open(&raw, dir, &(struct raw_how){ .readonly = true }, NULL), -EINVAL);
	assert_int_equal(raw_open(&raw, null, &(struct raw_how){ .readonly = true }, NULL),
			 -EINVAL);
	assert_int_equal(raw_open(&raw, -1, &(struct raw_how){ .readonly = true }, NULL), -EBADF);
	assert_int_equal(ftruncate(file, 511), 0);
	assert_int_equal(raw_open(&raw, file, &(struct raw_how){ .readonly = true }, NULL),
			 -ENODATA);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(raw_open(&raw, read_only, &(struct raw_how){ .readonly = false }, NULL),
			 -EACCES);
	memset(&raw, 0, sizeof(raw));
}

#define ON_FILE(f) cmocka_unit_test_setup_teardown(f, setup_file, teardown)
#define ON_DIRECT(f)                                                 \
	{                                                            \
#f " with O_DIRECT", f, setup_direct, teardown, NULL \
	}
#define ON_WORKERS(f)                                                    \
	{                                                                \
#f " without io_uring", f, setup_workers, teardown, NULL \
	}
#define ON_DIRECT_WORKERS(f)                                                                 \
	{                                                                                    \
#f " by O_DIRECT, without io_uring", f, setup_direct_workers, teardown, NULL \
	}
#define ON_MEMORY(f)                                                    \
	{                                                               \
#f " on a memory file", f, setup_memory, teardown, NULL \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		ON_FILE(test_transfers),
		ON_MEMORY(test_transfers),
		ON_FILE(test_zeroes),
		ON_MEMORY(test_zeroes),
		ON_FILE(test_discard),
		ON_MEMORY(test_discard),
		ON_FILE(test_opening_changes_nothing),
		ON_FILE(test_requests_that_cannot_be),
		ON_FILE(test_read_only),
		ON_FILE(test_file_that_shrinks),
		ON_MEMORY(test_file_that_shrinks),
		ON_FILE(test_no_more_than_the_slots),
		ON_FILE(test_ring_is_closed_to_all_else),
		ON_FILE(test_files_that_are_none),
		ON_DIRECT(test_transfers),
		ON_DIRECT(test_zeroes),
		ON_DIRECT(test_discard),
		ON_DIRECT(test_read_only),
		ON_DIRECT(test_file_that_shrinks),
		ON_FILE(test_unaligned_in_flight),
		ON_DIRECT(test_unaligned_in_flight),
		ON_FILE(test_no_direct_here),
		ON_WORKERS(test_transfers),
		ON_WORKERS(test_zeroes),
		ON_WORKERS(test_discard),
		ON_WORKERS(test_file_that_shrinks),
		ON_WORKERS(test_no_more_than_the_slots),
		ON_WORKERS(test_requests_that_cannot_be),
		ON_WORKERS(test_unaligned_in_flight),
		ON_DIRECT_WORKERS(test_unaligned_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
