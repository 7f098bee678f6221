/* SPDX-License-Identifier: Apache-2.0 */
/* The NBD client's socket: what is sent, and what comes; see nbd_client.h. */
#include "lib/image/nbd_client_internal.h"

#include "lib/base/fd.h"
#include "lib/image/iov.h"

#include <errno.h>
#include <string.h>

#define PIECES 64U /* of one message */

/* Bytes, -EAGAIN, or -EPIPE: whatever else a socket says, it is of no use any more. */
static ssize_t transfer(struct nbd_client *c, struct iovec *iov, size_t n, bool send)
{
	ssize_t r = c->secured ? c->wire->transfer(c->wire, iov, n, send) :
				 stream_try(c->sock, iov, n, send);

	if (r > 0 || r == -EAGAIN)
		return r;
	if (r < 0)
		c->why = (int)r;
	return -EPIPE;
}

/* ---- what is sent ---- */

static uint64_t request_len(const struct nbd_client_slot *s)
{
	return NBD_REQUEST_LEN + (s->io.op == IMAGE_WRITE ? s->piece : 0);
}

/* One request from `sent` on. */
static size_t add_request(struct nbd_client_slot *s, uint64_t sent, struct iovec *iov, size_t cap)
{
	uint64_t len;
	size_t n = 0;

	if (sent < NBD_REQUEST_LEN) {
		iov[n++] = (struct iovec){ s->header + sent, NBD_REQUEST_LEN - (size_t)sent };
		sent = NBD_REQUEST_LEN;
	}
	if (s->io.op != IMAGE_WRITE)
		return n;
	len = s->piece - (sent - NBD_REQUEST_LEN);
	return n + iov_window(s->io.iov, s->io.n_iov, s->at + sent - NBD_REQUEST_LEN, &len, iov + n,
			      cap - n);
}

static size_t gather(struct nbd_client *c, struct iovec *iov)
{
	uint64_t sent = c->sent;
	size_t n = 0;

	for (uint16_t i = c->send_first; i != NBD_NO_SLOT && n + 1 < PIECES; i = c->slot[i].next) {
		n += add_request(&c->slot[i], sent, iov + n, PIECES - n);
		sent = 0;
		/* data that do not all fit are the last of this message */
		if (n == PIECES)
			break;
	}
	return n;
}

static void advance(struct nbd_client *c, size_t n)
{
	c->sent += n;
	while (c->send_first != NBD_NO_SLOT && c->sent >= request_len(&c->slot[c->send_first])) {
		struct nbd_client_slot *s = &c->slot[c->send_first];

		c->sent -= request_len(s);
		s->queued = false;
		c->send_first = s->next;
		if (c->send_first == NBD_NO_SLOT)
			c->send_last = NBD_NO_SLOT;
	}
}

/* What the handshake has to say. */
static int send_hand(struct nbd_client *c)
{
	while (c->sent < c->hand.n_out) {
		struct iovec iov = { c->hand.out + c->sent, c->hand.n_out - c->sent };
		ssize_t r = transfer(c, &iov, 1, true);

		if (r < 0)
			return (int)r;
		c->sent += (size_t)r;
	}
	c->sent = c->hand.n_out = 0;
	return 0;
}

int client_send(struct nbd_client *c)
{
	struct iovec iov[PIECES];

	if (!c->up) {
		int r = send_hand(c);

		return r == -EAGAIN ? 0 : r;
	}
	while (c->send_first != NBD_NO_SLOT) {
		ssize_t r = transfer(c, iov, gather(c, iov), true);

		if (r < 0)
			return r == -EAGAIN ? 0 : (int)r;
		advance(c, (size_t)r);
	}
	return 0;
}

void nbd_client_leave(struct nbd_client *c)
{
	const struct nbd_request q = { .command = NBD_CMD_DISC };
	uint8_t wire[NBD_REQUEST_LEN];
	struct iovec iov = { wire, sizeof(wire) };

	if (!c->up || c->n_in_flight || nbd_request_encode(&q, wire, sizeof(wire)) < 0)
		return;
	if (transfer(c, &iov, 1, true) == sizeof(wire) && c->secured)
		c->wire->end(c->wire);
}

/* ---- what comes ---- */

static int take_hand(struct nbd_client *c)
{
	int r = nbd_hand_take(&c->hand, c->stage, c->staged);

	c->staged = 0;
	if (r < 0)
		return r;
	c->sent = 0;
	if (r == 1)
		return client_up(c);
	if (r == 2)
		return 0;
	r = send_hand(c);
	return r == -EAGAIN ? 0 : r;
}

/* 0: TLS is up, and what comes next is asked for. */
static int secure(struct nbd_client *c)
{
	int r = c->wire->secure(c->wire);

	if (r < 0)
		return r;
	c->secured = true;
	r = nbd_hand_secured(&c->hand);
	if (r == 0)
		r = send_hand(c);
	return r == -EAGAIN ? 0 : r;
}

/* Not a byte more than the handshake's step: what comes after it belongs to the next. */
static int receive_hand(struct nbd_client *c)
{
	while (!c->up) {
		struct iovec iov = { c->stage + c->staged, c->hand.wants - c->staged };
		ssize_t n;
		int r;

		if (c->hand.n_out)
			return 0; /* the server owes nothing before it has that */
		if (c->hand.state == NBD_HAND_SECURE) {
			r = secure(c);
			if (r < 0)
				return r;
			continue;
		}
		n = transfer(c, &iov, 1, false);
		if (n < 0)
			return (int)n;
		c->staged += (size_t)n;
		if (c->staged < c->hand.wants)
			continue;
		r = take_hand(c);
		if (r < 0)
			return r;
	}
	return 0;
}

/* From the stage into the reader's memory. */
static void take_staged(struct nbd_client *c, struct nbd_client_slot *s)
{
	size_t left = c->staged - c->taken;
	uint32_t len = s->piece - c->got < left ? s->piece - c->got : (uint32_t)left;

	iov_fill(s->io.iov, s->io.n_iov, s->at + c->got, c->stage + c->taken, len);
	c->taken += len;
	c->got += len;
}

static void end_read(struct nbd_client *c)
{
	struct nbd_client_slot *s = &c->slot[c->reading];

	c->reading = NBD_NO_SLOT;
	client_replied(c, s, 0);
}

static int take_header(struct nbd_client *c)
{
	struct nbd_reply reply = { 0 };
	struct nbd_client_slot *s;

	if (nbd_reply_decode(c->stage + c->taken, NBD_REPLY_LEN, &reply) < 0)
		return -EBADMSG;
	c->taken += NBD_REPLY_LEN;
	s = client_find(c, reply.cookie);
	if (!s)
		return -EBADMSG;
	if (reply.error || s->io.op != IMAGE_READ) {
		client_replied(c, s, nbd_result_of(reply.error));
		return 0;
	}
	c->reading = (uint16_t)(s - c->slot);
	c->got = 0;
	return 0;
}

/* Everything in the stage that is whole; the rest goes to its beginning. */
static int digest(struct nbd_client *c)
{
	int r = 0;

	while (r == 0) {
		if (c->reading != NBD_NO_SLOT) {
			struct nbd_client_slot *s = &c->slot[c->reading];

			take_staged(c, s);
			if (c->got == s->piece)
				end_read(c);
			else if (c->taken == c->staged)
				break;
		} else if (c->staged - c->taken >= NBD_REPLY_LEN) {
			r = take_header(c);
		} else {
			break;
		}
	}
	memmove(c->stage, c->stage + c->taken, c->staged - c->taken);
	c->staged -= c->taken;
	c->taken = 0;
	return r;
}

/* Data go to where they belong, what follows them into the stage. */
static ssize_t receive_some(struct nbd_client *c)
{
	struct iovec iov[PIECES + 1];
	uint64_t direct = 0;
	size_t n = 0;
	ssize_t r;

	if (c->reading != NBD_NO_SLOT) {
		const struct nbd_client_slot *s = &c->slot[c->reading];

		direct = s->piece - c->got;
		n = iov_window(s->io.iov, s->io.n_iov, s->at + c->got, &direct, iov, PIECES);
	}
	if (c->reading == NBD_NO_SLOT || c->got + direct == c->slot[c->reading].piece)
		iov[n++] = (struct iovec){ c->stage + c->staged, sizeof(c->stage) - c->staged };
	r = transfer(c, iov, n, false);
	if (r <= 0)
		return r;
	if ((uint64_t)r < direct)
		direct = (uint64_t)r;
	c->got += (uint32_t)direct;
	c->staged += (size_t)r - direct;
	return r;
}

int client_receive(struct nbd_client *c)
{
	int r = receive_hand(c);

	while (r == 0 && c->up) {
		ssize_t n = receive_some(c);

		r = n < 0 ? (int)n : digest(c);
	}
	return r == -EAGAIN ? 0 : r;
}
