/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-net between a hostile ring and a hostile stream, with guest memory, the stream's bytes, kills and the
 * page in any order. A model of what may be: what comes out of the stream is whole frames of lengths that the
 * MTU allows, as long as nobody has lied in the page; the rings are never fuller than they can be.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"
#include "tests/unit/testdev.h"

#include "cmd/dev-net/net.h"
#include "lib/base/cleanup.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define N 32U
#define OPS 200U
#define MTU 1500U

static struct testdev t;
static struct net net;
static struct net_page page;
static int peer, spare; /* the link's other end, and this one's for the next life */
static bool lied;
static unsigned int queue;
static bool merges;
static uint8_t out[1 << 20];
static size_t n_out, parsed;

static bool begin(void)
{
	const struct net_options o = { .mac = 0x525400123456, .mtu = MTU };
	const char *what;
	int fd = dup(spare), sock = testdev_open(&t, N);

	if (net_prepare(&net, &o, &page, &t.loop, sock, fd, NULL, &what) < 0) {
		require(lied);
		close(fd);
		close(sock);
		testdev_close(&t);
		return false;
	}
	testdev_start(&t, &net.dev, queue);
	net_set_features(&net, merges ? NET_FEATURES : 0);
	return true;
}

static void end(void)
{
	net_close(&net);
	testdev_close(&t);
}

/* A chain that is nearly right: a header, and a frame or room for one. */
static void op_chain(void)
{
	uint16_t d = take() % (N - 1);
	uint16_t write = queue == NET_RECEIVEQ ? D_WRITE : 0;

	if (!(take() & 15))
		write ^= D_WRITE;
	if (take() & 15)
		memset(t.ring.ram + TR_DATA, 0, NET_HEADER_LEN);
	testring_desc(&t.ring, d, TR_DATA, take() & 7 ? NET_HEADER_LEN : take(),
		      (uint16_t)(write | D_NEXT), (uint16_t)(d + 1));
	testring_desc(&t.ring, d + 1U, TR_DATA + 64U * take(), take() & 3 ? 8U * take() : take32(),
		      write, 0);
	testring_avail(&t.ring, d);
}

static void op_descriptor(void)
{
	testring_desc(&t.ring, take() % N, take() & 1 ? TR_DATA + take32() % 0x1000 : take32(),
		      take32() >> (take() & 31), take() & 7, take() % (N + 2));
	testring_avail(&t.ring, take() % (N + 2));
}

static void op_bytes(void)
{
	uint8_t bytes[256];
	size_t len = take();

	for (size_t i = 0; i < len; i++)
		bytes[i] = take();
	(void)!send(peer, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A length, mostly one that can be, and as many bytes. */
static void op_frame(void)
{
	static uint8_t bytes[LINK_LENGTH + LINK_FRAME_MAX + 1];
	uint32_t len = take() & 15 ? 8U * take() : take32() % (LINK_FRAME_MAX + 2);

	bytes[0] = (uint8_t)(len >> 24);
	bytes[1] = (uint8_t)(len >> 16);
	bytes[2] = (uint8_t)(len >> 8);
	bytes[3] = (uint8_t)len;
	(void)!send(peer, bytes, LINK_LENGTH + len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void check_output(void)
{
	ssize_t n;

	while (n_out < sizeof(out) &&
	       (n = recv(peer, out + n_out, sizeof(out) - n_out, MSG_DONTWAIT)) > 0)
		n_out += (size_t)n;
	while (!lied && n_out - parsed >= LINK_LENGTH) {
		const uint8_t *at = out + parsed;
		size_t len = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];

		require(len >= LINK_FRAME_MIN && len <= MTU + 18);
		if (n_out - parsed < LINK_LENGTH + len)
			break;
		parsed += LINK_LENGTH + len;
	}
}

static void op_lie(void)
{
	uint8_t *const bytes = (uint8_t *)&page;
	size_t at = take32() % (take() & 1 ? 160 : sizeof(page));

	bytes[at] = take();
	lied = true;
}

static bool op_kill(void)
{
	end();
	if (!(take() & 7))
		op_lie();
	return begin();
}

static bool step(void)
{
	switch (take() % 8) {
	case 0:
	case 1:
		op_chain();
		break;
	case 2:
		op_descriptor();
		break;
	case 3:
		op_bytes();
		break;
	case 4:
		op_frame();
		break;
	case 5:
		return op_kill();
	case 6:
		dev_queue_run(t.q);
		break;
	default:
		require(loop_run_once(&t.loop, 0) >= 0);
		break;
	}
	check_output();
	require(page.link.out_tail - page.link.out_head <= LINK_CAP);
	require(page.link.in_tail - page.link.in_head <= LINK_CAP);
	require(t.q->vq.n_in_flight <= N);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int pair[2];
	bool lives;

	in.data = data;
	in.left = size;
	memset(&page, 0, sizeof(page));
	lied = false;
	n_out = parsed = 0;
	merges = in.left && *in.data & 2;
	queue = in.left && *in.data & 4 ? NET_CONTROLQ : in.left && *in.data & 1;
	(void)take();
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	peer = pair[0];
	spare = pair[1];
	lives = begin();
	for (unsigned int i = 0; i < OPS && in.left && lives; i++)
		lives = step();
	if (lives)
		end();
	closep(&peer);
	closep(&spare);
	return 0;
}
