/* SPDX-License-Identifier: Apache-2.0 */
/* Brief polling of a device's rings: no chain is lost, whatever comes when; see vu_poll.h. */
#include "tests/unit/testdev.h"

#include "lib/base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define N 64U
#define NO_NOTIFY 1U /* VIRTIO 1.2, 2.7.10 */

/* A device that gives chains back at once, as many at a time as it is told. */
static struct {
	struct vu_device dev;
	struct virtq_chain chain;
	unsigned int n_runs, most;
	bool busy;
} echo;

static struct testdev t;
static uint16_t n_put;
static bool puts_late;

static int echo_run(void *owner, struct dev_queue *q)
{
	int r = 0;

	(void)owner;
	echo.n_runs++;
	for (unsigned int n = 0; n < echo.most; n++) {
		r = dev_queue_pop(q, &echo.chain);
		if (r != 1)
			return r;
		dev_queue_push(q, echo.chain.head, 0);
	}
	return 0;
}

static bool echo_may_poll(void *owner)
{
	(void)owner;
	return !echo.busy;
}

static void put(void)
{
	testring_desc(&t.ring, n_put % N, TR_DATA, 16, 0, 0);
	testring_avail(&t.ring, n_put++ % N);
}

int __real_guest_store16(const struct guestmem *mem, gpa_t gpa, uint16_t v);
int __wrap_guest_store16(const struct guestmem *mem, gpa_t gpa, uint16_t v);
/* The driver's last look at the flags is right before kicks are asked for: it adds a chain, and does not kick. */
int __wrap_guest_store16(const struct guestmem *mem, gpa_t gpa, uint16_t v)
{
	if (puts_late && gpa.v == TR_USED && v == 0) {
		puts_late = false;
		put();
	}
	return __real_guest_store16(mem, gpa, v);
}

static int setup(void **state)
{
	static const struct dev_spec spec = {
		.name = "echo", .n_queues = 2, .queue_max = N, .poll_queues = 1
	};
	static const struct dev_ops ops = { .queue_run = echo_run, .may_poll = echo_may_poll };
	int sock = testdev_open(&t, N);

	(void)state;
	echo.n_runs = 0;
	echo.most = N;
	echo.busy = puts_late = false;
	n_put = 0;
	assert_int_equal(vu_device_open(&echo.dev, &spec, &ops, &echo, &t.loop, sock), 0);
	return 0;
}

static void start(unsigned int index)
{
	testdev_start(&t, &echo.dev, index);
	echo.dev.poll.window = VU_POLL_MAX;
	echo.dev.poll.on = true;
}

static int teardown(void **state)
{
	(void)state;
	vu_device_close(&echo.dev);
	assert_null(t.loop.idle);
	testdev_close(&t);
	return 0;
}

static bool idle(void)
{
	return t.loop.idle(t.loop.idle_owner);
}

static bool kicks(void)
{
	return !(testring_load16(&t.ring, TR_USED) & NO_NOTIFY);
}

static void a_polled_queue_asks_for_kicks_only_before_the_sleep(void **state)
{
	(void)state;
	start(0);
	put();
	dev_queue_run(t.q);
	assert_int_equal(testdev_used(&t), 1);
	assert_false(kicks());
	put(); /* and no kick */
	assert_false(idle());
	assert_int_equal(testdev_used(&t), 2);
	assert_true(kicks());
	assert_false(t.q->quiet);
}

static void a_chain_that_comes_as_kicks_are_asked_for_is_served(void **state)
{
	(void)state;
	start(0);
	put();
	dev_queue_run(t.q);
	puts_late = true;
	assert_false(idle());
	assert_false(puts_late);
	assert_int_equal(testdev_used(&t), 2);
	assert_true(kicks());
}

static void a_queue_that_the_spec_does_not_name_is_not_polled(void **state)
{
	(void)state;
	start(1);
	put();
	dev_queue_run(t.q);
	assert_true(kicks());
	put();
	echo.n_runs = 0;
	assert_false(idle());
	assert_int_equal(echo.n_runs, 0);
}

static void a_device_that_waits_for_more_than_kicks_sleeps_at_once(void **state)
{
	(void)state;
	start(0);
	put();
	dev_queue_run(t.q);
	echo.busy = true;
	echo.n_runs = 0;
	assert_false(idle());
	assert_int_equal(echo.n_runs, 1); /* the last look, as kicks are asked for */
	assert_true(kicks());
}

static void a_request_of_the_front_end_that_waits_ends_the_polling(void **state)
{
	(void)state;
	start(0);
	put();
	dev_queue_run(t.q);
	echo.dev.parked.there = true;
	echo.n_runs = 0;
	assert_false(idle());
	assert_int_equal(echo.n_runs, 1);
	assert_true(kicks());
	echo.dev.parked.there = false;
}

static void a_held_queue_is_not_served(void **state)
{
	(void)state;
	start(0);
	put();
	dev_queue_run(t.q);
	assert_int_equal(vu_ring_drain(t.q), 0);
	put();
	echo.n_runs = 0;
	assert_false(idle());
	assert_int_equal(echo.n_runs, 0);
	vu_rings_release(&echo.dev);
	dev_queue_run(t.q);
	assert_int_equal(testdev_used(&t), 2);
}

static void other_events_have_their_turn(void **state)
{
	(void)state;
	start(0);
	echo.most = 1;
	for (unsigned int i = 0; i < 40; i++)
		put();
	assert_true(idle());
	assert_int_equal(testdev_used(&t), 16);
	assert_true(idle());
	assert_int_equal(testdev_used(&t), 32);
	assert_false(idle());
	assert_int_equal(testdev_used(&t), 40);
}

static void chains_that_nobody_takes_are_no_success(void **state)
{
	(void)state;
	start(0);
	echo.most = 0;
	put();
	assert_false(idle());
	assert_int_equal(testdev_used(&t), 0);
}

static void a_broken_ring_is_left_alone(void **state)
{
	(void)state;
	start(0);
	testring_set_avail_idx(&t.ring, N + 1);
	assert_false(idle());
	assert_non_null(t.q->vq.broken);
	echo.n_runs = 0;
	assert_false(idle());
	assert_int_equal(echo.n_runs, 0);
}

static void the_moment_follows_how_long_kicks_are_waited_for(void **state)
{
	struct vu_poll p = { 0 };
	uint64_t first;

	(void)state;
	vu_poll_learn(&p, VU_POLL_MAX + 1);
	assert_int_equal(p.window, 0);
	vu_poll_learn(&p, VU_POLL_MAX);
	first = p.window;
	assert_in_range(first, 1, VU_POLL_MAX / 4);
	vu_poll_learn(&p, 1);
	assert_int_equal(p.window, 2 * first);
	for (unsigned int i = 0; i < 64; i++) {
		p.misses = 0; /* it found something */
		vu_poll_learn(&p, 1);
	}
	assert_int_equal(p.window, VU_POLL_MAX);
	vu_poll_learn(&p, UINT64_MAX);
	assert_int_equal(p.window, 0);
}

static void who_takes_the_cpu_from_somebody_does_not_poll_for_a_while(void **state)
{
	struct vu_poll p = { .window = VU_POLL_MAX };
	unsigned int n = 0;

	(void)state;
	for (vu_poll_disturbed(&p); !p.window; n++)
		vu_poll_learn(&p, 1);
	assert_in_range(n, 100, 10000);
}

static void a_driver_that_runs_only_while_the_device_sleeps_is_not_polled(void **state)
{
	struct vu_poll p = { 0 };
	unsigned int n = 0, polled = 0;

	(void)state;
	for (; n < 10000; n++) {
		vu_poll_learn(&p, 1);
		polled += p.window > 0;
	}
	assert_in_range(polled, 1, n / 50);
}

static void without_a_window_nothing_changes(void **state)
{
	(void)state;
	start(0);
	echo.dev.poll.window = 0;
	echo.dev.poll.on = false;
	put();
	dev_queue_run(t.q);
	assert_true(kicks());
	put();
	echo.n_runs = 0;
	assert_false(idle());
	assert_int_equal(echo.n_runs, 0);
	assert_false(echo.dev.poll.on);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_polled_queue_asks_for_kicks_only_before_the_sleep),
		TEST(a_chain_that_comes_as_kicks_are_asked_for_is_served),
		TEST(a_queue_that_the_spec_does_not_name_is_not_polled),
		TEST(a_device_that_waits_for_more_than_kicks_sleeps_at_once),
		TEST(a_request_of_the_front_end_that_waits_ends_the_polling),
		TEST(a_held_queue_is_not_served),
		TEST(other_events_have_their_turn),
		TEST(chains_that_nobody_takes_are_no_success),
		TEST(a_broken_ring_is_left_alone),
		TEST(without_a_window_nothing_changes),
		cmocka_unit_test(the_moment_follows_how_long_kicks_are_waited_for),
		cmocka_unit_test(a_driver_that_runs_only_while_the_device_sleeps_is_not_polled),
		cmocka_unit_test(who_takes_the_cpu_from_somebody_does_not_poll_for_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
