/* SPDX-License-Identifier: Apache-2.0 */
/* The vhost-user back end: every request in every state of the session, rings, memory, reset. */
#include "tests/unit/testring.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/devkit/vu_device.h"
#include "lib/devkit/vu_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define UADDR 0x7f0000000000ULL
#define ALL_PROTOCOL                                                                            \
	(1U << VHOST_USER_PROTOCOL_F_MQ | 1U << VHOST_USER_PROTOCOL_F_REPLY_ACK |               \
	 1U << VHOST_USER_PROTOCOL_F_CONFIG | 1U << VHOST_USER_PROTOCOL_F_RESET_DEVICE |        \
	 1U << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS | 1U << VHOST_USER_PROTOCOL_F_STATUS | \
	 1U << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD | 1U << VHOST_USER_PROTOCOL_F_LOG_SHMFD)

/* A device of two queues that gives every chain back at once, and one byte of configuration. */
static struct echo {
	struct vu_device dev;
	struct virtq_chain chain;
	uint8_t config;
	unsigned int n_runs, n_drains, n_resets;
	bool keep; /* chains stay in flight until the drain */
	uint16_t kept[16];
	unsigned int n_kept;
	bool reenters; /* tries to run its queues from within */
	unsigned int depth, deepest;
} echo;

static struct testring ring;
static struct loop loop;
static int sock, kick_fd, call_fd, err_fd, sealed_fd;

static int echo_run(void *owner, struct dev_queue *q)
{
	struct echo *e = owner;
	int r;

	e->n_runs++;
	if (++e->depth > e->deepest)
		e->deepest = e->depth;
	while ((r = dev_queue_pop(q, &e->chain)) == 1) {
		if (e->reenters && e->depth < 4)
			dev_queue_run(q);
		if (e->keep)
			e->kept[e->n_kept++] = e->chain.head;
		else
			dev_queue_push(q, e->chain.head, 0);
	}
	e->depth--;
	return r;
}

static unsigned int echo_drain(void *owner, struct dev_queue *q)
{
	struct echo *e = owner;

	e->n_drains++;
	while (e->n_kept && q->index == 0)
		dev_queue_push(q, e->kept[--e->n_kept], 0);
	dev_queue_run(q); /* must not start anything now */
	if (e->reenters)
		dev_queue_run(&e->dev.queue[!q->index]);
	return 0;
}

static void echo_reset(void *owner)
{
	struct echo *e = owner;

	e->n_resets++;
}

static void echo_config_read(void *owner, uint8_t *config)
{
	const struct echo *e = owner;

	config[0] = e->config;
}

static int echo_config_write(void *owner, uint32_t offset, const uint8_t *data, uint32_t len)
{
	struct echo *e = owner;

	if (offset || len != 1 || data[0] == 99)
		return -EINVAL;
	e->config = data[0];
	return 0;
}

static const struct dev_spec spec = { .name = "echo",
				      .features = 1,
				      .n_queues = 2,
				      .queue_max = 64,
				      .config_len = 1 };
static const struct dev_ops ops = {
	.config_read = echo_config_read,
	.config_write = echo_config_write,
	.queue_run = echo_run,
	.queue_drain = echo_drain,
	.reset = echo_reset,
};

static int setup(void **state)
{
	int pair[2];

	(void)state;
	memset(&echo, 0, sizeof(echo));
	testring_open(&ring, 16, false, true);
	assert_int_equal(loop_open(&loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	sock = pair[0];
	assert_int_equal(vu_device_open(&echo.dev, &spec, &ops, &echo, &loop, pair[1]), 0);
	kick_fd = eventfd(0, EFD_CLOEXEC);
	call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sealed_fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(sealed_fd, TR_RAM), 0);
	assert_int_equal(fcntl(sealed_fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vu_device_close(&echo.dev);
	loop_close(&loop);
	closep(&sock);
	closep(&kick_fd);
	closep(&call_fd);
	closep(&err_fd);
	closep(&sealed_fd);
	testring_close(&ring);
	return 0;
}

/* Sends a request and lets the device handle it: 0, or how the loop ended. */
static int tell(struct vu_msg m, int fd)
{
	assert_int_equal(vu_send(sock, &m, &fd, fd >= 0 ? 1 : 0), 0);
	return loop_run_once(&loop, 0);
}

/* The same for a request with an answer. */
static struct vu_msg ask(struct vu_msg m)
{
	struct vu_msg reply = { 0 };
	int fds[MSG_MAX_FDS];
	size_t n_fds = 0;

	assert_int_equal(tell(m, -1), 0);
	assert_int_equal(vu_recv(sock, &reply, fds, &n_fds), 1);
	assert_true(reply.reply);
	assert_int_equal(reply.request, m.request);
	return reply;
}

static struct vu_msg request_u64(uint32_t request, uint64_t v)
{
	return (struct vu_msg){ .request = request, .u64 = v };
}

static struct vu_msg request_state(uint32_t request, uint32_t index, uint32_t num)
{
	return (struct vu_msg){ .request = request, .state = { index, num } };
}

static struct vu_msg request_addr(void)
{
	return (struct vu_msg){ .request = VHOST_USER_SET_VRING_ADDR,
				.addr = { .desc = UADDR + TR_DESC,
					  .used = UADDR + TR_USED,
					  .avail = UADDR + TR_AVAIL } };
}

static struct vu_msg request_mem(void)
{
	return (struct vu_msg){ .request = VHOST_USER_SET_MEM_TABLE,
				.mem = { 1, { { 0, TR_RAM, UADDR, 0 } } } };
}

static struct vu_msg request_config(uint32_t request, uint8_t value)
{
	return (struct vu_msg){ .request = request, .config = { .size = 1, .data = { value } } };
}

static void go_set(void)
{
	uint64_t features = 1ULL << VHOST_USER_F_PROTOCOL_FEATURES | 1ULL << VIRTIO_F_VERSION_1 |
			    1ULL << VIRTIO_F_INDIRECT_DESC;

	assert_int_equal(tell(request_u64(VHOST_USER_SET_FEATURES, features), -1), 0);
}

static void go_protocol(void)
{
	assert_int_equal(tell(request_u64(VHOST_USER_SET_PROTOCOL_FEATURES, ALL_PROTOCOL), -1), 0);
}

static void go_addr(void)
{
	assert_int_equal(tell(request_mem(), ring.fd), 0);
	assert_int_equal(tell(request_state(VHOST_USER_SET_VRING_NUM, 0, 16), -1), 0);
	assert_int_equal(tell(request_addr(), -1), 0);
	assert_int_equal(tell(request_u64(VHOST_USER_SET_VRING_CALL, 0), call_fd), 0);
	assert_int_equal(tell(request_u64(VHOST_USER_SET_VRING_ERR, 0), err_fd), 0);
}

static void go_live(void)
{
	go_protocol();
	go_set();
	go_addr();
	assert_int_equal(tell(request_u64(VHOST_USER_SET_VRING_KICK, 0), kick_fd), 0);
	assert_int_equal(tell(request_state(VHOST_USER_SET_VRING_ENABLE, 0, 1), -1), 0);
	assert_int_equal(loop_run_once(&loop, 0), 0);
}

static void kick(void)
{
	uint64_t one = 1;

	assert_int_equal(write(kick_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(loop_run_once(&loop, 0), 0);
}

static uint64_t count(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void offer(uint16_t d)
{
	testring_desc(&ring, d, TR_DATA, 8, D_WRITE, 0);
	testring_avail(&ring, d);
}

static uint16_t used(void)
{
	return testring_load16(&ring, TR_USED + 2);
}

/* ---- request x state ---- */

#define S VU_STATE_START
#define F VU_STATE_SET
#define L VU_STATE_LIVE

/* The states in which a request is carried out; in the others it ends the session. */
static const struct legal {
	uint32_t request;
	unsigned int states;
} legal[] = {
	{ VHOST_USER_GET_FEATURES, S | F | L },
	{ VHOST_USER_SET_FEATURES, S | F },
	{ VHOST_USER_SET_OWNER, S | F },
	{ VHOST_USER_RESET_OWNER, S | F | L },
	{ VHOST_USER_SET_MEM_TABLE, S | F | L },
	{ VHOST_USER_SET_VRING_NUM, S | F },
	{ VHOST_USER_SET_VRING_ADDR, S | F | L }, /* the same again */
	{ VHOST_USER_SET_LOG_BASE, S | F | L },
	{ VHOST_USER_SET_LOG_FD, S | F | L },
	{ VHOST_USER_GET_INFLIGHT_FD, S | F },
	{ VHOST_USER_SET_INFLIGHT_FD, S | F },
	{ VHOST_USER_SET_VRING_BASE, S | F },
	{ VHOST_USER_GET_VRING_BASE, S | F | L },
	{ VHOST_USER_SET_VRING_KICK, F },
	{ VHOST_USER_SET_VRING_CALL, S | F | L },
	{ VHOST_USER_SET_VRING_ERR, S | F | L },
	{ VHOST_USER_GET_PROTOCOL_FEATURES, S | F | L },
	{ VHOST_USER_SET_PROTOCOL_FEATURES, S | F },
	{ VHOST_USER_GET_QUEUE_NUM, S | F | L },
	{ VHOST_USER_SET_VRING_ENABLE, S | F | L },
	{ VHOST_USER_GET_CONFIG, S | F | L },
	{ VHOST_USER_SET_CONFIG, F | L },
	{ VHOST_USER_RESET_DEVICE, S | F | L },
	{ VHOST_USER_GET_MAX_MEM_SLOTS, S | F | L },
	{ VHOST_USER_ADD_MEM_REG, S | F | L },
	{ VHOST_USER_REM_MEM_REG, S | F | L },
	{ VHOST_USER_SET_STATUS, S | F | L },
	{ VHOST_USER_GET_STATUS, S | F | L },
};

static int send_legal(uint32_t request)
{
	struct vu_msg m = { .request = request };

	switch (request) {
	case VHOST_USER_SET_MEM_TABLE:
		return tell(request_mem(), ring.fd);
	case VHOST_USER_SET_VRING_NUM:
		m.state.num = 16;
		return tell(m, -1);
	case VHOST_USER_SET_VRING_ADDR:
		return tell(request_addr(), -1);
	case VHOST_USER_SET_VRING_KICK:
		return tell(m, kick_fd);
	case VHOST_USER_SET_VRING_CALL:
		return tell(m, call_fd);
	case VHOST_USER_SET_VRING_ERR:
		return tell(m, err_fd);
	case VHOST_USER_SET_LOG_FD:
		return tell(m, err_fd);
	case VHOST_USER_SET_LOG_BASE:
		m.log.size = TR_RAM / 4096 / 8;
		return tell(m, sealed_fd);
	case VHOST_USER_GET_INFLIGHT_FD:
	case VHOST_USER_SET_INFLIGHT_FD:
		m.inflight.size = TR_RAM;
		m.inflight.n_queues = 2;
		m.inflight.queue_size = 16;
		return tell(m, request == VHOST_USER_SET_INFLIGHT_FD ? sealed_fd : -1);
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_SET_CONFIG:
		return tell(request_config(request, 1), -1);
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		m.u64 = ALL_PROTOCOL;
		return tell(m, -1);
	case VHOST_USER_ADD_MEM_REG:
		m.mem_reg = (struct vu_region){ 1ULL << 40, TR_RAM, UADDR + (1ULL << 40), 0 };
		return tell(m, ring.fd);
	case VHOST_USER_REM_MEM_REG:
		m.mem_reg = (struct vu_region){ 0, TR_RAM, UADDR, 0 };
		return tell(m, -1);
	default:
		return tell(m, -1);
	}
}

static void go(unsigned int state)
{
	if (state == L) {
		go_live();
		return;
	}
	go_protocol();
	if (state == F)
		go_set();
	go_addr();
}

static void test_every_request_in_every_state(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(legal); i++)
		for (unsigned int s = S; s <= L; s <<= 1) {
			int r;

			teardown(state);
			setup(state);
			go(s);
			r = send_legal(legal[i].request);
			if (legal[i].states & s ? r != 0 : r != -EPROTO)
				fail_msg("request %u in state %u: %d", legal[i].request, s, r);
			if (r < 0)
				assert_true(echo.dev.why[0]);
		}
}

/* The request of a header that is sent with a payload that is not its own, and with nothing behind. */
static void test_malformed_messages_are_named(void **state)
{
	static const struct {
		uint8_t wire[16];
		size_t len;
		const char *why;
	} rows[] = {
		{ { VHOST_USER_SET_VRING_NUM, 0, 0, 0, VU_VERSION, 0, 0, 0, 4 },
		  16,
		  "vhost-user request 8 is malformed" },
		{ { VHOST_USER_SET_VRING_BASE, 0, 0, 0, VU_VERSION, 0, 0, 0, 8 },
		  14,
		  "vhost-user request 10 is malformed" },
		{ { VHOST_USER_GET_FEATURES, 0, 0, 0, 2 }, 12, "vhost-user request 1 is malformed" },
		{ { VHOST_USER_ADD_MEM_REG, 0, 0, 0, VU_VERSION, 0, 0, 0, 255, 255 },
		  12,
		  "vhost-user request 37 is malformed" },
		{ { 200, 0, 0, 0, VU_VERSION }, 12, "vhost-user request 200 is unknown" },
		{ { VHOST_USER_GET_FEATURES, 0, 0, 0, VU_VERSION },
		  5,
		  "no vhost-user message: a malformed header" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		teardown(state);
		setup(state);
		assert_int_equal(send(sock, rows[i].wire, rows[i].len, 0), rows[i].len);
		assert_int_equal(shutdown(sock, SHUT_WR), 0);
		assert_int_equal(loop_run_once(&loop, 0), -EPROTO);
		assert_string_equal(echo.dev.why, rows[i].why);
	}
}

static void test_protocol_features_must_be_negotiated(void **state)
{
	static const uint32_t requests[] = {
		VHOST_USER_GET_QUEUE_NUM,     VHOST_USER_GET_CONFIG,
		VHOST_USER_SET_CONFIG,	      VHOST_USER_RESET_DEVICE,
		VHOST_USER_GET_MAX_MEM_SLOTS, VHOST_USER_ADD_MEM_REG,
		VHOST_USER_REM_MEM_REG,	      VHOST_USER_SET_STATUS,
		VHOST_USER_GET_STATUS,	      VHOST_USER_SET_LOG_BASE,
		VHOST_USER_SET_LOG_FD,	      VHOST_USER_GET_INFLIGHT_FD,
		VHOST_USER_SET_INFLIGHT_FD,
	};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		teardown(state);
		setup(state);
		go_set();
		assert_int_equal(send_legal(requests[i]), -EPROTO);
	}
}

/* ---- rings ---- */

static void test_serves(void **state)
{
	(void)state;
	go_live();
	offer(1);
	kick();
	assert_int_equal(used(), 1);
	assert_int_equal(count(call_fd), 1);
	offer(2);
	offer(3);
	kick();
	assert_int_equal(used(), 3);
	assert_int_equal(count(call_fd), 1); /* one for both */
}

static void test_disabled_ring_waits(void **state)
{
	(void)state;
	go_live();
	assert_int_equal(tell(request_state(VHOST_USER_SET_VRING_ENABLE, 0, 0), -1), 0);
	offer(1);
	kick();
	assert_int_equal(used(), 0);
	assert_int_equal(tell(request_state(VHOST_USER_SET_VRING_ENABLE, 0, 1), -1), 0);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(used(), 1);
}

/* A front end that did not take VHOST_USER_F_PROTOCOL_FEATURES never enables. */
static void test_ring_without_enable(void **state)
{
	(void)state;
	assert_int_equal(tell(request_u64(VHOST_USER_SET_FEATURES, 1ULL << VIRTIO_F_VERSION_1), -1),
			 0);
	go_addr();
	assert_int_equal(tell(request_u64(VHOST_USER_SET_VRING_KICK, 0), kick_fd), 0);
	offer(1);
	kick();
	assert_int_equal(used(), 1);
}

static void test_stop_drains_and_says_where(void **state)
{
	struct vu_msg reply;

	(void)state;
	go_live();
	echo.keep = true;
	offer(1);
	offer(2);
	kick();
	offer(3); /* not taken any more: its kick comes too late */
	assert_int_equal(used(), 0);
	reply = ask(request_state(VHOST_USER_GET_VRING_BASE, 0, 0));
	assert_int_equal(reply.state.num, 2);
	assert_int_equal(used(), 2);
	assert_int_equal(echo.n_kept, 0);
	assert_int_equal(ask(request_state(VHOST_USER_GET_VRING_BASE, 0, 0)).state.num, 2);
	echo.keep = false;
	assert_int_equal(tell(request_state(VHOST_USER_SET_VRING_BASE, 0, 2), -1), 0);
	assert_int_equal(tell(request_u64(VHOST_USER_SET_VRING_KICK, 0), kick_fd), 0);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_int_equal(used(), 3);
}

/* As CVE-2026-17588: a queue is not entered from within itself, and none while one is drained. */
static void test_no_way_back_in(void **state)
{
	struct dev_queue *other = &echo.dev.queue[1];
	unsigned int runs;

	(void)state;
	go_live();
	/* the second ring is the first one's twin; it is kicked by nobody */
	assert_int_equal(tell(request_state(VHOST_USER_SET_VRING_NUM, 1, 16), -1), 0);
	other->uaddr_desc = UADDR + TR_DESC;
	other->uaddr_avail = UADDR + TR_AVAIL;
	other->uaddr_used = UADDR + TR_USED;
	other->has_addr = true;
	assert_int_equal(tell(request_u64(VHOST_USER_SET_VRING_KICK, 1), err_fd), 0);
	assert_int_equal(tell(request_state(VHOST_USER_SET_VRING_ENABLE, 1, 1), -1), 0);
	assert_int_equal(loop_run_once(&loop, 0), 0);
	assert_true(dev_queue_served(other));
	echo.reenters = true;
	offer(1);
	offer(2);
	dev_queue_run(&echo.dev.queue[0]);
	assert_int_equal(used(), 2);
	assert_int_equal(echo.deepest, 1);
	runs = echo.n_runs;
	offer(3);
	assert_int_equal(vu_rings_drain(&echo.dev), 0);
	assert_int_equal(echo.n_runs, runs);
	assert_int_equal(used(), 2);
	echo.reenters = false;
}

static void test_sizes_and_numbers(void **state)
{
	static const struct {
		uint32_t request, index, num;
	} rows[] = {
		{ VHOST_USER_SET_VRING_NUM, 0, 0 },	   { VHOST_USER_SET_VRING_NUM, 0, 3 },
		{ VHOST_USER_SET_VRING_NUM, 0, 128 },	   { VHOST_USER_SET_VRING_NUM, 0, 0x10010 },
		{ VHOST_USER_SET_VRING_NUM, 2, 16 },	   { VHOST_USER_SET_VRING_NUM, ~0U, 16 },
		{ VHOST_USER_SET_VRING_BASE, 0, 0x10000 }, { VHOST_USER_SET_VRING_BASE, 2, 0 },
		{ VHOST_USER_GET_VRING_BASE, 2, 0 },	   { VHOST_USER_SET_VRING_ENABLE, 0, 2 },
		{ VHOST_USER_SET_VRING_ENABLE, 16, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		teardown(state);
		setup(state);
		go(F);
		assert_int_equal(tell(request_state(rows[i].request, rows[i].index, rows[i].num),
				      -1),
				 -EPROTO);
	}
}

static void test_kick_needs_a_ring(void **state)
{
	(void)state;
	go_set();
	assert_int_equal(tell(request_mem(), ring.fd), 0);
	assert_int_equal(tell(request_u64(VHOST_USER_SET_VRING_KICK, 0), kick_fd), -EPROTO);
}

static void test_polled_rings_are_refused(void **state)
{
	(void)state;
	go(F);
	assert_int_equal(tell(request_u64(VHOST_USER_SET_VRING_KICK, VU_VRING_NOFD), -1), -EPROTO);
}

static void test_events_that_are_none(void **state)
{
	(void)state;
	go(F);
	assert_int_equal(tell(request_u64(VHOST_USER_SET_VRING_CALL, 0), ring.fd), -EPROTO);
}

static void test_interrupts_can_be_taken_away(void **state)
{
	(void)state;
	go_live();
	assert_int_equal(tell(request_u64(VHOST_USER_SET_VRING_CALL, VU_VRING_NOFD), -1), 0);
	offer(1);
	kick();
	assert_int_equal(used(), 1);
	assert_int_equal(count(call_fd), 0);
}

/* ---- the guest's errors ---- */

static void test_needs_reset(void **state)
{
	(void)state;
	go_live();
	assert_int_equal(tell(request_u64(VHOST_USER_SET_STATUS, 0xf), -1), 0);
	testring_avail(&ring, 999);
	kick();
	assert_int_equal(ask(request_u64(VHOST_USER_GET_STATUS, 0)).u64, 0x4f);
	assert_int_equal(count(err_fd), 1);
	assert_int_equal(echo.dev.gate.seen, 1);
	echo.n_runs = 0;
	kick(); /* nobody listens, and nothing spins */
	assert_int_equal(echo.n_runs, 0);
	assert_int_equal(tell(request_u64(VHOST_USER_SET_STATUS, 0), -1), 0);
	assert_int_equal(ask(request_u64(VHOST_USER_GET_STATUS, 0)).u64, 0);
	assert_int_equal(echo.n_resets, 1);
	testring_set_avail_idx(&ring, 0);
	testring_store16(&ring, TR_USED + 2, 0);
	assert_int_equal(tell(request_state(VHOST_USER_SET_VRING_BASE, 0, 0), -1), 0);
	go_addr();
	assert_int_equal(tell(request_u64(VHOST_USER_SET_VRING_KICK, 0), kick_fd), 0);
	assert_int_equal(tell(request_state(VHOST_USER_SET_VRING_ENABLE, 0, 1), -1), 0);
	offer(1);
	kick();
	assert_int_equal(used(), 1);
}

static void test_ring_that_is_not_ram(void **state)
{
	struct vu_msg addr = request_addr();

	(void)state;
	go(F);
	addr.addr.used = UADDR + TR_RAM - 16;
	assert_int_equal(tell(addr, -1), 0);
	assert_int_equal(tell(request_u64(VHOST_USER_SET_VRING_KICK, 0), kick_fd), 0);
	assert_int_equal(ask(request_u64(VHOST_USER_GET_STATUS, 0)).u64, 0x40);
	assert_int_equal(ask(request_state(VHOST_USER_GET_VRING_BASE, 0, 0)).state.num, 0);
	assert_int_equal(ask(request_u64(VHOST_USER_GET_STATUS, 0)).u64, 0);
}

/* ---- memory, configuration, the end ---- */

static void test_memory_changes_while_live(void **state)
{
	(void)state;
	go_live();
	echo.keep = true;
	offer(1);
	kick();
	assert_int_equal(tell(request_mem(), ring.fd), 0);
	assert_int_equal(echo.n_kept, 0);
	assert_int_equal(used(), 1);
	assert_int_equal(count(call_fd), 1);
	echo.keep = false;
	offer(2);
	kick();
	assert_int_equal(used(), 2);
}

static void test_configuration(void **state)
{
	struct vu_msg m = request_config(VHOST_USER_GET_CONFIG, 0);

	(void)state;
	go(F);
	assert_int_equal(tell(request_config(VHOST_USER_SET_CONFIG, 42), -1), 0);
	m.config.size = VU_MAX_CONFIG;
	memset(m.config.data, 0xa5, VU_MAX_CONFIG);
	m = ask(m);
	assert_int_equal(m.config.data[0], 42);
	for (unsigned int i = 1; i < VU_MAX_CONFIG; i++)
		assert_int_equal(m.config.data[i], 0); /* what is not there is not ours to show */
	m = request_config(VHOST_USER_SET_CONFIG, 99);
	m.need_reply = true;
	assert_int_equal(ask(m).u64, 1); /* the guest's choice: answered, not punished */
	assert_int_equal(echo.config, 42);
	m = request_config(VHOST_USER_GET_CONFIG, 0);
	m.config.offset = VU_MAX_CONFIG;
	assert_int_equal(tell(m, -1), -EPROTO);
}

static void test_acknowledgements(void **state)
{
	struct vu_msg m = request_u64(VHOST_USER_SET_OWNER, 0);

	(void)state;
	go_protocol();
	m.need_reply = true;
	assert_int_equal(ask(m).u64, 0);
}

static void test_unknown_features(void **state)
{
	(void)state;
	assert_int_equal(ask(request_u64(VHOST_USER_GET_FEATURES, 0)).u64,
			 1 | 1ULL << 26 | 1ULL << 28 | 1ULL << 29 | 1ULL << 30 | 1ULL << 32);
	assert_int_equal(tell(request_u64(VHOST_USER_SET_FEATURES, 1ULL << 40), -1), -EPROTO);
}

static void test_front_end_goes_away(void **state)
{
	(void)state;
	go_live();
	closep(&sock);
	assert_int_equal(loop_run(&loop), 0);
}

static void test_front_end_goes_away_within_a_message(void **state)
{
	(void)state;
	assert_int_equal(write(sock, "\1\0\0\0\1", 5), 5);
	closep(&sock);
	assert_int_equal(loop_run(&loop), -EPROTO);
}

static void test_specs_that_cannot_be(void **state)
{
	struct dev_spec bad = spec;
	struct vu_device d;

	(void)state;
	bad.n_queues = DEV_MAX_QUEUES + 1;
	assert_int_equal(vu_device_open(&d, &bad, &ops, NULL, &loop, -1), -EINVAL);
	bad = spec;
	bad.queue_max = 48;
	assert_int_equal(vu_device_open(&d, &bad, &ops, NULL, &loop, -1), -EINVAL);
	bad = spec;
	bad.config_len = VU_MAX_CONFIG + 1;
	assert_int_equal(vu_device_open(&d, &bad, &ops, NULL, &loop, -1), -EINVAL);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_every_request_in_every_state),
		CASE(test_malformed_messages_are_named),
		CASE(test_protocol_features_must_be_negotiated),
		CASE(test_serves),
		CASE(test_disabled_ring_waits),
		CASE(test_ring_without_enable),
		CASE(test_stop_drains_and_says_where),
		CASE(test_no_way_back_in),
		CASE(test_sizes_and_numbers),
		CASE(test_kick_needs_a_ring),
		CASE(test_polled_rings_are_refused),
		CASE(test_events_that_are_none),
		CASE(test_interrupts_can_be_taken_away),
		CASE(test_needs_reset),
		CASE(test_ring_that_is_not_ram),
		CASE(test_memory_changes_while_live),
		CASE(test_configuration),
		CASE(test_acknowledgements),
		CASE(test_unknown_features),
		CASE(test_front_end_goes_away),
		CASE(test_front_end_goes_away_within_a_message),
		CASE(test_specs_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
