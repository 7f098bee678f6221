/* SPDX-License-Identifier: Apache-2.0 */
/* DEVICE_STATE of the vhost-user back end, with dev-rng behind it: transfers in pieces, hostile ones, and none. */
#include "cmd/dev-rng/rng.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#define RATE 5000U
#define LEN (STATE_HEADER_LEN + 8U)
#define OK VU_TRANSFER_NOFD
#define REFUSED (VU_TRANSFER_NOFD | 1U)

static struct rng rng;
static struct loop loop;
static int sock;

static int setup(void **state)
{
	const struct rng_options o = { .rate = RATE };
	int pair[2];

	(void)state;
	memset(&rng, 0, sizeof(rng));
	assert_int_equal(loop_open(&loop), 0);
	make_pair(SOCK_STREAM, pair);
	sock = pair[0];
	assert_int_equal(rng_prepare(&rng, &o, &loop, pair[1]), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vu_device_close(&rng.dev);
	loop_close(&loop);
	closep(&rng.timer_fd);
	closep(&sock);
	return 0;
}

static int tell(struct vu_msg m, int fd)
{
	assert_int_equal(vu_send(sock, &m, &fd, fd >= 0 ? 1 : 0), 0);
	return loop_run_once(&loop, 0);
}

static uint64_t ask(struct vu_msg m, int fd)
{
	struct vu_msg reply = { 0 };
	int fds[MSG_MAX_FDS];
	size_t n = 0;

	assert_int_equal(tell(m, fd), 0);
	assert_int_equal(vu_recv(sock, &reply, fds, &n), 1);
	assert_true(reply.reply && reply.request == m.request && n == 0);
	return reply.u64;
}

static void negotiate(void)
{
	const uint64_t bit = 1ULL << VHOST_USER_PROTOCOL_F_DEVICE_STATE;
	const struct vu_msg get = { .request = VHOST_USER_GET_PROTOCOL_FEATURES };
	const struct vu_msg set = { .request = VHOST_USER_SET_PROTOCOL_FEATURES, .u64 = bit };

	assert_true(ask(get, -1) & bit);
	assert_int_equal(tell(set, -1), 0);
}

static uint64_t begin(uint32_t direction, int fd)
{
	const struct vu_msg m = { .request = VHOST_USER_SET_DEVICE_STATE_FD,
				  .transfer = { .direction = direction } };

	return ask(m, fd);
}

static uint64_t check(void)
{
	return ask((struct vu_msg){ .request = VHOST_USER_CHECK_DEVICE_STATE }, -1);
}

static void make_pipe(int ret[2])
{
	assert_int_equal(pipe2(ret, O_CLOEXEC), 0);
}

/* The bytes of the state now. */
static void fetch(uint8_t wire[LEN])
{
	int p[2];

	make_pipe(p);
	assert_int_equal(begin(VU_TRANSFER_SAVE, p[1]), OK);
	closep(&p[1]);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(read(p[0], wire, LEN), LEN);
	assert_int_equal(read(p[0], wire, LEN), 0); /* its end */
	assert_int_equal(check(), 0);
	closep(&p[0]);
}

static uint64_t give(const uint8_t *wire, size_t len)
{
	int p[2];

	make_pipe(p);
	assert_int_equal(begin(VU_TRANSFER_LOAD, p[0]), OK);
	closep(&p[0]);
	if (len)
		assert_int_equal(write(p[1], wire, len), len);
	closep(&p[1]);
	return check();
}

static void test_there_and_back(void **state)
{
	uint8_t wire[LEN];

	(void)state;
	negotiate();
	rng.tokens = 1234;
	fetch(wire);
	rng.tokens = 1;
	assert_int_equal(give(wire, LEN), 0);
	assert_int_equal(rng.tokens, 1234);
	assert_true(rng.ticking); /* it fills again */
}

static void test_in_pieces(void **state)
{
	uint8_t wire[LEN];
	int p[2];

	(void)state;
	negotiate();
	rng.tokens = 77;
	fetch(wire);
	rng.tokens = 1;
	make_pipe(p);
	assert_int_equal(begin(VU_TRANSFER_LOAD, p[0]), OK);
	closep(&p[0]);
	for (size_t i = 0; i < LEN; i++) {
		assert_int_equal(write(p[1], wire + i, 1), 1);
		assert_int_equal(loop_run_once(&loop, 0), 0);
		assert_int_equal(rng.tokens, 1); /* nothing before the end */
	}
	closep(&p[1]);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(rng.tokens, 77);
	assert_int_equal(check(), 0);
	assert_int_equal(check(), 0); /* and still */
}

/* A pipe that is full is waited for in the loop, never in a call. */
static void test_a_full_pipe(void **state)
{
	static uint8_t junk[1 << 16];
	uint8_t wire[LEN];
	int p[2];
	ssize_t filled;

	(void)state;
	negotiate();
	make_pipe(p);
	assert_int_equal(fcntl(p[1], F_SETFL, O_NONBLOCK), 0);
	filled = write(p[1], junk, sizeof(junk));
	assert_true(filled > 0);
	assert_int_equal(begin(VU_TRANSFER_SAVE, p[1]), OK);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_true(rng.dev.transfer.fd >= 0);
	assert_int_equal(read(p[0], junk, sizeof(junk)), filled);
	closep(&p[1]);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(read(p[0], wire, LEN), LEN);
	assert_int_equal(check(), 0);
	closep(&p[0]);
}

static void test_damaged(void **state)
{
	static uint8_t longest[STATE_IMAGE_MAX + 100];
	uint8_t wire[LEN], bad[LEN];
	int before = open_fds();

	(void)state;
	negotiate();
	rng.tokens = 99;
	fetch(wire);
	for (size_t at = 0; at < STATE_HEADER_LEN; at++)
		for (unsigned int bit = 0; bit < 8; bit++) {
			memcpy(bad, wire, LEN);
			bad[at] ^= (uint8_t)(1U << bit);
			assert_int_equal(give(bad, LEN), 1);
		}
	for (size_t len = 0; len < LEN; len++)
		assert_int_equal(give(wire, len), 1);
	memcpy(bad, wire, LEN);
	bad[LEN - 1] = 1; /* more than its rate gives */
	assert_int_equal(give(bad, LEN), 1);
	memcpy(longest, wire, LEN);
	assert_int_equal(give(longest, LEN + 1), 1);
	assert_int_equal(give(longest, sizeof(longest)), 1);
	assert_int_equal(rng.tokens, 99);
	assert_int_equal(open_fds(), before);
	assert_int_equal(give(wire, LEN), 0); /* and it still can */
}

/* Whoever says more than any state has is hung up on at once. */
static void test_too_much_in_pieces(void **state)
{
	static const uint8_t junk[STATE_IMAGE_MAX];
	int p[2];

	(void)state;
	negotiate();
	make_pipe(p);
	assert_int_equal(begin(VU_TRANSFER_LOAD, p[0]), OK);
	closep(&p[0]);
	assert_int_equal(write(p[1], junk, 100), 100);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(write(p[1], junk, sizeof(junk)), sizeof(junk));
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_true(write(p[1], junk, 1) < 0);
	closep(&p[1]);
	assert_int_equal(check(), 1);
}

static void test_what_is_no_pipe(void **state)
{
	int s[2], before, fd;

	(void)state;
	negotiate();
	make_pair(SOCK_STREAM, s);
	before = open_fds();
	assert_int_equal(begin(VU_TRANSFER_SAVE, s[0]), REFUSED);
	assert_int_equal(begin(VU_TRANSFER_LOAD, s[0]), REFUSED);
	fd = make_event();
	assert_int_equal(begin(VU_TRANSFER_LOAD, fd), REFUSED);
	closep(&fd);
	fd = memfd_create("file", MFD_CLOEXEC);
	assert_int_equal(begin(VU_TRANSFER_SAVE, fd), REFUSED);
	closep(&fd);
	assert_int_equal(open_fds(), before);
	close_pair(s);
	assert_int_equal(check(), 1); /* nothing was ever transferred */
}

/* The wrong end: reading or writing it is an error, and no more. */
static void test_the_wrong_end(void **state)
{
	int p[2];

	(void)state;
	negotiate();
	make_pipe(p);
	(void)begin(VU_TRANSFER_SAVE, p[0]);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(check(), 1);
	(void)begin(VU_TRANSFER_LOAD, p[1]);
	closep(&p[0]);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(check(), 1);
	closep(&p[1]);
}

static void test_nobody_reads(void **state)
{
	int p[2];

	(void)state;
	negotiate();
	make_pipe(p);
	assert_int_equal(begin(VU_TRANSFER_SAVE, p[1]), OK);
	closep(&p[0]);
	closep(&p[1]);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(check(), 1);
}

static void test_one_at_a_time(void **state)
{
	uint8_t wire[LEN];
	int p[2], other[2];

	(void)state;
	negotiate();
	fetch(wire);
	make_pipe(p);
	make_pipe(other);
	assert_int_equal(begin(VU_TRANSFER_LOAD, p[0]), OK);
	assert_int_equal(begin(VU_TRANSFER_LOAD, other[0]), REFUSED);
	assert_int_equal(begin(VU_TRANSFER_SAVE, other[1]), REFUSED);
	close_pair(other);
	assert_int_equal(write(p[1], wire, LEN), LEN);
	assert_int_equal(check(),
			 1); /* too early: its end has not been seen, and the whole is void */
	closep(&p[0]);
	assert_true(write(p[1], wire, LEN) < 0); /* nobody reads it any more */
	closep(&p[1]);
	assert_int_equal(give(wire, LEN), 0);
}

static void test_what_is_not_known(void **state)
{
	int p[2];

	(void)state;
	negotiate();
	make_pipe(p);
	assert_int_equal(begin(2, p[1]), REFUSED);
	assert_int_equal(ask((struct vu_msg){ .request = VHOST_USER_SET_DEVICE_STATE_FD,
					      .transfer = { .phase = 1 } },
			     p[1]),
			 REFUSED);
	close_pair(p);
}

static void test_a_reset_ends_it(void **state)
{
	const struct vu_msg reset = { .request = VHOST_USER_RESET_DEVICE };
	const uint64_t both = 1ULL << VHOST_USER_PROTOCOL_F_DEVICE_STATE |
			      1ULL << VHOST_USER_PROTOCOL_F_RESET_DEVICE;
	int p[2];

	(void)state;
	assert_int_equal(
		tell((struct vu_msg){ .request = VHOST_USER_SET_PROTOCOL_FEATURES, .u64 = both },
		     -1),
		0);
	make_pipe(p);
	assert_int_equal(begin(VU_TRANSFER_LOAD, p[0]), OK);
	closep(&p[0]);
	assert_int_equal(tell(reset, -1), 0);
	assert_true(write(p[1], "x", 1) < 0);
	assert_int_equal(check(), 1);
	closep(&p[1]);
}

static void test_not_while_rings_run(void **state)
{
	uint8_t wire[LEN];
	int p[2];

	(void)state;
	negotiate();
	fetch(wire);
	rng.tokens = 5;
	make_pipe(p);
	assert_int_equal(begin(VU_TRANSFER_LOAD, p[0]), OK);
	assert_int_equal(write(p[1], wire, LEN), LEN);
	rng.dev.queue[0].armed = true; /* began meanwhile */
	closep(&p[1]);
	assert_int_equal(check(), 1);
	assert_int_equal(rng.tokens, 5);
	assert_int_equal(tell((struct vu_msg){ .request = VHOST_USER_SET_DEVICE_STATE_FD }, p[0]),
			 -EPROTO);
	rng.dev.queue[0].armed = false;
	closep(&p[0]);
}

static void test_must_be_negotiated(void **state)
{
	int p[2];

	(void)state;
	make_pipe(p);
	assert_int_equal(tell((struct vu_msg){ .request = VHOST_USER_SET_DEVICE_STATE_FD }, p[0]),
			 -EPROTO);
	close_pair(p);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_there_and_back),     CASE(test_in_pieces),
		CASE(test_a_full_pipe),	       CASE(test_damaged),
		CASE(test_too_much_in_pieces), CASE(test_what_is_no_pipe),
		CASE(test_the_wrong_end),      CASE(test_nobody_reads),
		CASE(test_one_at_a_time),      CASE(test_what_is_not_known),
		CASE(test_a_reset_ends_it),    CASE(test_not_while_rings_run),
		CASE(test_must_be_negotiated),
	};

	signal(SIGPIPE, SIG_IGN); /* as in every device's process */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
