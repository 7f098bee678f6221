/* SPDX-License-Identifier: Apache-2.0 */
/* Rings that somebody else serves (dev_ops' queue_lend): when he gets them, what he is told, when he must give them back. */
#include "tests/unit/testring.h"

#include "lib/base/cleanup.h"
#include "lib/devkit/vu_device.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define UADDR 0x7f0000000000ULL
#define FEATURES (1ULL << VHOST_USER_F_PROTOCOL_FEATURES | 1ULL << VIRTIO_F_VERSION_1)

/* Whoever borrows the ring: the test plays him on the guest's view of the ring. */
static struct borrower {
	struct vu_device dev;
	struct virtq_chain chain;
	int answer; /* of queue_lend */
	struct dev_lent ring;
	bool has;
	unsigned int n_lent, n_reclaimed, n_runs;
	uint16_t base; /* that he comes to */
} b;

static struct testring ring;
static struct loop loop;
static int sock, kick_fd;

static int run(void *owner, struct dev_queue *q)
{
	int r;

	(void)owner;
	assert_false(b.has);
	b.n_runs++;
	while ((r = dev_queue_pop(q, &b.chain)) == 1)
		dev_queue_push(q, b.chain.head, 0);
	return r;
}

static int lend(void *owner, struct dev_queue *q, const struct dev_lent *r)
{
	(void)owner;
	assert_int_equal(q->index, 0);
	assert_false(b.has);
	if (b.answer != 1)
		return b.answer;
	b.ring = *r;
	b.has = true;
	b.n_lent++;
	b.base = r->base;
	return 1;
}

static uint16_t reclaim(void *owner, struct dev_queue *q)
{
	(void)owner, (void)q;
	assert_true(b.has);
	b.has = false;
	b.n_reclaimed++;
	return b.base;
}

static const struct dev_spec spec = { .name = "lender", .n_queues = 1, .queue_max = 16 };
static const struct dev_ops ops = { .queue_run = run,
				    .queue_lend = lend,
				    .queue_reclaim = reclaim };

static int tell(struct vu_msg m, int fd)
{
	assert_int_equal(vu_send(sock, &m, &fd, fd >= 0 ? 1 : 0), 0);
	return loop_run_once(&loop, 0);
}

static void tell_u64(uint32_t request, uint64_t v, int fd)
{
	assert_int_equal(tell((struct vu_msg){ .request = request, .u64 = v }, fd), 0);
}

static void tell_state(uint32_t request, uint32_t num)
{
	assert_int_equal(tell((struct vu_msg){ .request = request, .state = { 0, num } }, -1), 0);
}

static void tell_memory(void)
{
	const struct vu_msg m = { .request = VHOST_USER_SET_MEM_TABLE,
				  .mem = { 1, { { 0, TR_RAM, UADDR, 0 } } } };

	assert_int_equal(tell(m, ring.fd), 0);
}

static uint64_t ask(struct vu_msg m)
{
	struct vu_msg reply = { 0 };
	int fds[MSG_MAX_FDS];
	size_t n = 0;

	assert_int_equal(tell(m, -1), 0);
	assert_int_equal(vu_recv(sock, &reply, fds, &n), 1);
	assert_int_equal(reply.request, m.request);
	return m.request == VHOST_USER_GET_VRING_BASE ? reply.state.num : reply.u64;
}

static void start(uint64_t used_at)
{
	const struct vu_msg addr = { .request = VHOST_USER_SET_VRING_ADDR,
				     .addr = { .desc = UADDR + TR_DESC,
					       .used = UADDR + used_at,
					       .avail = UADDR + TR_AVAIL } };

	tell_u64(VHOST_USER_SET_FEATURES, FEATURES, -1);
	tell_memory();
	tell_state(VHOST_USER_SET_VRING_NUM, 16);
	tell_state(VHOST_USER_SET_VRING_BASE, 0);
	assert_int_equal(tell(addr, -1), 0);
	tell_u64(VHOST_USER_SET_VRING_KICK, 0, kick_fd);
	assert_true(b.dev.queue[0].enabled || !b.has);
	tell_state(VHOST_USER_SET_VRING_ENABLE, 1);
}

static int setup(void **state)
{
	int pair[2];

	(void)state;
	memset(&b, 0, sizeof(b));
	b.answer = 1;
	testring_open(&ring, 16, false, true);
	assert_int_equal(loop_open(&loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	sock = pair[0];
	assert_int_equal(vu_device_open(&b.dev, &spec, &ops, &b, &loop, pair[1]), 0);
	kick_fd = eventfd(0, EFD_CLOEXEC);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vu_device_close(&b.dev);
	assert_false(b.has); /* whatever happened */
	loop_close(&loop);
	closep(&sock);
	closep(&kick_fd);
	testring_close(&ring);
	return 0;
}

static void offer(uint16_t d)
{
	testring_desc(&ring, d, TR_DATA, 8, D_WRITE, 0);
	testring_avail(&ring, d);
}

static void kick(void)
{
	uint64_t one = 1;

	assert_int_equal(write(kick_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(loop_run_once(&loop, 0), 0);
}

/* He has finished the ring's first n chains. */
static void play(uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		testring_store16(&ring, TR_USED + 4 + 8U * i,
				 testring_load16(&ring, TR_AVAIL + 4 + 2U * i));
	testring_store16(&ring, TR_USED + 2, n);
	b.base = n;
}

static uint16_t used(void)
{
	return testring_load16(&ring, TR_USED + 2);
}

static void test_he_is_told_where_the_ring_is(void **state)
{
	uint16_t seen;

	(void)state;
	offer(3);
	start(TR_USED);
	assert_true(b.has);
	assert_int_equal(b.ring.num, 16);
	assert_int_equal(b.ring.base, 0);
	assert_int_equal(b.ring.call_fd, -1);
	memcpy(&seen, (const void *)(b.ring.avail + 4),
	       sizeof(seen)); // NOLINT(performance-no-int-to-ptr)
	assert_int_equal(seen, 3);
	memcpy((void *)(b.ring.used + 2), &(uint16_t){ 77 },
	       2); // NOLINT(performance-no-int-to-ptr)
	assert_int_equal(used(), 77);
}

/* The kicks are his: the kit neither hears them nor takes a chain. */
static void test_the_kit_keeps_off(void **state)
{
	uint64_t n = 0;

	(void)state;
	start(TR_USED);
	offer(0);
	kick();
	dev_queue_run(&b.dev.queue[0]);
	dev_queue_run_later(&b.dev.queue[0]);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(b.n_runs, 0);
	assert_int_equal(used(), 0);
	assert_int_equal(read(kick_fd, &n, sizeof(n)), sizeof(n));
	assert_true(n > 0);
}

static void test_it_stops_where_he_was(void **state)
{
	(void)state;
	start(TR_USED);
	offer(0);
	offer(1);
	offer(2);
	play(2);
	assert_int_equal(ask((struct vu_msg){ .request = VHOST_USER_GET_VRING_BASE }), 2);
	assert_false(b.has);
	assert_int_equal(b.n_reclaimed, 1);
}

/* The device's own wish: the kit goes on where he was, and he where the kit was. */
static void test_back_and_forth(void **state)
{
	(void)state;
	start(TR_USED);
	offer(0);
	offer(1);
	play(1);
	b.answer = 0;
	assert_int_equal(vu_device_lend(&b.dev), 0);
	assert_false(b.has);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(used(), 2);
	offer(2);
	kick();
	assert_int_equal(used(), 3);
	b.answer = 1;
	assert_int_equal(vu_device_lend(&b.dev), 0);
	assert_true(b.has);
	assert_int_equal(b.ring.base, 3);
}

/* What he was told is never changed under him. */
static void test_changes_take_it_back_first(void **state)
{
	_cleanup_(closep) int call = eventfd(0, EFD_CLOEXEC);

	(void)state;
	start(TR_USED);
	tell_u64(VHOST_USER_SET_VRING_CALL, 0, call);
	assert_int_equal(b.n_lent, 2);
	assert_true(b.has && b.ring.call_fd >= 0);
	tell_memory();
	assert_int_equal(b.n_lent, 3);
	assert_true(b.has);
	tell_state(VHOST_USER_SET_VRING_ENABLE, 0);
	assert_false(b.has);
	tell_state(VHOST_USER_SET_VRING_ENABLE, 1);
	assert_int_equal(b.n_lent, 4);
	assert_int_equal(b.n_reclaimed, 3);
}

/* A ring whose memory has gone stays nobody's. */
static void test_memory_that_goes(void **state)
{
	const struct vu_msg none = { .request = VHOST_USER_SET_MEM_TABLE, .mem = { 0 } };
	struct vu_msg m = none;

	(void)state;
	start(TR_USED);
	m.mem.n = 1;
	m.mem.region[0] = (struct vu_region){ 0x4000000, TR_RAM, UADDR + 0x4000000, 0 };
	assert_int_equal(tell(m, ring.fd), 0);
	assert_false(b.has);
	assert_int_equal(ask((struct vu_msg){ .request = VHOST_USER_GET_VRING_BASE }), 0);
}

/* The guest's error, as he found it: he loses the ring, and gets none before the driver has begun anew. */
static void test_a_broken_ring(void **state)
{
	(void)state;
	start(TR_USED);
	dev_queue_fail(&b.dev.queue[0], "he says so");
	assert_false(b.has);
	tell_state(VHOST_USER_SET_VRING_ENABLE, 1);
	assert_int_equal(vu_device_lend(&b.dev), 0);
	assert_false(b.has);
	assert_true(b.dev.needs_reset);
	(void)ask((struct vu_msg){ .request = VHOST_USER_GET_VRING_BASE });
	start(TR_USED);
	assert_true(b.has);
}

static void test_he_cannot(void **state)
{
	(void)state;
	b.answer = -EFAULT;
	start(TR_USED);
	assert_false(b.has);
	assert_true(b.dev.needs_reset);
}

static void test_a_ring_outside_of_ram(void **state)
{
	(void)state;
	start(TR_RAM - 8);
	assert_int_equal(b.n_lent, 0);
	assert_true(b.dev.needs_reset);
}

static void test_reset_takes_it_back(void **state)
{
	(void)state;
	tell_u64(VHOST_USER_SET_PROTOCOL_FEATURES, 1ULL << VHOST_USER_PROTOCOL_F_RESET_DEVICE, -1);
	start(TR_USED);
	assert_true(b.has);
	tell_u64(VHOST_USER_RESET_DEVICE, 0, -1);
	assert_false(b.has);
}

/* Nobody would mark what he writes. */
static void test_no_dirty_log(void **state)
{
	(void)state;
	assert_false(ask((struct vu_msg){ .request = VHOST_USER_GET_FEATURES }) >> VHOST_F_LOG_ALL &
		     1);
	assert_false(ask((struct vu_msg){ .request = VHOST_USER_GET_PROTOCOL_FEATURES }) >>
			     VHOST_USER_PROTOCOL_F_LOG_SHMFD &
		     1);
	assert_true(tell((struct vu_msg){ .request = VHOST_USER_SET_FEATURES,
					  .u64 = FEATURES | 1ULL << VHOST_F_LOG_ALL },
			 -1) < 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_he_is_told_where_the_ring_is),
		TEST(test_the_kit_keeps_off),
		TEST(test_it_stops_where_he_was),
		TEST(test_back_and_forth),
		TEST(test_changes_take_it_back_first),
		TEST(test_memory_that_goes),
		TEST(test_a_broken_ring),
		TEST(test_he_cannot),
		TEST(test_a_ring_outside_of_ram),
		TEST(test_reset_takes_it_back),
		TEST(test_no_dirty_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
