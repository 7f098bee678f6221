/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net-relay between two hostile streams: bytes, frames, kills and lies in the page in any order. A model of what may be:
 * what comes out of either stream is whole frames, as long as nobody has lied in the page; from the guest's side only
 * such as have its MAC address; the rings are never fuller than they can be.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"
#include "tests/unit/testframe.h"

#include "cmd/net-relay/relay.h"
#include "lib/base/cleanup.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OPS 200U
#define MAC 0x525400123456ULL /* as tf_guest */

static struct relay relay;
static struct relay_page page;
static struct loop loop;
static struct testframe f;
static bool lied;

struct side {
	int peer, spare; /* the stream's other end, and this one's for the next life */
	uint8_t out[1 << 20];
	size_t n_out, parsed;
};

static struct side inner, outer;

static bool begin(uint8_t what)
{
	struct netkit_options o = { .rates = { .burst_s = 1 }, .restricted = what & 1 };
	const int fds[] = { dup(inner.spare), dup(outer.spare) };
	const char *why;

	if (what & 2)
		o.rates.rate[THROTTLE_OPS_WRITE] = 1;
	if (what & 4)
		require(netkit_set_ip(&o, "10.0.2.15", &why) == 0);
	require(loop_open(&loop) == 0);
	if (relay_open(&relay, &o, MAC, &page, &loop, fds[0], fds[1], &why) == 0)
		return true;
	require(lied);
	relay_close(&relay);
	loop_close(&loop);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]); /* unless it was taken */
	return false;
}

static void end(void)
{
	relay_close(&relay);
	loop_close(&loop);
}

static void put(const struct side *s, const void *data, size_t len)
{
	(void)!send(s->peer, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void op_bytes(const struct side *s)
{
	uint8_t bytes[256];
	size_t len = take();

	for (size_t i = 0; i < len; i++)
		bytes[i] = take();
	put(s, bytes, len);
}

static void op_frame(const struct side *s)
{
	uint8_t be[LINK_LENGTH];
	bool to_guest = s == &outer;
	uint8_t what = take();

	if (what & 1)
		tf_tcp(&f, to_guest, to_guest ? "198.51.100.7" : "10.0.2.15", what, "10.0.2.15",
		       80);
	else if (what & 2)
		tf_dhcp(&f, to_guest, to_guest ? "10.0.2.2" : "0.0.0.0",
			to_guest ? "10.0.2.15" : "255.255.255.255", to_guest ? 5 : 3, 7,
			"10.0.2.15");
	else
		tf_arp(&f, to_guest ? tf_other : tf_guest, 1, "0.0.0.0", "10.0.2.15");
	if (what & 4)
		f.at[take() % f.len] ^= take();
	if (what & 8)
		f.len = take() % (f.len + 1);
	be[0] = be[1] = 0;
	tf_put16(be + 2, (unsigned int)f.len);
	put(s, be, sizeof(be));
	put(s, f.at, f.len);
}

static void check_frame(const struct side *s, const uint8_t *frame)
{
	if (s == &outer)
		require(memcmp(frame + ETHER_ADDR_LEN, tf_guest, ETHER_ADDR_LEN) == 0);
	else
		require(memcmp(frame + ETHER_ADDR_LEN, tf_guest, ETHER_ADDR_LEN) != 0);
}

static void check_output(struct side *s)
{
	ssize_t n;

	while (s->n_out < sizeof(s->out) &&
	       (n = recv(s->peer, s->out + s->n_out, sizeof(s->out) - s->n_out, MSG_DONTWAIT)) > 0)
		s->n_out += (size_t)n;
	while (!lied && s->n_out - s->parsed >= LINK_LENGTH) {
		const uint8_t *at = s->out + s->parsed;
		size_t len = get_be32(at);

		require(len >= LINK_FRAME_MIN && len <= LINK_FRAME_MAX);
		if (s->n_out - s->parsed < LINK_LENGTH + len)
			break;
		check_frame(s, at + LINK_LENGTH);
		s->parsed += LINK_LENGTH + len;
	}
}

static void op_lie(void)
{
	uint8_t *const bytes = (uint8_t *)&page;
	size_t at = take32() % (take() & 1 ? 160 : sizeof(page));

	bytes[at] = take();
	lied = true;
}

static bool op_kill(uint8_t what)
{
	end();
	if (!(take() & 7))
		op_lie();
	return begin(what);
}

static bool step(uint8_t what)
{
	struct side *s = take() & 1 ? &inner : &outer;

	switch (take() % 8) {
	case 0:
		op_bytes(s);
		break;
	case 1:
	case 2:
	case 3:
		op_frame(s);
		break;
	case 4:
		return op_kill(what);
	default:
		require(loop_run_once(&loop, 0) >= 0);
		break;
	}
	check_output(&inner);
	check_output(&outer);
	require(page.inner.out_tail - page.inner.out_head <= LINK_CAP);
	require(page.outer.in_tail - page.outer.in_head <= LINK_CAP);
	return true;
}

static void open_side(struct side *s)
{
	int pair[2];

	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	s->peer = pair[0];
	s->spare = pair[1];
	s->n_out = s->parsed = 0;
}

static void close_side(struct side *s)
{
	closep(&s->peer);
	closep(&s->spare);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t what;
	bool lives;

	in.data = data;
	in.left = size;
	memset(&page, 0, sizeof(page));
	lied = false;
	what = take();
	open_side(&inner);
	open_side(&outer);
	lives = begin(what);
	for (unsigned int i = 0; i < OPS && in.left && lives; i++)
		lives = step(what);
	if (lives)
		end();
	close_side(&inner);
	close_side(&outer);
	return 0;
}
