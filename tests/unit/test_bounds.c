/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one turn costs is bounded, whatever the guest put into its ring: every read of guest memory is
 * counted (by the linker, --wrap), and memory and descriptors after thousands of hostile rounds are
 * what they were (CVE-2016-5403, CVE-2016-6490, CVE-2025-14876).
 */
#include "tests/unit/testblk.h"
#include "tests/unit/testdev.h"
#include "tests/unit/unit.h"

#include "cmd/dev-console/virtio_console.h"
#include "cmd/dev-rng/rng.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define N 256U
#define HEADER (TR_DATA + 0x20000U)
#define STATUS (TR_DATA + 0x30000U)

static unsigned long steps; /* reads of guest memory */

int __real_guest_read(const struct guestmem *mem, gpa_t gpa, void *out, size_t len);
int __wrap_guest_read(const struct guestmem *mem, gpa_t gpa, void *out, size_t len);
int __real_guest_load16(const struct guestmem *mem, gpa_t gpa, uint16_t *ret);
int __wrap_guest_load16(const struct guestmem *mem, gpa_t gpa, uint16_t *ret);

int __wrap_guest_read(const struct guestmem *mem, gpa_t gpa, void *out, size_t len)
{
	steps++;
	return __real_guest_read(mem, gpa, out, len);
}

int __wrap_guest_load16(const struct guestmem *mem, gpa_t gpa, uint16_t *ret)
{
	steps++;
	return __real_guest_load16(mem, gpa, ret);
}

/* ---- three devices, one of them open ---- */

static struct testdev t;
static struct testblk b;
static struct rng rng;
static struct vu_device console_dev;
static struct virtio_console console;
static struct stream stream;
static struct stream_page stream_page;

static struct testring *ring;
static struct loop *loop;
static struct dev_queue *q;

static void nothing(void *owner)
{
	(void)owner;
}

static void use(struct testring *r, struct loop *l, struct dev_queue *queue)
{
	ring = r;
	loop = l;
	q = queue;
}

static int open_blk(void **state)
{
	(void)state;
	testblk_open(&b, N);
	testblk_arm(&b, 1ULL << VIRTIO_F_INDIRECT_DESC);
	use(&b.ring, &b.loop, testblk_queue(&b));
	return 0;
}

static int close_blk(void **state)
{
	(void)state;
	testblk_close(&b);
	return 0;
}

static int open_rng(void **state)
{
	const struct rng_options o = { .rate = 1 << 30 };
	int sock = testdev_open(&t, N);

	(void)state;
	assert_int_equal(rng_prepare(&rng, &o, &t.loop, sock), 0);
	testdev_start(&t, &rng.dev, 0);
	use(&t.ring, &t.loop, t.q);
	return 0;
}

static int close_rng(void **state)
{
	(void)state;
	vu_device_close(&rng.dev);
	loop_remove(&t.loop, &rng.timer);
	closep(&rng.timer_fd);
	testdev_close(&t);
	return 0;
}

static int open_console(void **state)
{
	int sock = testdev_open(&t, N);

	(void)state;
	stream_init(&stream, &stream_page, &t.loop, 1, nothing, NULL);
	virtio_console_init(&console, &stream, false, nothing, nothing, NULL);
	assert_int_equal(vu_device_open(&console_dev, &virtio_console_spec, &virtio_console_ops,
					&console, &t.loop, sock),
			 0);
	testdev_start(&t, &console_dev, VIRTIO_CONSOLE_TRANSMITQ);
	use(&t.ring, &t.loop, t.q);
	return 0;
}

static int close_console(void **state)
{
	(void)state;
	vu_device_close(&console_dev);
	stream_close(&stream);
	testdev_close(&t);
	return 0;
}

/* ---- loads ---- */

/* A table of the longest chain, of pieces of one byte: what the device takes, in its order. */
static void put_long_table(void)
{
	bool blk = q->dev == &b.blk.dev;
	uint16_t write = q->dev == &rng.dev ? D_WRITE : 0;

	for (uint32_t i = 0; i < VIRTQ_CHAIN_MAX; i++)
		testring_put(ring, TR_TABLE, i, TR_DATA + i, 1,
			     (uint16_t)((i + 1 < VIRTQ_CHAIN_MAX ? D_NEXT : 0) | write),
			     (uint16_t)(i + 1));
	if (!blk)
		return;
	memset(ring->ram + HEADER, 0, 16);
	testring_put(ring, TR_TABLE, 0, HEADER, 16, D_NEXT, 1);
	testring_put(ring, TR_TABLE, VIRTQ_CHAIN_MAX - 1, STATUS, 1, D_WRITE, 0);
}

static uint16_t used(void)
{
	return testring_load16(ring, TR_USED + 2);
}

/* Every head is the longest chain. No turn does more than its budget and one chain; all is served
 * in the end. */
static void test_longest_chains_everywhere(void **state)
{
	const struct dev_spec *s = q->dev->spec;
	unsigned long budget = s->pass_descriptors ? s->pass_descriptors : 4UL * s->queue_max;
	/* a chain's descriptors, its bytes one at a time, and the ring's words */
	unsigned long most = 2 * (budget + VIRTQ_CHAIN_MAX + 1) + 4UL * N;
	unsigned int turns = 0;

	(void)state;
	put_long_table();
	for (unsigned int i = 0; i < N; i++) {
		testring_desc(ring, i, TR_TABLE, 16 * VIRTQ_CHAIN_MAX, D_INDIRECT, 0);
		testring_avail(ring, (uint16_t)i);
	}
	steps = 0;
	dev_queue_run(q);
	assert_in_range(steps, VIRTQ_CHAIN_MAX, most);
	for (; used() != N && turns < 1000; turns++) {
		steps = 0;
		assert_int_equal(loop_run_once(loop, 1000), 0);
		assert_in_range(steps, 1, most);
	}
	assert_int_equal(used(), N);
	assert_true(turns > 10);
	assert_false(q->dev->needs_reset);
}

/* What breaks a ring, and the most reads that finding it may take. */
static unsigned int put_cycle(void)
{
	for (unsigned int i = 0; i < N; i++)
		testring_desc(ring, i, TR_DATA, 1, D_NEXT, (uint16_t)((i + 1) % N));
	return N + 8;
}

static unsigned int put_self(void)
{
	testring_desc(ring, 0, TR_DATA, 1, D_NEXT, 0);
	return N + 8;
}

static unsigned int put_table_cycle(void)
{
	for (unsigned int i = 0; i < VIRTQ_CHAIN_MAX; i++)
		testring_put(ring, TR_TABLE, i, TR_DATA, 1, D_NEXT,
			     (uint16_t)((i + 1) % VIRTQ_CHAIN_MAX));
	testring_desc(ring, 0, TR_TABLE, 16 * VIRTQ_CHAIN_MAX, D_INDIRECT, 0);
	return VIRTQ_CHAIN_MAX + 8;
}

static unsigned int put_nothing(void)
{
	testring_desc(ring, 0, TR_DATA, 0, D_NEXT, 0); /* CVE-2016-6490 */
	return 8;
}

static unsigned int put_table_in_itself(void)
{
	testring_desc(ring, 0, TR_DESC, 16 * N, D_INDIRECT, 0);
	return 8;
}

static unsigned int (*const breakers[])(void) = { put_cycle, put_self, put_table_cycle, put_nothing,
						  put_table_in_itself };

/* Pages that are resident, but for those of guest memory. */
static long resident(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long size, all, shared;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld %ld %ld", &size, &all, &shared), 3);
	(void)fclose(f);
	return all - shared;
}

static void round_of(unsigned int (*put)(void))
{
	uint64_t one = 1;
	unsigned int most = put();
	int kick;

	testring_avail(ring, 0);
	steps = 0;
	dev_queue_run(q);
	assert_in_range(steps, 1, most);
	assert_true(q->dev->needs_reset);
	/* now it stands still: neither a kick nor the loop moves it or keeps the loop awake */
	steps = 0;
	assert_int_equal(write(q->kick_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(q->kick.fd, -1);
	dev_queue_run(q);
	assert_int_equal(loop_run_once(loop, 0), 0);
	assert_int_equal(steps, 0);
	assert_int_equal(used(), 0);
	/* a reset and the driver's next life */
	vu_ring_stop(q);
	assert_int_equal(q->kick.fd, -1);
	assert_int_equal(q->kick_fd, -1);
	assert_false(q->dev->needs_reset);
	q->base = 0;
	testring_set_avail_idx(ring, 0);
	kick = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(vu_ring_arm(q, &kick), 0);
	assert_int_equal(kick, -1);
}

static void test_thousands_of_broken_rings(void **state)
{
	long before = 0;
	int fds = 0;

	(void)state;
	for (unsigned int i = 0; i < 2000; i++) {
		round_of(breakers[i % ARRAY_SIZE(breakers)]);
		if (i == 20) {
			before = resident();
			fds = open_fds();
		}
	}
	assert_int_equal(open_fds(), fds);
	assert_true(resident() - before <= 64); /* pages */
}

/* A kick that nobody is to hear wakes nobody: the loop sleeps its whole time. */
static void expect_sleep(int kick)
{
	struct timespec from, to;
	uint64_t one = 1;

	assert_int_equal(write(kick, &one, sizeof(one)), sizeof(one));
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(loop_run_once(loop, 50), 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true((to.tv_sec - from.tv_sec) * 1000000000L + to.tv_nsec - from.tv_nsec >=
		    45000000);
}

static void test_a_stopped_ring_sleeps(void **state)
{
	int kick = dup(q->kick_fd);

	(void)state;
	assert_int_equal(loop_run_once(loop, 0), 0); /* the queue's first run */
	vu_ring_stop(q);
	expect_sleep(kick);
	closep(&kick);
}

static void test_a_broken_ring_sleeps(void **state)
{
	(void)state;
	assert_int_equal(loop_run_once(loop, 0), 0);
	dev_queue_fail(q, "test");
	expect_sleep(q->kick_fd);
}

#define CASES(dev)                                                                                \
	cmocka_unit_test_setup_teardown(test_longest_chains_everywhere, open_##dev, close_##dev), \
		cmocka_unit_test_setup_teardown(test_thousands_of_broken_rings, open_##dev,       \
						close_##dev),                                     \
		cmocka_unit_test_setup_teardown(test_a_stopped_ring_sleeps, open_##dev,           \
						close_##dev),                                     \
		cmocka_unit_test_setup_teardown(test_a_broken_ring_sleeps, open_##dev,            \
						close_##dev)

int main(void)
{
	static const struct CMUnitTest tests[] = { CASES(blk), CASES(rng), CASES(console) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
