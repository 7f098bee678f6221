/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No device shows its guest anything but what the guest is to have: all scratch of the device and
 * the stack are full of 0xA5, guest memory is without, and after every kind of request none may be
 * in it (CVE-2015-5165). What the used length counts was written by the device (CVE-2024-8612).
 */
#include "tests/unit/testblk.h"
#include "tests/unit/testdev.h"
#include "tests/unit/testvsock.h"

#include "cmd/dev-console/virtio_console.h"
#include "cmd/dev-net/net.h"
#include "cmd/dev-rng/rng.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <linux/virtio_vsock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define N 16U
#define UNTOUCHED 0xee
#define HEADER (TR_DATA + 0x20000U)

/* What the host's generator gives: at most this many bytes, or -1. */
static ssize_t random_most;

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags)
{
	size_t n = random_most >= 0 && len > (size_t)random_most ? (size_t)random_most : len;

	(void)flags;
	if (random_most < 0) {
		errno = EIO;
		return -1;
	}
	memset(buf, 0x77, n);
	return (ssize_t)n;
}

static void expect_clean(const uint8_t *ram)
{
	assert_null(memchr(ram, POISON, TR_RAM));
}

/* The first used bytes at gpa are the device's, the others nobody's. */
static void expect_written(const uint8_t *ram, uint32_t gpa, uint32_t used, uint32_t room)
{
	for (uint32_t i = 0; i < room; i++) {
		if (i < used)
			assert_int_not_equal(ram[gpa + i], UNTOUCHED);
		else
			assert_int_equal(ram[gpa + i], UNTOUCHED);
	}
}

/* ---- blk ---- */

static struct testblk b;

static void poison_blk(void)
{
	memset(&b.blk.flight.chain, POISON, sizeof(b.blk.flight.chain));
	memset(&b.blk.request, POISON, sizeof(b.blk.request));
	memset(b.blk.flight.iov, POISON, sizeof(b.blk.flight.iov));
	poison_stack();
}

/* One request with that much room before the status; the status is apart from the data. */
static void blk_request(uint32_t type, uint32_t room, int result)
{
	const uint32_t status = TR_DATA + 0x30000U;
	uint16_t index = b.ring.avail_idx;
	uint32_t used;

	memset(b.ring.ram + TR_DATA, UNTOUCHED, 4096);
	b.ring.ram[status] = UNTOUCHED;
	memset(b.ring.ram + HEADER, 0, 32);
	memcpy(b.ring.ram + HEADER, &type, 4);
	testring_desc(&b.ring, 0, HEADER, 16, D_NEXT, room ? 1 : 2);
	testring_desc(&b.ring, 1, TR_DATA, room, D_NEXT | D_WRITE, 2);
	testring_desc(&b.ring, 2, status, 1, D_WRITE, 0);
	testring_avail(&b.ring, 0);
	poison_blk();
	dev_queue_run(testblk_queue(&b));
	while (b.n_pending)
		testblk_complete(&b, 0, result);
	assert_int_equal(testring_load16(&b.ring, TR_USED + 2), (uint16_t)(index + 1));
	assert_in_range(b.ring.ram[status], 0, 2);
	used = testring_load32(&b.ring, TR_USED + 8 + 8U * (index % N));
	assert_in_range(used, 0, room + 1);
	if (type == VIRTIO_BLK_T_GET_ID && room > BLK_ID_LEN) {
		assert_int_equal(used, BLK_ID_LEN);
		assert_memory_equal(b.ring.ram + TR_DATA, b.blk.disk.id, BLK_ID_LEN);
	}
	expect_written(b.ring.ram, TR_DATA, used > room ? room : used, room);
	expect_clean(b.ring.ram);
}

static void test_blk(void **state)
{
	static const uint32_t types[] = { 0, 1, 4, 8, 11, 13, 2, 77 };
	static const uint32_t rooms[] = { 0, 1, 19, 20, 21, 511, 512, 513, 1024, 4096 };
	static const int results[] = { 0, -EIO, -EOPNOTSUPP };

	(void)state;
	testblk_open(&b, N);
	memset(b.disk, 0x11, sizeof(b.disk));
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		testblk_reset(&b); /* so that no index comes near the poison's value */
		testblk_arm(&b, 1ULL << VIRTIO_F_INDIRECT_DESC);
		for (size_t k = 0; k < ARRAY_SIZE(rooms); k++)
			for (size_t r = 0; r < ARRAY_SIZE(results); r++)
				blk_request(types[i], rooms[k], results[r]);
	}
	testblk_close(&b);
}

/* ---- rng ---- */

static struct testdev t;
static struct rng rng;

static void rng_request(uint32_t room, ssize_t most)
{
	uint16_t index = t.ring.avail_idx;
	uint32_t used, want = room < RNG_REQUEST_MAX ? room : RNG_REQUEST_MAX;

	if (most >= 0 && want > (uint32_t)most)
		want = (uint32_t)most;
	random_most = most;
	memset(t.ring.ram + TR_DATA, UNTOUCHED, 0x10000);
	testring_desc(&t.ring, 0, TR_DATA, room, D_WRITE, 0);
	testring_avail(&t.ring, 0);
	memset(&rng.chain, POISON, sizeof(rng.chain));
	rng.tokens = rng.capacity;
	poison_stack();
	dev_queue_run(t.q);
	assert_int_equal(testdev_used(&t), (uint16_t)(index + 1));
	used = testdev_used_len(&t, index % N);
	assert_int_equal(used, most < 0 ? 0 : want);
	expect_written(t.ring.ram, TR_DATA, used, room);
	expect_clean(t.ring.ram);
}

static void test_rng(void **state)
{
	static const uint32_t rooms[] = { 1, 2, 63, 4095, 4096, 4097, 0x8000 };
	static const ssize_t most[] = { 0, 1, 256, 4096, -1 };
	const struct rng_options o = { .rate = 1 << 20 };
	int sock = testdev_open(&t, N);

	(void)state;
	assert_int_equal(rng_prepare(&rng, &o, &t.loop, sock), 0);
	testdev_start(&t, &rng.dev, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rooms); i++)
		for (size_t k = 0; k < ARRAY_SIZE(most); k++)
			rng_request(rooms[i], most[k]);
	vu_device_close(&rng.dev);
	loop_remove(&t.loop, &rng.timer);
	closep(&rng.timer_fd);
	testdev_close(&t);
}

/* ---- console ---- */

static struct vu_device console_dev;
static struct virtio_console console;
static struct stream stream;
static struct stream_page stream_page;

static void nothing(void *owner)
{
	(void)owner;
}

static void console_input(int terminal, uint32_t room, size_t len)
{
	static uint8_t input[STREAM_IN_CAP];
	uint16_t index = t.ring.avail_idx;
	uint32_t used;

	memset(input, 'x', sizeof(input));
	assert_int_equal(write(terminal, input, len), len);
	memset(t.ring.ram + TR_DATA, UNTOUCHED, 0x10000);
	testring_desc(&t.ring, 0, TR_DATA, room, D_WRITE, 0);
	testring_avail(&t.ring, 0);
	memset(&console.rx, POISON, sizeof(console.rx));
	stream_receive(&stream);
	poison_stack();
	dev_queue_run(t.q);
	assert_int_equal(testdev_used(&t), (uint16_t)(index + 1));
	used = testdev_used_len(&t, index % N);
	assert_int_equal(used, room < len ? room : len);
	expect_written(t.ring.ram, TR_DATA, used, room);
	expect_clean(t.ring.ram);
	while (stream_pending(&stream))
		(void)!stream_get(&stream, input, sizeof(input));
	memset(stream_page.in, POISON, sizeof(stream_page.in));
}

static void test_console(void **state)
{
	static const uint32_t rooms[] = { 1, 2, 64, 4095, 4096, 0x8000 };
	static const size_t lens[] = { 1, 63, 65, 4096 };
	int pair[2], sock = testdev_open(&t, N);

	(void)state;
	stream_init(&stream, &stream_page, &t.loop, 1, nothing, NULL);
	memset(stream_page.in, POISON, sizeof(stream_page.in));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(stream_attach(&stream, pair[1]), 0);
	virtio_console_init(&console, &stream, true, nothing, nothing, NULL);
	assert_int_equal(vu_device_open(&console_dev, &virtio_console_spec, &virtio_console_ops,
					&console, &t.loop, sock),
			 0);
	testdev_start(&t, &console_dev, VIRTIO_CONSOLE_RECEIVEQ);
	for (size_t i = 0; i < ARRAY_SIZE(rooms); i++)
		for (size_t k = 0; k < ARRAY_SIZE(lens); k++)
			console_input(pair[0], rooms[i], lens[k]);
	vu_device_close(&console_dev);
	stream_close(&stream);
	closep(&pair[0]);
	testdev_close(&t);
}

/* ---- net ---- */

static struct net net;
static struct net_page net_page;

static void net_frame(int peer, uint32_t room, uint32_t len)
{
	static uint8_t frame[LINK_LENGTH + 2000];
	uint16_t index = t.ring.avail_idx;
	uint32_t used, want = NET_HEADER_LEN + len;

	memset(frame, 'x', sizeof(frame));
	frame[0] = frame[1] = 0;
	frame[2] = (uint8_t)(len >> 8);
	frame[3] = (uint8_t)len;
	memset(t.ring.ram + TR_DATA, UNTOUCHED, 0x10000);
	testring_desc(&t.ring, 0, TR_DATA, room, D_WRITE, 0);
	testring_avail(&t.ring, 0);
	memset(&net.chain, POISON, sizeof(net.chain));
	poison_stack();
	assert_int_equal(write(peer, frame, LINK_LENGTH + len), LINK_LENGTH + len);
	assert_int_equal(loop_run_once(&t.loop, 0), 0);
	assert_int_equal(testdev_used(&t), (uint16_t)(index + 1));
	used = testdev_used_len(&t, index % N);
	assert_int_equal(used, room < want ? 0 : want);
	expect_written(t.ring.ram, TR_DATA, used, room);
	expect_clean(t.ring.ram);
}

/* Also of the page: an old frame's bytes are never sent for a new one's. */
static void test_net(void **state)
{
	static const uint32_t rooms[] = { 1, 11, 12, 25, 26, 111, 112, 1526, 0x8000 };
	static const uint32_t lens[] = { 14, 100, 1514 };
	const struct net_options o = { .mac = 0x525400123456, .mtu = 1500 };
	const char *what;
	int pair[2], sock = testdev_open(&t, N);

	(void)state;
	memset(net_page.link.in, POISON, sizeof(net_page.link.in));
	memset(net_page.link.out, POISON, sizeof(net_page.link.out));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(net_prepare(&net, &o, &net_page, &t.loop, sock, pair[1], NULL, &what), 0);
	testdev_start(&t, &net.dev, NET_RECEIVEQ);
	for (size_t i = 0; i < ARRAY_SIZE(rooms); i++)
		for (size_t k = 0; k < ARRAY_SIZE(lens); k++)
			net_frame(pair[0], rooms[i], lens[k]);
	net_close(&net);
	closep(&pair[0]);
	testdev_close(&t);
}

/* Of the answer's room one byte is written. */
static void test_net_control(void **state)
{
	const struct net_options o = { .mac = 0x525400123456, .mtu = 1500 };
	static struct net_page page;
	const char *what;
	int pair[2], sock = testdev_open(&t, N);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(net_prepare(&net, &o, &page, &t.loop, sock, pair[1], NULL, &what), 0);
	testdev_start(&t, &net.dev, NET_CONTROLQ);
	net_set_features(&net, NET_FEATURES);
	for (uint8_t class = 0; class < 8; class ++)
		for (uint32_t room = 1; room < 3000; room *= 3) {
			memset(t.ring.ram + TR_DATA, UNTOUCHED, 0x10000);
			memset(t.ring.ram + TR_DATA + 0x8000, class, 2);
			testring_desc(&t.ring, 0, TR_DATA + 0x8000, 8, D_NEXT, 1);
			testring_desc(&t.ring, 1, TR_DATA, room, D_WRITE, 0);
			testring_avail(&t.ring, 0);
			memset(&net.chain, POISON, sizeof(net.chain));
			poison_stack();
			dev_queue_run(t.q);
			assert_int_equal(testdev_used_len(&t, (uint16_t)(testdev_used(&t) - 1) % N),
					 1);
			expect_written(t.ring.ram, TR_DATA, 1, room);
			expect_clean(t.ring.ram);
		}
	net_close(&net);
	closep(&pair[0]);
	testdev_close(&t);
}

/* ---- vsock ---- */

static struct vsock vsock;

/* A packet into a buffer of that room; the header, and of the client's bytes what has room behind it. */
static void vsock_packet(uint32_t room, uint32_t want)
{
	uint16_t index = t.ring.avail_idx;

	memset(t.ring.ram + TR_DATA, UNTOUCHED, 0x10000);
	testring_desc(&t.ring, 0, TR_DATA, room, D_WRITE, 0);
	testring_avail(&t.ring, 0);
	memset(&vsock.chain, POISON, sizeof(vsock.chain));
	poison_stack();
	dev_queue_run(t.q);
	assert_int_equal(testdev_used(&t), (uint16_t)(index + 1));
	assert_int_equal(testdev_used_len(&t, index % N), want);
	expect_written(t.ring.ram, TR_DATA, want, room);
	expect_clean(t.ring.ram);
}

static void vsock_data(int client, uint32_t room, uint32_t len)
{
	static uint8_t data[4096];
	uint32_t most = room - PACKET_HEADER;

	memset(data, 'x', sizeof(data));
	memset(vsock.stage, POISON, sizeof(vsock.stage));
	assert_int_equal(write(client, data, len), len);
	for (int i = 0; i < 10 && !vsock.staged_for; i++) /* no buffer is there */
		assert_int_equal(loop_run_once(&t.loop, 0), 0);
	for (uint32_t at = 0, n; at < len; at += n) {
		n = len - at < most ? len - at : most;
		vsock_packet(room, PACKET_HEADER + n);
	}
}

static void test_vsock(void **state)
{
	static const uint32_t rooms[] = { 300, 1024, 4096, 0x8000 };
	static const uint32_t lens[] = { 1, 255, 256, 1024 };
	int sock = testdev_open(&t, N), client;

	(void)state;
	memset(&vsock, POISON, sizeof(vsock));
	memset(&vsock.dev, 0, sizeof(vsock.dev));
	client = testvsock_open(&vsock, &t.loop, sock);
	testdev_start(&t, &vsock.dev, VSOCK_RX);
	testvsock_join(&vsock, &t.loop, client);
	dev_queue_run(t.q);
	for (size_t i = 0; i < ARRAY_SIZE(rooms); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(lens); k++)
			vsock_data(client, rooms[i], lens[k]);
		vsock.hub.conns[0].due_credit = true;
		vsock_packet(rooms[i], PACKET_HEADER);
	}
	testvsock_close(&vsock);
	closep(&client);
	testdev_close(&t);
}

/* ---- configuration space, as the front end gets it ---- */

/* A reply to GET_CONFIG of every offset and size: the device's bytes, then zeroes. */
static void test_configuration(void **state)
{
	struct vu_msg ask = { .request = VHOST_USER_GET_CONFIG }, reply;
	int fds[MSG_MAX_FDS];
	size_t n_fds;

	(void)state;
	testblk_open(&b, N);
	b.blk.dev.protocol_features = 1U << VHOST_USER_PROTOCOL_F_CONFIG;
	for (uint32_t offset = 0; offset < VU_MAX_CONFIG; offset += 3) {
		ask.config.offset = offset;
		ask.config.size = VU_MAX_CONFIG - offset;
		assert_int_equal(vu_send(b.peer, &ask, NULL, 0), 0);
		poison_stack();
		assert_int_equal(loop_run_once(&b.loop, 0), 0);
		assert_int_equal(vu_recv(b.peer, &reply, fds, &n_fds), 1);
		assert_int_equal(reply.config.size, ask.config.size);
		assert_null(memchr(reply.config.data, POISON, reply.config.size));
		for (uint32_t i = 0; i < reply.config.size; i++)
			if (offset + i >= VIRTIO_BLK_CONFIG_LEN)
				assert_int_equal(reply.config.data[i], 0);
	}
	testblk_close(&b);
}

/* The search finds what it is for. */
static void test_search(void **state)
{
	static uint8_t ram[TR_RAM];

	(void)state;
	expect_clean(ram);
	ram[TR_RAM - 1] = POISON;
	assert_non_null(memchr(ram, POISON, TR_RAM));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_search),	      cmocka_unit_test(test_blk),
		cmocka_unit_test(test_rng),	      cmocka_unit_test(test_console),
		cmocka_unit_test(test_configuration), cmocka_unit_test(test_net),
		cmocka_unit_test(test_net_control),   cmocka_unit_test(test_vsock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
