/* SPDX-License-Identifier: Apache-2.0 */
/* The console's stream: bounds at every edge, scrollback, replaced and vanishing peers. */
#include "cmd/dev-console/stream.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HOLD 10 /* periods */
#define TEN_TIMES (10 * STREAM_OUT_CAP)

struct bench {
	struct loop loop;
	struct stream stream;
	struct stream_page page;
	int peer;
	unsigned int n_events;
};

static uint8_t pattern[TEN_TIMES];
static uint8_t got[TEN_TIMES + 1];

static void on_event(void *owner)
{
	struct bench *b = owner;

	b->n_events++;
	stream_receive(&b->stream);
	assert_int_equal(stream_settle(&b->stream), 0);
}

static void attach(struct bench *b)
{
	int socks[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks), 0);
	b->peer = socks[0];
	assert_int_equal(stream_attach(&b->stream, socks[1]), 0);
}

static void setup(struct bench *b)
{
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + i / 251);
	b->n_events = 0;
	b->peer = -1;
	assert_int_equal(loop_open(&b->loop), 0);
	memset(&b->page, 0, sizeof(b->page));
	stream_init(&b->stream, &b->page, &b->loop, HOLD, on_event, b);
}

static void teardown(struct bench *b)
{
	stream_close(&b->stream);
	closep(&b->peer);
	loop_close(&b->loop);
}

/* Reads until there is no more, running the loop; the number of bytes in got. */
static size_t read_peer(struct bench *b)
{
	size_t n = 0;

	for (int idle = 0; idle < 3;) {
		ssize_t r = recv(b->peer, got + n, sizeof(got) - n, MSG_DONTWAIT);

		if (r > 0)
			n += (size_t)r;
		idle = r > 0 ? 0 : idle + 1;
		assert_true(loop_run_once(&b->loop, 0) >= 0);
	}
	return n;
}

static void test_scrollback(void **state)
{
	const size_t sizes[] = { 0,
				 1,
				 STREAM_SCROLLBACK - 1,
				 STREAM_SCROLLBACK,
				 STREAM_SCROLLBACK + 1,
				 STREAM_OUT_CAP + 1,
				 TEN_TIMES };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t want = sizes[i] < STREAM_SCROLLBACK ? sizes[i] : STREAM_SCROLLBACK;
		struct bench b;

		setup(&b);
		assert_true(stream_room(&b.stream) == SIZE_MAX);
		assert_int_equal(stream_put(&b.stream, pattern, sizes[i]), sizes[i]);
		assert_int_equal(fifo_used(&b.stream.out), want);
		attach(&b);
		assert_int_equal(read_peer(&b), want);
		assert_memory_equal(got, pattern + sizes[i] - want, want);
		/* what one peer has had, the next does not get */
		closep(&b.peer);
		assert_true(loop_run_once(&b.loop, 0) >= 0);
		attach(&b);
		assert_int_equal(read_peer(&b), 0);
		teardown(&b);
	}
}

static void test_a_full_ring_takes_no_more(void **state)
{
	const size_t sizes[] = { STREAM_OUT_CAP - 1, STREAM_OUT_CAP, STREAM_OUT_CAP + 1,
				 TEN_TIMES };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t want = sizes[i] < STREAM_OUT_CAP ? sizes[i] : STREAM_OUT_CAP;
		struct bench b;

		setup(&b);
		attach(&b);
		assert_int_equal(stream_room(&b.stream), STREAM_SCROLLBACK);
		assert_int_equal(stream_put(&b.stream, pattern, sizes[i]), want);
		assert_int_equal(stream_room(&b.stream), 0);
		assert_int_equal(read_peer(&b), want);
		assert_memory_equal(got, pattern, want);
		assert_int_equal(stream_room(&b.stream), STREAM_SCROLLBACK);
		teardown(&b);
	}
}

/* A slow reader gets every byte, however little it takes at a time. */
static void test_nothing_is_lost(void **state)
{
	struct bench b;
	size_t in = 0, out = 0;

	(void)state;
	setup(&b);
	attach(&b);
	while (out < TEN_TIMES) {
		size_t len = TEN_TIMES - in < 1000 ? TEN_TIMES - in : 1000;
		ssize_t r;

		if (len > stream_room(&b.stream))
			len = stream_room(&b.stream);
		assert_int_equal(stream_put(&b.stream, pattern + in, len), len);
		in += len;
		assert_int_equal(stream_settle(&b.stream), 0);
		assert_true(loop_run_once(&b.loop, 0) >= 0);
		r = recv(b.peer, got, 777, MSG_DONTWAIT);
		if (r > 0) {
			assert_memory_equal(got, pattern + out, r);
			out += (size_t)r;
		}
	}
	teardown(&b);
}

static void fill(struct bench *b)
{
	while (stream_room(&b->stream)) {
		size_t len = stream_room(&b->stream);

		assert_int_equal(stream_put(&b->stream, pattern, len), len);
		assert_int_equal(stream_settle(&b->stream), 0);
	}
}

/* A peer that takes nothing holds the guest for a while, and then no longer. */
static void test_a_peer_that_stops_reading(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	assert_false(stream_holds(&b.stream));
	assert_false(stream_tick(&b.stream, 10 * HOLD)); /* nobody is there */
	attach(&b);
	assert_false(stream_tick(&b.stream, 10 * HOLD)); /* there is room */
	fill(&b);
	assert_true(stream_holds(&b.stream));
	assert_false(stream_tick(&b.stream, HOLD - 1));
	assert_int_equal(stream_room(&b.stream), 0);
	assert_int_equal(b.stream.dropped, 0);
	assert_true(stream_tick(&b.stream, 1));
	assert_false(stream_holds(&b.stream));
	assert_true(stream_room(&b.stream) == SIZE_MAX);
	/* from now on it is the scrollback, and says what made way */
	fifo_clear(&b.stream.out);
	assert_int_equal(stream_put(&b.stream, pattern, sizeof(pattern)), sizeof(pattern));
	assert_int_equal(fifo_used(&b.stream.out), STREAM_SCROLLBACK);
	assert_int_equal(b.stream.dropped, sizeof(pattern) - STREAM_SCROLLBACK);
	assert_int_equal(stream_settle(&b.stream), 0);
	assert_true(b.stream.stalled);
	/* it reads on: the newest is there, and it may push back again */
	(void)read_peer(&b);
	assert_false(b.stream.stalled);
	assert_int_equal(stream_room(&b.stream), STREAM_SCROLLBACK);
	fill(&b);
	assert_false(stream_tick(&b.stream, HOLD - 1));
	teardown(&b);
}

/* Who takes something now and then, however little, loses nothing. */
static void test_a_peer_that_reads_slowly(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	attach(&b);
	fill(&b);
	for (int i = 0; i < 100; i++) {
		assert_false(stream_tick(&b.stream, HOLD - 1));
		assert_true(recv(b.peer, got, STREAM_SEND_MAX, MSG_DONTWAIT) > 0);
		assert_false(stream_tick(&b.stream, 1));
		fill(&b);
	}
	assert_int_equal(b.stream.dropped, 0);
	teardown(&b);
}

/* A peer that comes anew owes nothing of what the one before did not take. */
static void test_another_peer_after_a_stall(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	attach(&b);
	fill(&b);
	assert_true(stream_tick(&b.stream, HOLD));
	closep(&b.peer);
	attach(&b);
	assert_false(b.stream.stalled);
	fill(&b);
	assert_false(stream_tick(&b.stream, HOLD - 1));
	teardown(&b);
}

static void test_input_pushes_back(void **state)
{
	const size_t sizes[] = { STREAM_IN_CAP - 1, STREAM_IN_CAP, STREAM_IN_CAP + 1,
				 10 * STREAM_IN_CAP };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct bench b;
		size_t n = 0;

		setup(&b);
		attach(&b);
		assert_int_equal(write(b.peer, pattern, sizes[i]), sizes[i]);
		for (int k = 0; k < 5; k++)
			assert_true(loop_run_once(&b.loop, 0) >= 0);
		assert_int_equal(stream_pending(&b.stream),
				 sizes[i] < STREAM_IN_CAP ? sizes[i] : STREAM_IN_CAP);
		if (i == 3) { /* full: the rest waits in the socket, and the loop rests */
			b.n_events = 0;
			assert_true(loop_run_once(&b.loop, 0) >= 0);
			assert_int_equal(b.n_events, 0);
		}
		/* a peer that is gone has still said what it said */
		closep(&b.peer);
		assert_true(loop_run_once(&b.loop, 0) >= 0);
		while (n < sizes[i]) {
			size_t k = stream_get(&b.stream, got + n, 100);

			assert_true(k > 0);
			n += k;
			stream_receive(&b.stream);
		}
		assert_memory_equal(got, pattern, n);
		assert_int_equal(stream_settle(&b.stream), 0);
		assert_int_equal(b.stream.fd, -1);
		teardown(&b);
	}
}

/* Input may end while output goes on. */
static void test_half_close(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	attach(&b);
	shutdown(b.peer, SHUT_WR);
	assert_true(loop_run_once(&b.loop, 0) >= 0);
	b.n_events = 0;
	for (int i = 0; i < 5; i++)
		assert_true(loop_run_once(&b.loop, 0) >= 0);
	assert_int_equal(b.n_events, 0); /* it rests */
	assert_int_equal(stream_put(&b.stream, "bye", 3), 3);
	assert_int_equal(stream_settle(&b.stream), 0);
	assert_int_equal(read_peer(&b), 3);
	teardown(&b);
}

static void test_peer_goes_with_output_waiting(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	attach(&b);
	assert_int_equal(stream_put(&b.stream, pattern, STREAM_OUT_CAP), STREAM_OUT_CAP);
	closep(&b.peer);
	assert_true(loop_run_once(&b.loop, 0) >= 0);
	assert_false(b.stream.attached);
	assert_int_equal(fifo_used(&b.stream.out), STREAM_SCROLLBACK);
	assert_int_equal(stream_put(&b.stream, "tail", 4), 4);
	attach(&b);
	assert_int_equal(read_peer(&b), STREAM_SCROLLBACK);
	assert_memory_equal(got + STREAM_SCROLLBACK - 4, "tail", 4);
	teardown(&b);
}

static void test_replaced(void **state)
{
	struct bench b;
	int old;

	(void)state;
	setup(&b);
	attach(&b);
	old = b.peer;
	attach(&b);
	assert_int_equal(stream_put(&b.stream, "new", 3), 3);
	assert_int_equal(stream_settle(&b.stream), 0);
	assert_int_equal(read_peer(&b), 3);
	assert_int_equal(read(old, got, 1), 0); /* let go */
	close(old);
	assert_true(stream_attach(&b.stream, 12345) < 0);
	assert_true(b.stream.attached); /* a bad one replaces nothing */
	teardown(&b);
}

static void test_finish(void **state)
{
	struct bench b;

	(void)state;
	setup(&b);
	attach(&b);
	assert_int_equal(stream_put(&b.stream, pattern, 5000), 5000);
	stream_finish(&b.stream, 1000);
	assert_int_equal(fifo_used(&b.stream.out), 0);
	assert_int_equal(recv(b.peer, got, sizeof(got), MSG_DONTWAIT), 5000);
	/* a reader that takes nothing is waited for, but not for ever */
	for (int i = 0; i < 20; i++) {
		(void)!stream_put(&b.stream, pattern, STREAM_OUT_CAP);
		stream_finish(&b.stream, 1);
	}
	assert_true(fifo_used(&b.stream.out) > 0);
	closep(&b.peer);
	stream_finish(&b.stream, 100000);
	teardown(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scrollback),
		cmocka_unit_test(test_a_full_ring_takes_no_more),
		cmocka_unit_test(test_nothing_is_lost),
		cmocka_unit_test(test_a_peer_that_stops_reading),
		cmocka_unit_test(test_a_peer_that_reads_slowly),
		cmocka_unit_test(test_another_peer_after_a_stall),
		cmocka_unit_test(test_input_pushes_back),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_peer_goes_with_output_waiting),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_finish),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
