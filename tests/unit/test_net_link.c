/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-net's link: frames at every place of its rings, and a process that is killed at any of its moves. A
 * kill is played by taking the page as it was before or after a call, or as the kernel leaves it within one.
 */
#include "lib/netkit/link.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define ROUNDS 4000

static struct link_page page, killed;
static struct link link_;
static struct loop loop;
static int peer, fd;
static unsigned int seed = 1;
/* the call after which the page is kept as a successor would find it; 0: none */
static unsigned int calls, kill_at;

int __real_sendmmsg(int sock, struct mmsghdr *m, unsigned int n, int flags);
int __wrap_sendmmsg(int sock, struct mmsghdr *m, unsigned int n, int flags);
int __real_recvmmsg(int sock, struct mmsghdr *m, unsigned int n, int flags, struct timespec *t);
int __wrap_recvmmsg(int sock, struct mmsghdr *m, unsigned int n, int flags, struct timespec *t);

static void keep(void)
{
	if (++calls == kill_at)
		memcpy(&killed, &page, sizeof(page));
}

int __wrap_sendmmsg(int sock, struct mmsghdr *m, unsigned int n, int flags)
{
	int r = __real_sendmmsg(sock, m, n, flags);

	keep();
	return r;
}

int __wrap_recvmmsg(int sock, struct mmsghdr *m, unsigned int n, int flags, struct timespec *t)
{
	int r = __real_recvmmsg(sock, m, n, flags, t);

	keep();
	return r;
}

static void nothing(void *owner)
{
	(void)owner;
}

static void start(void)
{
	assert_int_equal(link_open(&link_, &page, &loop, dup(fd), nothing, NULL), 0);
}

static int setup(void **state)
{
	int pair[2];

	(void)state;
	memset(&page, 0, sizeof(page));
	calls = kill_at = 0;
	assert_int_equal(loop_open(&loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	peer = pair[0];
	fd = pair[1];
	start();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	link_close(&link_);
	closep(&peer);
	closep(&fd);
	loop_close(&loop);
	return 0;
}

static size_t below(size_t n)
{
	return (size_t)rand_r(&seed) % n;
}

/* A frame whose bytes say which one it is, and how long. */
static void fill(uint8_t *at, size_t len, uint32_t number)
{
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(number * 31 + i * 7 + len);
}

static bool put(size_t len, uint32_t number)
{
	static uint8_t frame[LINK_FRAME_MAX];
	struct link_bytes to;

	if (!link_claim(&link_, len, &to))
		return false;
	assert_int_equal(link_bytes_len(&to), len);
	fill(frame, len, number);
	memcpy(to.at[0], frame, to.len[0]);
	memcpy(to.at[1], frame + to.len[0], to.len[1]);
	link_commit(&link_, len);
	return true;
}

static size_t read_all(uint8_t *out, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = recv(peer, out + done, len - done, MSG_DONTWAIT);

		if (n <= 0) {
			assert_int_equal(link_settle(&link_), 0);
			n = recv(peer, out + done, len - done, MSG_DONTWAIT);
		}
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static void expect_frame(size_t len, uint32_t number)
{
	static uint8_t got[LINK_FRAME_MAX], want[LINK_FRAME_MAX];
	uint8_t be[LINK_LENGTH];

	assert_int_equal(read_all(be, sizeof(be)), sizeof(be));
	assert_int_equal((size_t)be[0] << 24 | (size_t)be[1] << 16 | (size_t)be[2] << 8 | be[3],
			 len);
	assert_int_equal(read_all(got, len), len);
	fill(want, len, number);
	assert_memory_equal(got, want, len);
}

static void offer(size_t len, uint32_t number)
{
	static uint8_t frame[LINK_LENGTH + LINK_FRAME_MAX];

	frame[0] = (uint8_t)(len >> 24);
	frame[1] = (uint8_t)(len >> 16);
	frame[2] = (uint8_t)(len >> 8);
	frame[3] = (uint8_t)len;
	fill(frame + LINK_LENGTH, len, number);
	assert_int_equal(write(peer, frame, LINK_LENGTH + len), LINK_LENGTH + len);
}

static void expect_offered(size_t len, uint32_t number)
{
	static uint8_t got[LINK_FRAME_MAX], want[LINK_FRAME_MAX];
	struct link_bytes from;

	assert_int_equal(link_peek(&link_, &from), 1);
	assert_int_equal(link_bytes_len(&from), len);
	memcpy(got, from.at[0], from.len[0]);
	memcpy(got + from.len[0], from.at[1], from.len[1]);
	fill(want, len, number);
	assert_memory_equal(got, want, len);
	link_skip(&link_, len);
}

/* Lengths and frames over the ring's end, in both directions. */
static void test_every_place_in_the_ring(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		size_t len = below(8) ? LINK_FRAME_MIN + below(1500) : 1 + below(LINK_FRAME_MAX);

		assert_true(put(len, i));
		assert_int_equal(link_settle(&link_), 0);
		expect_frame(len, i);
		offer(len, i);
		assert_int_equal(loop_run_once(&loop, 0), 0);
		expect_offered(len, i);
	}
}

/* No byte more than the ring has, and none of a frame that did not fit. */
static void test_a_full_ring(void **state)
{
	uint32_t n = 0;

	(void)state;
	while (put(1000, n))
		n++;
	assert_true(n > LINK_CAP / 1004);
	assert_true(link_.waiting);
	assert_true(page.out_tail - page.out_head <= LINK_CAP);
	for (uint32_t i = 0; i < n; i++)
		expect_frame(1000, i);
	assert_true(put(1000, n));
	assert_int_equal(link_settle(&link_), 0);
	expect_frame(1000, n);
}

/* The successor counts what a call has moved though its process never did. */
static void test_killed_within_a_send(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		size_t a = LINK_FRAME_MIN + below(5000), b = LINK_FRAME_MIN + below(5000);

		assert_true(put(a, i));
		calls = 0;
		kill_at = 1;
		assert_int_equal(link_settle(&link_), 0);
		assert_true(killed.out_head != page.out_head);
		link_close(&link_);
		memcpy(&page, &killed, sizeof(page));
		start();
		assert_true(put(b, i + 1));
		assert_int_equal(link_settle(&link_), 0);
		expect_frame(a, i);
		expect_frame(b, i + 1);
	}
}

static void test_killed_within_a_receive(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		size_t a = LINK_FRAME_MIN + below(5000), b = LINK_FRAME_MIN + below(5000);

		offer(a, i);
		calls = 0;
		kill_at = 1;
		assert_int_equal(loop_run_once(&loop, 0), 0);
		assert_true(killed.in_tail != page.in_tail);
		link_close(&link_);
		memcpy(&page, &killed, sizeof(page));
		start();
		offer(b, i + 1);
		assert_int_equal(loop_run_once(&loop, 0), 0);
		expect_offered(a, i);
		expect_offered(b, i + 1);
	}
}

/* A successor of a successor does not count it again. */
static void test_killed_twice(void **state)
{
	(void)state;
	assert_true(put(100, 1));
	calls = 0;
	kill_at = 1;
	assert_int_equal(link_settle(&link_), 0);
	for (int i = 0; i < 3; i++) {
		link_close(&link_);
		if (i == 0)
			memcpy(&page, &killed, sizeof(page));
		start();
		assert_int_equal(page.out_head, page.out_tail);
	}
	expect_frame(100, 1);
}

/* Half of a frame is no frame; the process that ends meanwhile loses none of it. */
static void test_half_a_frame(void **state)
{
	static const uint8_t length[] = { 0, 0, 0, 100 };
	uint8_t frame[100];
	struct link_bytes from;

	(void)state;
	fill(frame, sizeof(frame), 9);
	assert_int_equal(write(peer, length, 3), 3);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(link_peek(&link_, &from), 0);
	assert_int_equal(write(peer, length + 3, 1), 1);
	assert_int_equal(write(peer, frame, 99), 99);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(link_peek(&link_, &from), 0);
	link_close(&link_);
	start();
	assert_int_equal(write(peer, frame + 99, 1), 1);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	expect_offered(100, 9);
}

static void test_a_length_that_cannot_be(void **state)
{
	static const uint8_t length[] = { 0, 1, 0, 0x12 }; /* LINK_FRAME_MAX and 1 */
	struct link_bytes from;

	(void)state;
	_Static_assert(LINK_FRAME_MAX + 1 == 0x10012, "the bytes above");
	offer(LINK_FRAME_MAX, 1);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	expect_offered(LINK_FRAME_MAX, 1);
	assert_int_equal(write(peer, length, 4), 4);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(link_peek(&link_, &from), -EBADMSG);
	assert_false(link_is_up(&link_));
	assert_int_equal(link_peek(&link_, &from), 0);
	link_close(&link_);
	start();
	assert_false(link_is_up(&link_));
}

/* A predecessor's lies: what cannot be is refused, what can be is within the rings. */
static void test_pages(void **state)
{
	struct link other;
	int other_fd;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		_Atomic uint64_t *const at[] = { &page.out_head, &page.out_tail, &page.in_head,
						 &page.in_tail };
		struct link_bytes from;
		int r;

		for (size_t k = 0; k < 4; k++)
			*at[k] = below(4) ? below(2 * LINK_CAP) : (uint64_t)0 - below(5);
		page.sent.from = page.out_head;
		page.received.from = below(2) ? page.in_tail : 0;
		page.sent.msg.msg_len = (unsigned int)below(3 * LINK_MOVE_MAX);
		page.received.msg.msg_len = (unsigned int)below(LINK_MOVE_MAX);
		page.broken = 0;
		other_fd = dup(fd);
		r = link_open(&other, &page, &loop, other_fd, nothing, NULL);
		if (r == 0) {
			assert_true(page.out_tail - page.out_head <= LINK_CAP);
			assert_true(page.in_tail - page.in_head <= LINK_CAP);
			(void)!link_peek(&other, &from);
			link_close(&other);
		} else {
			assert_int_equal(r, -EBADMSG);
			assert_int_equal(other.fd, -1);
			closep(&other_fd); /* it was not taken */
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_place_in_the_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_full_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_within_a_send, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_within_a_receive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_a_frame, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_length_that_cannot_be, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
