/* SPDX-License-Identifier: Apache-2.0 */
/* The asynchronous front over volumes: one whose clusters move under it, hostile first, and raw. */
#include "lib/base/cleanup.h"
#include "lib/image/front.h"
#include "tests/unit/testmoving.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SECTORS (MOVING_SIZE / 512)
#define MOST 64U /* requests in flight, of the model */

static struct front front;
static struct store_fd file, backing;
static struct moving moving;
static struct volume_raw raw;
static const char *open_fails;

/* ---- requests ---- */

struct request {
	bool flying;
	struct image_io io;
	struct iovec iov[3];
	uint8_t *bytes;
	int result;
};

static struct request requests[FRONT_DEPTH + 1];
static unsigned int n_done;

static void on_done(void *owner, uint64_t handle, int result)
{
	struct request *r = &requests[handle];

	(void)owner;
	assert_true(r->flying);
	assert_ptr_equal(r->io.iov, r->iov);
	r->flying = false;
	r->result = result;
	n_done++;
}

/* In three pieces of memory that have nothing to do with sectors. */
static int ask(unsigned int i, enum image_op op, uint64_t offset, void *bytes, uint64_t len)
{
	struct request *r = &requests[i];
	size_t first = len / 3, second = len / 2 - first;
	int e;

	assert_false(r->flying);
	r->bytes = bytes;
	if (bytes) {
		r->iov[0] = (struct iovec){ bytes, first };
		r->iov[1] = (struct iovec){ (uint8_t *)bytes + first, second };
		r->iov[2] =
			(struct iovec){ (uint8_t *)bytes + first + second, len - first - second };
	}
	r->io = (struct image_io){ .op = op,
				   .offset = offset,
				   .len = len,
				   .iov = r->iov,
				   .n_iov = op == IMAGE_READ || op == IMAGE_WRITE ? 3 : 0,
				   .handle = i };
	e = image_queue(&front.image, &r->io);
	r->flying = e == 0;
	return e;
}

static int finish(unsigned int i)
{
	while (requests[i].flying)
		assert_int_equal(image_wait(&front.image), 0);
	return requests[i].result;
}

static int run(enum image_op op, uint64_t offset, void *bytes, uint64_t len)
{
	int r = ask(0, op, offset, bytes, len);

	return r < 0 ? r : finish(0);
}

static void drain(void)
{
	while (front.n_in_flight)
		assert_int_equal(image_wait(&front.image), 0);
}

/* ---- the front ---- */

static int open_volume(void *arg, struct volume **ret, struct volume_error *e)
{
	if (open_fails)
		return volume_fail(e, -EINVAL, "%s", open_fails);
	*ret = arg;
	return 0;
}

static void open_store(struct store_fd *s, uint64_t size)
{
	int fd = memfd_create("store", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(store_fd_open(s, fd, 0), 0);
}

static void open_front(struct volume *v, bool readonly)
{
	const struct front_setup setup = { .files = { { file.fd, &file.store },
						      { backing.fd, &backing.store } },
					   .n_files = backing.fd >= 0 ? 2 : 1,
					   .readonly = readonly,
					   .open = open_volume,
					   .arg = v };
	struct volume_error e;
	int r = front_open(&front, &setup);

	if (r == -EPERM || r == -ENOSYS)
		skip(); /* a host that forbids io_uring */
	assert_int_equal(r, 0);
	assert_int_equal(front_begin(&front, &e), 0);
	front.image.done = on_done;
}

static int setup_moving(void **state)
{
	(void)state;
	open_store(&file, (uint64_t)MOVING_PLACES * MOVING_CLUSTER);
	backing.fd = -1;
	moving_open(&moving, &file.store, NULL);
	open_front(&moving.volume, false);
	return 0;
}

/* Not cut to the size of what stands on it. */
static int setup_backed(void **state)
{
	uint8_t bytes[512];

	(void)state;
	open_store(&file, (uint64_t)MOVING_PLACES * MOVING_CLUSTER);
	open_store(&backing, MOVING_SIZE);
	for (unsigned int i = 0; i < SECTORS; i++) {
		memset(bytes, (int)(1 + i % 200), sizeof(bytes));
		assert_int_equal(store_write(&backing.store, bytes, sizeof(bytes), i * 512), 0);
	}
	backing.store.readonly = true;
	moving_open(&moving, &file.store, &backing.store);
	open_front(&moving.volume, false);
	return 0;
}

static int setup_raw(void **state)
{
	(void)state;
	open_store(&file, MOVING_SIZE);
	backing.fd = -1;
	assert_int_equal(volume_raw_open(&raw, &file.store), 0);
	open_front(&raw.volume, false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (front.image.ops && front.image.fd >= 0)
		image_close(&front.image);
	memset(&front, 0, sizeof(front));
	memset(requests, 0, sizeof(requests));
	store_close(file.fd >= 0 && front.worker.volume != &raw.volume ? &file.store : NULL);
	file.fd = -1;
	n_done = 0;
	open_fails = NULL;
	return 0;
}

/* ---- against a model ---- */

static uint8_t model[SECTORS]; /* each sector is of one byte, again and again */
static bool busy[SECTORS];
static uint8_t memory[MOST][16 * 512];

static bool take_sectors(uint64_t first, uint64_t n)
{
	for (uint64_t i = first; i < first + n; i++)
		if (busy[i])
			return false;
	memset(busy + first, true, n);
	return true;
}

static void end_model(unsigned int i)
{
	const struct image_io *io = &requests[i].io;
	uint64_t first = io->offset / 512, n = io->len / 512;

	assert_int_equal(requests[i].result, 0);
	memset(busy + first, false, n);
	for (uint64_t k = 0; k < n; k++) {
		if (io->op == IMAGE_WRITE)
			model[first + k] = requests[i].bytes[k * 512];
		else if (io->op != IMAGE_READ)
			model[first + k] = 0;
		for (unsigned int b = 0; io->op == IMAGE_READ && b < 512; b++)
			assert_int_equal(requests[i].bytes[k * 512 + b], model[first + k]);
	}
}

static void begin_model(unsigned int i, uint64_t *random)
{
	uint64_t n = 1 + next_random(random) % 16, first = next_random(random) % (SECTORS - n + 1);
	unsigned int kind = next_random(random) % 16;
	enum image_op op = kind < 6  ? IMAGE_READ :
			   kind < 13 ? IMAGE_WRITE :
			   kind < 14 ? IMAGE_ZERO :
			   kind < 15 ? IMAGE_DISCARD :
				       IMAGE_FLUSH;

	if (op == IMAGE_FLUSH)
		n = 0;
	if (!take_sectors(first, n))
		return;
	for (uint64_t k = 0; k < n; k++)
		memset(memory[i] + k * 512,
		       op == IMAGE_WRITE ? (int)(next_random(random) % 200) : 0xdd, 512);
	assert_int_equal(ask(i, op, first * 512, memory[i], n * 512), 0);
}

/* What is in flight never shares a sector, but clusters, all the time. */
static void play_model(unsigned int n_requests, uint64_t seed)
{
	static bool began[MOST];
	uint64_t random = seed;

	memset(began, false, sizeof(began));
	for (unsigned int n = 0; n < n_requests || front.n_in_flight;) {
		for (unsigned int i = 0; i < MOST; i++) {
			if (began[i] && !requests[i].flying) {
				end_model(i);
				began[i] = false;
			}
			if (!began[i] && n < n_requests) {
				n++;
				begin_model(i, &random);
				began[i] = requests[i].flying;
			}
		}
		assert_int_equal(image_wait(&front.image), 0);
	}
	for (unsigned int i = 0; i < MOST; i++)
		if (began[i])
			end_model(i);
}

static void test_model(void **state)
{
	(void)state;
	for (unsigned int cold = 0; cold <= 16; cold += 4) {
		moving.cold = cold;
		memset(model, 0, sizeof(model));
		assert_int_equal(run(IMAGE_ZERO, 0, NULL, MOVING_SIZE), 0);
		play_model(4000, cold + 1);
		assert_int_equal(moving.unsettled, 0);
	}
}

static void test_model_on_a_backing_file(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < SECTORS; i++)
		model[i] = (uint8_t)(1 + i % 200);
	moving.cold = 2;
	play_model(8000, 5);
}

static void test_model_on_raw(void **state)
{
	(void)state;
	memset(model, 0, sizeof(model));
	play_model(8000, 6);
}

/* ---- ways ---- */

static void test_plain_bytes_never_ask_the_volume(void **state)
{
	uint8_t bytes[2 * MOVING_CLUSTER] = { 1 };
	unsigned int before;

	(void)state;
	assert_int_equal(run(IMAGE_WRITE, 0, bytes, sizeof(bytes)), 0);
	before = moving.n_ops;
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(run(IMAGE_WRITE, i * 512, bytes, sizeof(bytes) - i * 512), 0);
		assert_int_equal(run(IMAGE_READ, i * 512, bytes, sizeof(bytes) - i * 512), 0);
	}
	assert_int_equal(moving.n_ops, before);
}

static void test_holes_of_a_chain_are_read_by_the_ring(void **state)
{
	uint8_t bytes[2 * MOVING_CLUSTER];

	(void)state;
	assert_int_equal(run(IMAGE_READ, 512, bytes, sizeof(bytes)), 0);
	assert_int_equal(bytes[0], 2);
	assert_int_equal(moving.n_ops, 0);
}

/* A write moves the cluster: it is not begun before a read of its other half has ended, and the other
 * way round. */
static void test_nothing_meets_in_a_cluster(void **state)
{
	static uint8_t a[512], b[512], c[512];

	(void)state;
	assert_int_equal(run(IMAGE_ZERO, 512, NULL, 512), 0);
	moving.held = true;
	assert_int_equal(ask(0, IMAGE_ZERO, 1024, NULL, 512), 0);
	assert_int_equal(image_submit(&front.image), 0);
	sem_wait(&moving.at);
	assert_int_equal(ask(1, IMAGE_READ, 512, a, 512), 0);
	assert_int_equal(ask(2, IMAGE_WRITE, 0, b, 512), 0);
	assert_int_equal(ask(3, IMAGE_READ, MOVING_CLUSTER, c, 512), 0);
	assert_int_equal(front.n_on_ring, 0);
	moving.held = false;
	sem_post(&moving.go);
	drain();
	assert_int_equal(n_done, 5);
}

/* Who reads again and again does not keep out who waits for it. */
static void test_nobody_overtakes(void **state)
{
	static uint8_t a[4][512];

	(void)state;
	assert_int_equal(run(IMAGE_WRITE, 0, a[0], 512), 0);
	assert_int_equal(ask(0, IMAGE_READ, 0, a[0], 512), 0);
	assert_int_equal(ask(1, IMAGE_DISCARD, 512, NULL, 512), 0);
	assert_int_equal(ask(2, IMAGE_READ, 1024, a[2], 512), 0);
	assert_int_equal(front.n_on_ring, 1);
	assert_int_equal(front.slot[front.first_waiting].io.handle, 1);
	drain();
}

static void test_nothing_starts_before_submit(void **state)
{
	static uint8_t a[512];

	(void)state;
	assert_int_equal(ask(0, IMAGE_WRITE, 0, a, 512), 0);
	usleep(1000); /* for a worker that would not wait */
	assert_int_equal(moving.n_ops, 0);
	drain();
	assert_int_equal(moving.n_ops, 1);
}

static void test_too_many(void **state)
{
	static uint8_t a[512];

	(void)state;
	for (unsigned int i = 0; i < FRONT_DEPTH; i++)
		assert_int_equal(ask(i, IMAGE_WRITE, i * 512, a, 512), 0);
	assert_int_equal(ask(FRONT_DEPTH, IMAGE_FLUSH, 0, NULL, 0), -EBUSY);
	drain();
	assert_int_equal(n_done, FRONT_DEPTH);
	assert_int_equal(run(IMAGE_FLUSH, 0, NULL, 0), 0);
}

/* ---- what has completed is not lost ---- */

static void test_flush_asks_the_volume_when_it_has_something(void **state)
{
	static uint8_t a[512];

	(void)state;
	assert_int_equal(run(IMAGE_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(moving.n_flushes, 1); /* opening may have written */
	assert_int_equal(run(IMAGE_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(moving.n_flushes, 1);
	assert_int_equal(run(IMAGE_WRITE, 0, a, 512), 0); /* allocates */
	assert_int_equal(run(IMAGE_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(moving.n_flushes, 2);
	assert_int_equal(run(IMAGE_WRITE, 512, a, 512), 0); /* overwrites */
	assert_int_equal(run(IMAGE_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(moving.n_flushes, 2);
}

/* One that came while a flush was at it is for the next. */
static void test_a_flush_does_not_cover_what_came_later(void **state)
{
	static uint8_t a[512];

	(void)state;
	moving.held = true;
	assert_int_equal(ask(0, IMAGE_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(image_submit(&front.image), 0);
	sem_wait(&moving.at);
	assert_int_equal(ask(1, IMAGE_WRITE, 0, a, 512), 0);
	moving.held = false;
	sem_post(&moving.go);
	drain();
	assert_int_equal(moving.n_flushes, 1);
	assert_int_equal(run(IMAGE_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(moving.n_flushes, 2);
}

static void test_a_flush_that_failed_covers_nothing(void **state)
{
	(void)state;
	moving.fail = -EIO;
	assert_int_equal(run(IMAGE_FLUSH, 0, NULL, 0), -EIO);
	moving.fail = 0;
	assert_int_equal(run(IMAGE_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(moving.n_flushes, 2);
}

static int run_sync(enum image_op op, uint64_t offset, void *bytes, uint64_t len)
{
	struct iovec iov = { bytes, len };
	struct image_io io = { .op = op,
			       .sync = true,
			       .offset = offset,
			       .len = len,
			       .iov = requests[0].iov,
			       .n_iov = bytes ? 1 : 0 };

	requests[0].iov[0] = iov;
	requests[0].io = io;
	requests[0].flying = true;
	assert_int_equal(image_queue(&front.image, &io), 0);
	return finish(0);
}

static void test_writes_through(void **state)
{
	static uint8_t a[512];

	(void)state;
	assert_int_equal(run_sync(IMAGE_WRITE, 0, a, 512), 0);
	assert_int_equal(moving.n_flushes, 1);
	assert_int_equal(run_sync(IMAGE_WRITE, 0, a, 512), 0);
	assert_int_equal(moving.n_flushes, 1); /* the ring's */
	assert_int_equal(run_sync(IMAGE_ZERO, 0, NULL, 512), 0);
	assert_int_equal(moving.n_flushes, 2);
	assert_int_equal(run_sync(IMAGE_ZERO, 0, NULL, 512), 0);
	assert_int_equal(moving.n_flushes, 3);
}

/* Whoever is told that it is done finds it in the files, even if this process is killed now. */
static void test_settled_before_it_is_done(void **state)
{
	static uint8_t a[512];

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(run(IMAGE_WRITE, i * MOVING_CLUSTER, a, 512), 0);
		assert_int_equal(moving.unsettled, 0);
	}
	moving.fail_settle = -ENOSPC;
	assert_int_equal(run(IMAGE_DISCARD, 0, NULL, 512), -ENOSPC);
	assert_int_equal(run(IMAGE_READ, 0, a, 512), 0);
}

/* ---- wrong ---- */

static void test_errors(void **state)
{
	static uint8_t a[512];

	(void)state;
	moving.fail = -ENOSPC;
	assert_int_equal(run(IMAGE_WRITE, 0, a, 512), -ENOSPC);
	assert_int_equal(run(IMAGE_READ, MOVING_CLUSTER, a, 512), -ENOSPC);
	assert_int_equal(run_sync(IMAGE_ZERO, 0, NULL, 512), -ENOSPC);
	moving.fail = 0;
	assert_int_equal(run(IMAGE_WRITE, MOVING_SIZE, a, 512), -EINVAL);
	assert_int_equal(run(IMAGE_WRITE, MOVING_SIZE - 512, a, 1024), -EINVAL);
	assert_int_equal(run(IMAGE_WRITE, UINT64_MAX - 511, a, 512), -EINVAL);
	assert_int_equal(run(IMAGE_READ, 1, a, 512), -EINVAL);
	assert_int_equal(run(IMAGE_READ, 0, a, 0), -EINVAL);
	assert_int_equal(run(IMAGE_READ, 0, a, 100), -EINVAL);
}

/* What a map says that ends behind its file, as a file does that was cut, is the volume's to read. */
static void test_a_file_that_is_short(void **state)
{
	static uint8_t a[3 * 512];

	(void)state;
	memset(a, 7, sizeof(a));
	assert_int_equal(run(IMAGE_WRITE, 0, a, sizeof(a)), 0);
	assert_int_equal(ftruncate(file.fd, (off_t)moving.place[0] * MOVING_CLUSTER + 700), 0);
	assert_int_equal(run(IMAGE_READ, 0, a, sizeof(a)), 0);
	assert_int_equal(a[699], 7);
	assert_int_equal(a[700], 0);
	assert_int_equal(a[sizeof(a) - 1], 0);
}

static void test_read_only(void **state)
{
	static uint8_t a[512];

	(void)state;
	open_store(&file, MOVING_SIZE);
	backing.fd = -1;
	file.store.readonly = true;
	assert_int_equal(volume_raw_open(&raw, &file.store), 0);
	open_front(&raw.volume, true);
	assert_true(front.image.readonly && !front.image.can_discard);
	assert_int_equal(run(IMAGE_WRITE, 0, a, 512), -EROFS);
	assert_int_equal(run(IMAGE_ZERO, 0, NULL, 512), -EROFS);
	assert_int_equal(run(IMAGE_DISCARD, 0, NULL, 512), -EROFS);
	assert_int_equal(run(IMAGE_READ, 0, a, 512), 0);
	assert_int_equal(run(IMAGE_FLUSH, 0, NULL, 0), 0);
}

static int refuse(void *arg)
{
	(void)arg;
	return -EPERM;
}

static void test_what_cannot_be_opened(void **state)
{
	struct front_setup setup = { .n_files = 1, .open = open_volume, .arg = &raw.volume };
	struct volume_error e = { "" };
	int fds = open_fds();

	(void)state;
	open_store(&file, MOVING_SIZE);
	setup.files[0] = (struct front_file){ file.fd, &file.store };
	open_fails = "there is a hole in it";
	if (front_open(&front, &setup) == -EPERM)
		skip();
	assert_int_equal(front_begin(&front, &e), -EINVAL);
	assert_string_equal(e.text, "there is a hole in it");
	image_close(&front.image);
	setup.confine = refuse;
	assert_int_equal(front_open(&front, &setup), -EPERM);
	front.image.ops = NULL;
	store_close(&file.store);
	file.fd = -1;
	assert_int_equal(open_fds(), fds);
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(setup_moving, test_model),
		WITH(setup_backed, test_model_on_a_backing_file),
		WITH(setup_raw, test_model_on_raw),
		WITH(setup_moving, test_plain_bytes_never_ask_the_volume),
		WITH(setup_backed, test_holes_of_a_chain_are_read_by_the_ring),
		WITH(setup_moving, test_nothing_meets_in_a_cluster),
		WITH(setup_moving, test_nobody_overtakes),
		WITH(setup_moving, test_nothing_starts_before_submit),
		WITH(setup_moving, test_too_many),
		WITH(setup_moving, test_flush_asks_the_volume_when_it_has_something),
		WITH(setup_moving, test_a_flush_does_not_cover_what_came_later),
		WITH(setup_moving, test_a_flush_that_failed_covers_nothing),
		WITH(setup_moving, test_writes_through),
		WITH(setup_moving, test_settled_before_it_is_done),
		WITH(setup_moving, test_errors),
		WITH(setup_moving, test_a_file_that_is_short),
		WITH(NULL, test_read_only),
		WITH(NULL, test_what_cannot_be_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
