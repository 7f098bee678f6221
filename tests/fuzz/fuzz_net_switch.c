/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net-switch among hostile cards: bytes, frames, texts of members, cards that come and hang up in any order. A model of what may
 * be: what comes out of a port is whole frames, each from the MAC address of another one that it may hear; and the rings are
 * never fuller than they can be.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"
#include "tests/unit/testframe.h"

#include "cmd/net-switch/switch.h"
#include "lib/base/cleanup.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OPS 200U
#define CARDS 4U
#define ISOLATED 2U /* and up */

static struct net_switch net_switch;
static struct loop loop;
static struct testframe f;

struct card {
	int peer; /* -1: it is not there */
	uint8_t out[1 << 18];
	size_t n_out;
};

static struct card cards[CARDS];

static void put_mac(uint8_t *at, uint8_t n)
{
	memcpy(at, tf_guest, ETHER_ADDR_LEN - 1);
	at[ETHER_ADDR_LEN - 1] = n;
}

static void on_left(void *owner, unsigned int port)
{
	(void)owner;
	require(port < CARDS);
}

/* ---- cards that come and go ---- */

static int stream(int *ret_peer)
{
	int pair[2];

	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	*ret_peer = pair[0];
	return pair[1];
}

static void come(unsigned int n)
{
	char text[] = "mac=52:54:00:12:34:00,isolated=off";
	bool there = net_switch.ports[n].of;
	int peer, own = stream(&peer), r;

	text[20] = (char)('0' + n);
	if (n >= ISOLATED)
		memcpy(text + sizeof(text) - 4, "on", 3);
	r = switch_join(&net_switch, n, text, own);
	require((r == 0) == !there);
	if (r < 0) {
		close(peer);
		return;
	}
	closep(&cards[n].peer);
	cards[n] = (struct card){ .peer = peer };
}

/* What no keeper says. */
static void op_text(void)
{
	char text[MEMBER_TEXT_MAX] = "";
	size_t len = take() % (sizeof(text) - 1);
	struct member m;
	int peer, own = stream(&peer);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)take();
	if (member_parse(text, &m) == 0) {
		member_say(&m, text);
		require(member_parse(text, &m) == 0);
		close(own);
	} else {
		require(switch_join(&net_switch, take() % CARDS, text, own) < 0);
	}
	close(peer);
}

/* ---- what they send ---- */

static void put(const struct card *c, const void *data, size_t len)
{
	if (c->peer >= 0)
		(void)!send(c->peer, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void op_bytes(const struct card *c)
{
	uint8_t bytes[256];
	size_t len = take();

	for (size_t i = 0; i < len; i++)
		bytes[i] = take();
	put(c, bytes, len);
}

static void make_frame(uint8_t what)
{
	static const char *const own[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "fe80::1" };
	const char *from = own[what >> 6];

	if (what & 1)
		tf_tcp(&f, false, from, what, what >> 6 == 3 ? "fe80::2" : "10.0.0.2", 80);
	else if (what & 2)
		tf_neighbour(&f, false, "fe80::1", "ff02::1", 135, "fe80::2", 1, tf_guest);
	else
		tf_arp(&f, tf_guest, 1, "10.0.0.1", "10.0.0.2");
}

static void op_frame(const struct card *c, unsigned int n)
{
	uint8_t what = take(), be[LINK_LENGTH] = { 0 };
	uint8_t to = take();

	make_frame(what);
	if (to & 0x80)
		memset(f.at, 0xff, ETHER_ADDR_LEN);
	else
		put_mac(f.at, to % CARDS);
	put_mac(f.at + ETHER_ADDR_LEN, (uint8_t)n);
	if (!(what & 3))
		put_mac(f.at + ETHER_LEN + 8, (uint8_t)n);
	if (what & 4)
		f.at[take() % f.len] ^= take();
	if (what & 8)
		f.len = take() % (f.len + 1);
	tf_put16(be + 2, (unsigned int)f.len);
	put(c, be, sizeof(be));
	put(c, f.at, f.len);
}

/* ---- what comes out ---- */

static void check_frame(unsigned int n, const uint8_t *frame)
{
	unsigned int from = frame[2 * ETHER_ADDR_LEN - 1];

	require(memcmp(frame + ETHER_ADDR_LEN, tf_guest, ETHER_ADDR_LEN - 1) == 0);
	require(from < CARDS && from != n);
	require(from < ISOLATED || n < ISOLATED);
	require(frame[0] & 1 || frame[ETHER_ADDR_LEN - 1] == n);
}

static void check_output(unsigned int n)
{
	struct card *c = &cards[n];
	size_t at = 0;
	ssize_t got;

	if (c->peer < 0)
		return;
	got = recv(c->peer, c->out + c->n_out, sizeof(c->out) - c->n_out, MSG_DONTWAIT);
	c->n_out += got > 0 ? (size_t)got : 0;
	while (c->n_out - at >= LINK_LENGTH) {
		size_t len = get_be32(c->out + at);

		require(len >= LINK_FRAME_MIN && len <= LINK_FRAME_MAX);
		if (c->n_out - at < LINK_LENGTH + len)
			break;
		check_frame(n, c->out + at + LINK_LENGTH);
		at += LINK_LENGTH + len;
	}
	c->n_out -= at;
	memmove(c->out, c->out + at, c->n_out);
}

static void check_all(void)
{
	for (unsigned int n = 0; n < CARDS; n++) {
		const struct link_page *p = &net_switch.ports[n].page;

		check_output(n);
		require(p->out_tail - p->out_head <= LINK_CAP);
		require(p->in_tail - p->in_head <= LINK_CAP);
	}
}

static void step(void)
{
	unsigned int n = take() % CARDS;

	switch (take() % 10) {
	case 0:
		come(n);
		break;
	case 1:
		closep(&cards[n].peer);
		break;
	case 2:
		op_bytes(&cards[n]);
		break;
	case 3:
		op_text();
		break;
	case 4:
	case 5:
	case 6:
		op_frame(&cards[n], n);
		break;
	default:
		require(loop_run_once(&loop, 0) >= 0);
		break;
	}
	check_all();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	in.data = data;
	in.left = size;
	memset(&net_switch.segment, 0, sizeof(net_switch.segment));
	net_switch.left = on_left;
	require(loop_open(&loop) == 0 && switch_open(&net_switch, &loop) == 0);
	for (unsigned int n = 0; n < CARDS; n++) {
		cards[n].peer = -1;
		come(n);
	}
	for (unsigned int i = 0; i < OPS && in.left; i++)
		step();
	switch_close(&net_switch);
	for (unsigned int n = 0; n < CARDS; n++)
		closep(&cards[n].peer);
	loop_close(&loop);
	return 0;
}
