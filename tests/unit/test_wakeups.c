/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of images count what they have done in eventfds: each count is read once, whenever it comes,
 * and none is looked for that cannot come. */
#include "lib/base/cleanup.h"
#include "lib/image/front.h"
#include "lib/image/raw.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define SIZE (1U << 20)

static struct raw_image raw;
static struct front front;
static struct store_fd file;
static struct volume_raw volume;
static _Atomic int held = -1; /* an eventfd whose counts wait */
static unsigned int n_reads, n_done;

int __wrap_uring_open(struct io_uring *ring, unsigned int entries, const int *fds,
		      unsigned int n_fds, const uint8_t *ops, size_t n_ops);
ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len);
ssize_t __real_read(int fd, void *buf, size_t len);
ssize_t __wrap_read(int fd, void *buf, size_t len);
int __real_uring_open(struct io_uring *ring, unsigned int entries, const int *fds,
		      unsigned int n_fds, const uint8_t *ops, size_t n_ops);

static bool forbidden;

int __wrap_uring_open(struct io_uring *ring, unsigned int entries, const int *fds,
		      unsigned int n_fds, const uint8_t *ops, size_t n_ops)
{
	return forbidden ? -EPERM : __real_uring_open(ring, entries, fds, n_fds, ops, n_ops);
}

ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
	while (fd == atomic_load(&held))
		sched_yield();
	return __real_write(fd, buf, len);
}

ssize_t __wrap_read(int fd, void *buf, size_t len)
{
	n_reads += fd == front.worker.done_fd;
	return __real_read(fd, buf, len);
}

static void on_done(void *owner, uint64_t handle, int result)
{
	(void)owner, (void)handle;
	assert_int_equal(result, 0);
	n_done++;
}

static int memory(void)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	return fd;
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

static void start(struct image *image, enum image_op op)
{
	static uint8_t bytes[512];
	static struct iovec iov;
	struct image_io io = { .op = op, .len = sizeof(bytes), .iov = &iov, .n_iov = 1 };

	iov = (struct iovec){ bytes, sizeof(bytes) };
	assert_int_equal(image_queue(image, &io), 0);
	assert_int_equal(image_submit(image), 0);
}

/* The result is there before its count. */
static void test_a_count_that_comes_late(void **state)
{
	const struct raw_how how = { .logical = 512 };

	(void)state;
	forbidden = true;
	assert_int_equal(raw_open(&raw, memory(), &how, NULL), 0);
	assert_int_equal(raw.no_ring, -EPERM);
	raw.image.done = on_done;
	n_done = 0;
	atomic_store(&held, raw.workers.done_fd);
	start(&raw.image, IMAGE_READ);
	while (!n_done)
		assert_int_equal(image_reap(&raw.image), 0);
	atomic_store(&held, -1);
	assert_true(readable(raw.image.fd, 60000));
	assert_int_equal(image_reap(&raw.image), 0);
	assert_false(readable(raw.image.fd, 0));
	image_close(&raw.image);
}

static int open_volume(void *arg, struct volume **ret, struct volume_error *e)
{
	(void)arg, (void)e;
	*ret = &volume.volume;
	return 0;
}

static void open_front(void)
{
	struct front_setup setup = { .files = { { .store = &file.store } },
				     .n_files = 1,
				     .open = open_volume };
	struct volume_error e;
	int r;

	forbidden = false;
	assert_int_equal(store_fd_open(&file, memory(), 0), 0);
	assert_int_equal(volume_raw_open(&volume, &file.store), 0);
	setup.files[0].fd = file.fd;
	r = front_open(&front, &setup);
	if (r == -EPERM || r == -ENOSYS)
		skip(); /* a host that forbids io_uring */
	assert_int_equal(r, 0);
	assert_int_equal(front_begin(&front, &e), 0);
	front.image.done = on_done;
	n_done = 0;
}

static void test_what_the_ring_does_reads_no_count(void **state)
{
	(void)state;
	open_front();
	while (front.heard != front.queued) /* that it is open was said before it was counted */
		assert_int_equal(image_reap(&front.image), 0);
	n_reads = 0;
	for (unsigned int i = 1; i <= 8; i++) {
		start(&front.image, i % 2 ? IMAGE_READ : IMAGE_WRITE);
		while (n_done < i)
			assert_int_equal(image_reap(&front.image), 0);
	}
	assert_int_equal(n_reads, 0);
	image_close(&front.image);
}

/* As the raw image's. */
static void test_a_count_of_the_front_that_comes_late(void **state)
{
	(void)state;
	open_front();
	atomic_store(&held, front.worker.done_fd);
	start(&front.image, IMAGE_DISCARD);
	while (!n_done)
		assert_int_equal(image_reap(&front.image), 0);
	atomic_store(&held, -1);
	assert_true(readable(front.image.other_fd, 60000));
	assert_int_equal(image_reap(&front.image), 0);
	assert_false(readable(front.image.other_fd, 0));
	image_close(&front.image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_count_that_comes_late),
		cmocka_unit_test(test_what_the_ring_does_reads_no_count),
		cmocka_unit_test(test_a_count_of_the_front_that_comes_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
