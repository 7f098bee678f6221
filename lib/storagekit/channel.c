/* SPDX-License-Identifier: Apache-2.0 */
/* The socket of a storage process's client; see server.h. HOSTILE. */
#include "lib/storagekit/server_internal.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <string.h>

#define PIECES (2 * STORAGE_SLOTS)

/* ---- what is received ---- */

static struct storage_slot *find_free(struct storage *s)
{
	for (unsigned int i = 0; i < STORAGE_SLOTS; i++)
		if (s->slot[i].state == STORAGE_FREE)
			return &s->slot[i];
	return NULL;
}

static void take_off(struct storage *s, size_t n)
{
	memmove(s->stage, s->stage + n, s->staged - n);
	s->staged -= n;
}

static int take_hand(struct storage *s)
{
	int r;

	if (s->hand.n_out || s->staged < s->hand.wants)
		return -EAGAIN;
	r = nbd_hand_take(&s->hand, s->stage, s->hand.wants);
	s->staged = 0; /* it received no more than was wanted */
	s->sent = 0;
	if (r < 0)
		return -EPIPE;
	s->up = r == 1;
	return 0;
}

static int take_request(struct storage *s)
{
	struct storage_slot *slot = find_free(s);

	if (!slot || s->staged < NBD_REQUEST_LEN)
		return -EAGAIN;
	if (nbd_request_decode(s->stage, NBD_REQUEST_LEN, &slot->request) < 0)
		return -EPIPE;
	take_off(s, NBD_REQUEST_LEN);
	if (slot->request.command == NBD_CMD_DISC)
		return -EPIPE;
	if (!storage_has_data(&slot->request)) {
		storage_admit(s, slot);
		return 0;
	}
	if (slot->request.len > STORAGE_DATA_MAX)
		return -EPIPE; /* it was told */
	slot->state = STORAGE_RECEIVING;
	s->receiving = slot;
	s->got = 0;
	return 0;
}

static int take_data(struct storage *s)
{
	struct storage_slot *slot = s->receiving;
	size_t left = slot->request.len - s->got, n = s->staged < left ? s->staged : left;

	memcpy((uint8_t *)slot->iov.iov_base + s->got, s->stage, n);
	s->got += (uint32_t)n;
	take_off(s, n);
	if (s->got < slot->request.len)
		return -EAGAIN;
	s->receiving = NULL;
	storage_admit(s, slot);
	return 0;
}

/* Everything in the stage that there is room for. */
static int digest(struct storage *s)
{
	int r = 0;

	while (r == 0) {
		if (!s->up)
			r = take_hand(s);
		else
			r = s->receiving ? take_data(s) : take_request(s);
	}
	return r == -EAGAIN ? 0 : r;
}

bool storage_has_more(const struct storage *s)
{
	if (!s->up || s->receiving || s->staged < NBD_REQUEST_LEN)
		return false;
	for (unsigned int i = 0; i < STORAGE_SLOTS; i++)
		if (s->slot[i].state == STORAGE_FREE)
			return true;
	return false;
}

/* Data go to their slot, what follows them into the stage; of the handshake only what it wants. */
static ssize_t receive_some(struct storage *s)
{
	size_t room = (s->up ? sizeof(s->stage) : s->hand.wants) - s->staged, direct = 0, n = 0;
	struct iovec iov[2];
	ssize_t r;

	if (s->receiving) {
		direct = s->receiving->request.len - s->got;
		iov[n++] = (struct iovec){ (uint8_t *)s->receiving->iov.iov_base + s->got, direct };
	}
	iov[n++] = (struct iovec){ s->stage + s->staged, room };
	r = stream_transfer(s->channel.fd, iov, n, false);
	if (r < 0)
		return r;
	if ((size_t)r < direct)
		direct = (size_t)r;
	s->got += (uint32_t)direct;
	s->staged += (size_t)r - direct;
	return r;
}

int storage_receive(struct storage *s)
{
	int r = digest(s);

	while (r == 0) {
		ssize_t n;

		/* who has not taken our answer gets to say nothing more */
		if (!s->up && s->hand.n_out)
			return 0;
		if (s->up && !s->receiving && s->staged >= NBD_REQUEST_LEN)
			return 0; /* no slot is free */
		n = receive_some(s);
		r = n < 0 ? (int)n : digest(s);
	}
	return r == -EAGAIN ? 0 : r;
}

/* ---- what is sent ---- */

static int send_hand(struct storage *s)
{
	while (s->sent < s->hand.n_out) {
		struct iovec iov = { s->hand.out + s->sent, s->hand.n_out - s->sent };
		ssize_t r = stream_transfer(s->channel.fd, &iov, 1, true);

		if (r < 0)
			return (int)r;
		s->sent += (size_t)r;
	}
	s->sent = s->hand.n_out = 0;
	return 0;
}

static size_t gather(struct storage *s, struct iovec *iov)
{
	size_t sent = s->sent, n = 0;

	for (uint16_t i = s->replies.first; i != STORAGE_NO_SLOT; i = s->slot[i].next) {
		struct storage_slot *slot = &s->slot[i];

		if (sent < NBD_REPLY_LEN) {
			iov[n++] = (struct iovec){ slot->reply + sent, NBD_REPLY_LEN - sent };
			sent = NBD_REPLY_LEN;
		}
		sent -= NBD_REPLY_LEN;
		if (slot->iov.iov_len)
			iov[n++] = (struct iovec){ (uint8_t *)slot->iov.iov_base + sent,
						   slot->iov.iov_len - sent };
		sent = 0;
	}
	return n;
}

static void advance(struct storage *s, size_t n)
{
	struct storage_slot *slot;

	s->sent += n;
	while ((slot = storage_first(s, &s->replies))) {
		size_t len = NBD_REPLY_LEN + slot->iov.iov_len;

		if (s->sent < len)
			return;
		s->sent -= len;
		storage_pop(s, &s->replies);
		slot->state = STORAGE_FREE;
	}
}

int storage_send(struct storage *s)
{
	struct iovec iov[PIECES];
	int r = s->hand.n_out ? send_hand(s) : 0;

	while (r == 0 && storage_first(s, &s->replies)) {
		ssize_t n = stream_transfer(s->channel.fd, iov, gather(s, iov), true);

		if (n < 0)
			r = (int)n;
		else
			advance(s, (size_t)n);
	}
	return r == -EAGAIN ? 0 : r;
}
