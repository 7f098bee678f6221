/* SPDX-License-Identifier: Apache-2.0 */
/* dev-blk's queues, slots and completions, with an image that completes when the test wants. */
#include "tests/unit/testblk.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define N 256U
#define INDIRECT (1ULL << VIRTIO_F_INDIRECT_DESC)
#define EVENT_IDX (1ULL << VIRTIO_F_EVENT_IDX)
#define HEADER(i) (TR_DATA + 0x20000U + 16U * (i))
#define STATUS(i) (TR_DATA + 0x30000U + (i))
#define DATA(i) (TR_DATA + 512U * (i))

static struct testblk t;

static int setup(void **state)
{
	(void)state;
	testblk_open(&t, N);
	testblk_arm(&t, INDIRECT);
	memset(t.ring.ram + STATUS(0), 0xee, N);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testblk_close(&t);
	return 0;
}

/* Request i at descriptors 3 * i and on, its data at DATA(i). Not yet kicked. */
static void add(unsigned int i, uint32_t type, uint64_t sector, uint32_t len)
{
	uint16_t d = (uint16_t)(3 * i);
	uint16_t write = type == VIRTIO_BLK_T_IN ? D_WRITE : 0;

	memcpy(t.ring.ram + HEADER(i), &type, 4);
	memcpy(t.ring.ram + HEADER(i) + 8, &sector, 8);
	testring_desc(&t.ring, d, HEADER(i), 16, D_NEXT, (uint16_t)(d + 1));
	testring_desc(&t.ring, d + 1U, DATA(i), len, (uint16_t)(D_NEXT | write), (uint16_t)(d + 2));
	testring_desc(&t.ring, d + 2U, STATUS(i), 1, D_WRITE, 0);
	testring_avail(&t.ring, d);
}

static uint8_t status(unsigned int i)
{
	return t.ring.ram[STATUS(i)];
}

static void kick(void)
{
	dev_queue_run(testblk_queue(&t));
}

static uint32_t used_len(uint16_t n)
{
	return testring_load32(&t.ring, TR_USED + 8 + 8U * n);
}

static void test_out_of_order(void **state)
{
	(void)state;
	memset(t.disk, 0x11, 512);
	memset(t.disk + 512, 0x22, 512);
	add(0, VIRTIO_BLK_T_IN, 0, 512);
	add(1, VIRTIO_BLK_T_IN, 1, 512);
	kick();
	assert_int_equal(t.n_pending, 2);
	assert_int_equal(t.n_submits, 1); /* one for the pass */
	assert_int_equal(testblk_interrupts(&t), 0);
	testblk_complete(&t, 1, 0);
	assert_int_equal(testring_load32(&t.ring, TR_USED + 4), 3);
	assert_int_equal(used_len(0), 513);
	assert_int_equal(status(1), VIRTIO_BLK_S_OK);
	assert_int_equal(status(0), 0xee);
	assert_int_equal(t.ring.ram[DATA(1)], 0x22);
	testblk_complete(&t, 0, 0);
	assert_int_equal(t.ring.ram[DATA(0)], 0x11);
	assert_int_equal(testblk_interrupts(&t), 2);
}

/* What the host cannot do is the guest's I/O error, says no byte too much, and the device lives. */
static void test_host_errors(void **state)
{
	(void)state;
	add(0, VIRTIO_BLK_T_IN, 0, 512);
	add(1, VIRTIO_BLK_T_OUT, 0, 512);
	kick();
	testblk_complete(&t, 0, -EIO);
	testblk_complete(&t, 0, -ENOSPC);
	assert_int_equal(status(0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(status(1), VIRTIO_BLK_S_IOERR);
	assert_int_equal(used_len(0), 0); /* CVE-2024-8612: the data was not written */
	assert_int_equal(used_len(1), 1);
	assert_true(dev_queue_served(testblk_queue(&t)));
}

/* CVE-2026-45782 */
static void test_head_twice(void **state)
{
	(void)state;
	add(0, VIRTIO_BLK_T_IN, 0, 512);
	testring_avail(&t.ring, 0);
	kick();
	assert_true(t.blk.dev.needs_reset);
	assert_int_equal(t.n_pending, 1); /* what was right before it */
	testblk_complete(&t, 0, 0);
	assert_int_equal(testring_load16(&t.ring, TR_USED + 2), 0);
	assert_int_equal(t.blk.flight.n_in_flight[0], 0);
}

static void test_stop_drains(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 20; i++)
		add(i, VIRTIO_BLK_T_OUT, i, 512);
	kick();
	assert_int_equal(t.n_pending, 20);
	testblk_stop(&t);
	assert_int_equal(t.n_pending, 0);
	assert_int_equal(t.blk.flight.n_in_flight[0], 0);
	assert_int_equal(testring_load16(&t.ring, TR_USED + 2), 20);
	assert_int_equal(testblk_queue(&t)->base, 20);
}

static void test_completion_of_another_life(void **state)
{
	uint64_t stale;

	(void)state;
	add(0, VIRTIO_BLK_T_IN, 0, 512);
	kick();
	stale = t.pending[0].handle;
	testblk_complete(&t, 0, 0);
	add(1, VIRTIO_BLK_T_IN, 0, 512);
	kick();
	t.image.done(t.image.owner, stale, 0);
	t.image.done(t.image.owner, UINT64_MAX, 0);
	assert_int_equal(status(1), 0xee);
	assert_int_equal(t.blk.flight.n_in_flight[0], 1);
	testblk_complete(&t, 0, 0);
	assert_int_equal(status(1), VIRTIO_BLK_S_OK);
}

static void restart(void)
{
	testblk_arm(&t, INDIRECT);
	t.ring.avail_idx = testblk_queue(&t)->base;
	testring_store16(&t.ring, TR_AVAIL + 2, t.ring.avail_idx);
}

/*
 * As CVE-2021-3748: a reset between every submit and every completion of it. The drain completes
 * all before memory may go; what the host says later, when others are in flight in the same slots,
 * finds nobody.
 */
static void test_reset_at_every_point(void **state)
{
	const unsigned int most = 8;

	(void)state;
	for (unsigned int n = 1; n <= most; n++) {
		for (unsigned int done = 0; done <= n; done++) {
			uint64_t handle[8];
			uint16_t used = testring_load16(&t.ring, TR_USED + 2);

			for (unsigned int i = 0; i < n; i++)
				add(i, i & 1 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, i, 512);
			kick();
			assert_int_equal(t.n_pending, n);
			for (unsigned int i = 0; i < n; i++)
				handle[i] = t.pending[i].handle;
			for (unsigned int i = 0; i < done; i++)
				testblk_complete(&t, 0, 0);
			testblk_stop(&t);
			assert_int_equal(t.n_pending, 0);
			assert_int_equal(testring_load16(&t.ring, TR_USED + 2),
					 (uint16_t)(used + n));
			restart();
			for (unsigned int i = 0; i < n; i++)
				add(i, VIRTIO_BLK_T_IN, i, 512);
			memset(t.ring.ram + STATUS(0), 0xee, most);
			kick();
			for (unsigned int i = 0; i < n; i++)
				t.image.done(t.image.owner, handle[i], 0);
			for (unsigned int i = 0; i < n; i++)
				assert_int_equal(status(i), 0xee);
			assert_int_equal(t.blk.flight.n_in_flight[0], n);
			while (t.n_pending)
				testblk_complete(&t, t.n_pending - 1, 0);
			assert_int_equal(testring_load16(&t.ring, TR_USED + 2),
					 (uint16_t)(used + 2 * n));
		}
	}
}

/* The same with the memory itself unmapped: a late completion has nothing to write to. */
static void test_memory_gone_at_every_point(void **state)
{
	(void)state;
	for (unsigned int done = 0; done <= 4; done++) {
		uint64_t handle[4];

		for (unsigned int i = 0; i < 4; i++)
			add(i, VIRTIO_BLK_T_IN, i, 512);
		kick();
		for (unsigned int i = 0; i < 4; i++)
			handle[i] = t.pending[i].handle;
		for (unsigned int i = 0; i < done; i++)
			testblk_complete(&t, 0, 0);
		testblk_drain(&t);
		assert_int_equal(t.n_pending, 0);
		assert_int_equal(t.blk.flight.n_in_flight[0], 0);
		guestmem_clear(&t.blk.dev.mem);
		for (unsigned int i = 0; i < 4; i++)
			t.image.done(t.image.owner, handle[i], 0);
		assert_false(t.blk.dev.needs_reset); /* nobody even tried */
		assert_int_equal(guestmem_add(&t.blk.dev.mem, GPA(0), TR_RAM, 0x7f0000000000,
					      t.ring.fd, 0),
				 0);
	}
}

/* More requests than the image takes: answered, not lost. */
static void test_image_that_is_full(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < TB_DEPTH + 2; i++)
		add(i, VIRTIO_BLK_T_IN, 0, 512);
	kick();
	assert_int_equal(t.n_pending, TB_DEPTH);
	assert_int_equal(status(TB_DEPTH), VIRTIO_BLK_S_IOERR);
	assert_int_equal(status(TB_DEPTH + 1), VIRTIO_BLK_S_IOERR);
	while (t.n_pending)
		testblk_complete(&t, t.n_pending - 1, 0);
	for (unsigned int i = 0; i < TB_DEPTH; i++)
		assert_int_equal(status(i), VIRTIO_BLK_S_OK);
}

/* As CVE-2025-41238: more segments than the slot has room for. */
static void test_too_many_segments(void **state)
{
	const uint32_t n = FLIGHT_IOV_MAX + 2;

	(void)state;
	memset(t.ring.ram + HEADER(0), 0, 16);
	testring_put(&t.ring, TR_TABLE, 0, HEADER(0), 16, D_NEXT, 1);
	for (uint32_t i = 1; i < n + 1; i++)
		testring_put(&t.ring, TR_TABLE, i, DATA(0) + 1024 * (i % 64), i == n ? 512 : 2,
			     D_WRITE | D_NEXT, (uint16_t)(i + 1));
	testring_put(&t.ring, TR_TABLE, n + 1, STATUS(0), 1, D_WRITE, 0);
	/* whole sectors: n - 1 pieces of 2 bytes, and a last one that fills up */
	testring_put(&t.ring, TR_TABLE, n, DATA(0), 512 + 512 - 2 * (n - 1) % 512, D_WRITE | D_NEXT,
		     (uint16_t)(n + 1));
	testring_desc(&t.ring, 0, TR_TABLE, 16 * (n + 2), D_INDIRECT, 0);
	testring_avail(&t.ring, 0);
	kick();
	assert_int_equal(t.n_pending, 0);
	assert_int_equal(status(0), VIRTIO_BLK_S_IOERR);
	assert_false(t.blk.dev.needs_reset);
}

/* A pass is bounded; the rest follows from the loop. */
static void test_pass_is_bounded(void **state)
{
	unsigned int turns = 0;

	(void)state;
	t.blk.spec.pass_descriptors = 30;
	for (unsigned int i = 0; i < 50; i++)
		add(i, VIRTIO_BLK_T_OUT, 0, 512);
	kick();
	assert_int_equal(t.n_pending, 10);
	for (; t.n_pending < 50 && turns < 20; turns++)
		assert_int_equal(loop_run_once(&t.loop, 0), 0);
	assert_int_equal(t.n_pending, 50);
	assert_true(turns >= 3);
}

static void test_one_interrupt_for_a_batch(void **state)
{
	(void)state;
	testblk_stop(&t);
	testblk_arm(&t, INDIRECT | EVENT_IDX);
	for (unsigned int i = 0; i < 8; i++)
		add(i, 99, 0, 512); /* answered at once */
	kick();
	assert_int_equal(testring_load16(&t.ring, TR_USED + 2), 8);
	assert_int_equal(testblk_interrupts(&t), 1);
}

static bool added;

/* All that was started is done; meanwhile the driver adds one more, without a kick. */
static void complete_all(struct testblk *blk)
{
	if (blk->n_pending) /* it is told not to kick */
		assert_int_equal(testring_load16(&t.ring, TR_USED), 1);
	while (blk->n_pending)
		testblk_carry_out(blk, 0, 0);
	if (!added)
		add(2, VIRTIO_BLK_T_OUT, 2, 512);
	added = true;
}

static void test_done_at_once(void **state)
{
	(void)state;
	added = false;
	t.image.prompt = true;
	t.at_reap = complete_all;
	add(0, VIRTIO_BLK_T_OUT, 0, 512);
	add(1, VIRTIO_BLK_T_OUT, 1, 512);
	kick();
	assert_int_equal(testring_load16(&t.ring, TR_USED + 2), 3);
	assert_int_equal(testring_load16(&t.ring, TR_USED), 0); /* kicks are asked for again */
	assert_int_equal(t.blk.flight.n_in_flight[0], 0);
	assert_true(testblk_interrupts(&t) > 0);
	t.at_reap = NULL;
}

/* Slots that come free while one queue is served are for another one that waits for them. */
static void test_done_at_once_for_another(void **state)
{
	(void)state;
	added = true;
	t.image.prompt = true;
	t.blk.flight.starved = 1U << 1;
	add(0, VIRTIO_BLK_T_OUT, 0, 512);
	kick();
	assert_false(t.blk.dev.queue[1].again); /* nothing has completed */
	t.at_reap = complete_all;
	add(1, VIRTIO_BLK_T_OUT, 1, 512);
	kick();
	assert_true(t.blk.dev.queue[1].again);
	assert_int_equal(t.blk.flight.starved, 0);
	t.at_reap = NULL;
}

static void test_memory_that_goes_away(void **state)
{
	(void)state;
	add(0, VIRTIO_BLK_T_IN, 0, 512);
	kick();
	testblk_drain(&t);
	assert_int_equal(t.n_pending, 0);
	guestmem_clear(&t.blk.dev.mem);
	kick();
	assert_true(t.blk.dev.needs_reset);
}

/* ---- the front end waits ---- */

static unsigned int busy[64], n_busy;

static void note_busy(void *owner, unsigned int n)
{
	(void)owner;
	if (n_busy < 64)
		busy[n_busy++] = n;
}

static void send(uint32_t request, uint64_t value)
{
	const struct vu_msg m = { .request = request, .u64 = value };

	assert_int_equal(vu_send(t.peer, &m, NULL, 0), 0);
}

/* The next answer, if there is one already: which request it answers, or 0. */
static uint32_t answered(struct vu_msg *ret)
{
	int fds[MSG_MAX_FDS], r;
	size_t n_fds = 0;

	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(loop_run_once(&t.loop, 0), 0);
	assert_int_equal(fd_set_nonblock(t.peer, true), 0);
	r = vu_recv(t.peer, ret, fds, &n_fds);
	assert_true(r == 1 || r == -EAGAIN);
	return r == 1 ? ret->request : 0;
}

static void watch_busy(void)
{
	n_busy = 0;
	t.blk.dev.busy = note_busy;
	t.blk.dev.protocol_features = 1ULL << VHOST_USER_PROTOCOL_F_STATUS;
}

/*
 * A host that takes its time over what is in flight: GET_VRING_BASE is answered when that is done, the
 * loop runs all the while, says how much is left to whoever asks, and takes nothing more.
 */
static void test_drain_does_not_block(void **state)
{
	struct vu_msg m;

	(void)state;
	watch_busy();
	for (unsigned int i = 0; i < 20; i++)
		add(i, VIRTIO_BLK_T_OUT, i, 512);
	kick();
	send(VHOST_USER_GET_VRING_BASE, 0);
	assert_int_equal(answered(&m), 0);
	assert_int_equal(t.n_pending, 20);
	for (unsigned int left = 20; left; left--) {
		send(VHOST_USER_GET_STATUS, 0);
		assert_int_equal(answered(&m), VHOST_USER_GET_STATUS);
		assert_int_equal(busy[n_busy - 1], left);
		add(20 + left, VIRTIO_BLK_T_OUT, 0, 512);
		kick();
		assert_int_equal(t.n_pending, left); /* held */
		testblk_complete(&t, left - 1, 0);
	}
	assert_int_equal(n_busy, 20);
	assert_int_equal(answered(&m), VHOST_USER_GET_VRING_BASE);
	assert_int_equal(m.state.num, 20);
	assert_false(testblk_queue(&t)->armed);
	assert_int_equal(answered(&m), 0);
}

/* What comes behind it waits its turn, also a second one that drains. */
static void test_requests_behind_a_drain(void **state)
{
	struct vu_msg m;

	(void)state;
	watch_busy();
	add(0, VIRTIO_BLK_T_OUT, 0, 512);
	kick();
	send(VHOST_USER_SET_STATUS, 15);
	send(VHOST_USER_SET_STATUS, 0); /* resets, without an answer */
	send(VHOST_USER_GET_STATUS, 0); /* it has not yet */
	send(VHOST_USER_GET_VRING_BASE, 0);
	send(VHOST_USER_SET_STATUS, 3);
	send(VHOST_USER_GET_STATUS, 0);
	assert_int_equal(answered(&m), VHOST_USER_GET_STATUS);
	assert_int_equal(m.u64, 15);
	assert_int_equal(answered(&m), 0);
	testblk_complete(&t, 0, 0);
	assert_int_equal(answered(&m), VHOST_USER_GET_VRING_BASE);
	assert_int_equal(answered(&m), VHOST_USER_GET_STATUS);
	assert_int_equal(m.u64, 3);
}

/* A queue that is held for another memory table goes on afterwards, with what was added meanwhile. */
static void test_held_queue_goes_on(void **state)
{
	struct vu_msg m = { .request = VHOST_USER_REM_MEM_REG };

	(void)state;
	watch_busy();
	t.blk.dev.protocol_features |= 1ULL << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS;
	add(0, VIRTIO_BLK_T_OUT, 0, 512);
	kick();
	m.mem_reg = (struct vu_region){ .gpa = 0, .size = TR_RAM, .uaddr = 0x7f0000000000 };
	assert_int_equal(vu_rings_drain(&t.blk.dev), 1);
	add(1, VIRTIO_BLK_T_OUT, 1, 512);
	kick();
	assert_int_equal(t.n_pending, 1);
	testblk_complete(&t, 0, 0);
	vu_rings_release(&t.blk.dev);
	assert_int_equal(answered(&m), 0);
	assert_int_equal(t.n_pending, 1); /* the one that was added */
	testblk_complete(&t, 0, 0);
	assert_int_equal(status(1), VIRTIO_BLK_S_OK);
}

/* The front end is gone: what it began is finished, how much is left is said, then the loop ends. */
static void test_finishes_what_is_in_flight(void **state)
{
	(void)state;
	watch_busy();
	for (unsigned int i = 0; i < 5; i++)
		add(i, VIRTIO_BLK_T_OUT, i, 512);
	kick();
	closep(&t.peer);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(loop_run_once(&t.loop, 0), 0);
	for (unsigned int left = 5; left; left--) {
		assert_false(t.loop.stopped);
		assert_int_equal(busy[n_busy - 1], left);
		testblk_complete(&t, 0, 0);
	}
	assert_int_equal(n_busy, 5);
	assert_true(t.loop.stopped);
	assert_int_equal(t.loop.status, 0);
	assert_int_equal(status(4), VIRTIO_BLK_S_OK);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_out_of_order),
		CASE(test_host_errors),
		CASE(test_head_twice),
		CASE(test_stop_drains),
		CASE(test_completion_of_another_life),
		CASE(test_reset_at_every_point),
		CASE(test_memory_gone_at_every_point),
		CASE(test_image_that_is_full),
		CASE(test_too_many_segments),
		CASE(test_pass_is_bounded),
		CASE(test_done_at_once),
		CASE(test_done_at_once_for_another),
		CASE(test_one_interrupt_for_a_batch),
		CASE(test_memory_that_goes_away),
		CASE(test_drain_does_not_block),
		CASE(test_requests_behind_a_drain),
		CASE(test_held_queue_goes_on),
		CASE(test_finishes_what_is_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
