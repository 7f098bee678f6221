/* SPDX-License-Identifier: Apache-2.0 */
/* The NBD client's requests; see nbd_client.h. The socket: nbd_client_io.c. */
#include "lib/image/nbd_client_internal.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#define DATA_MAX (32U << 20) /* bytes of one read or write; less where the server says so */
#define RANGE_MAX (1U << 30) /* the same of what has no data */

static struct nbd_client *client_of(struct image *image)
{
	return (struct nbd_client *)image; /* its first member */
}
_Static_assert(offsetof(struct nbd_client, image) == 0, "client_of");

static uint16_t index_of(const struct nbd_client *c, const struct nbd_client_slot *s)
{
	return (uint16_t)(s - c->slot);
}

/* ---- one request ---- */

static uint16_t command_of(enum image_op op)
{
	switch (op) {
	case IMAGE_READ:
		return NBD_CMD_READ;
	case IMAGE_WRITE:
		return NBD_CMD_WRITE;
	case IMAGE_FLUSH:
		return NBD_CMD_FLUSH;
	case IMAGE_DISCARD:
		return NBD_CMD_TRIM;
	case IMAGE_ZERO:
		break;
	}
	return NBD_CMD_WRITE_ZEROES;
}

static uint16_t flags_of(const struct image_io *io)
{
	uint16_t flags = io->sync ? NBD_CMD_FLAG_FUA : 0;

	return io->op == IMAGE_ZERO && !io->may_unmap ? flags | NBD_CMD_FLAG_NO_HOLE : flags;
}

static uint32_t piece_max(const struct nbd_client *c, const struct image_io *io)
{
	uint32_t most = c->export.block_max;

	if (io->op != IMAGE_READ && io->op != IMAGE_WRITE)
		return RANGE_MAX;
	if (!most || most > DATA_MAX)
		return DATA_MAX;
	return most - most % IMAGE_SECTOR;
}

/* Only once the client is up is it known how long a piece may be. */
static void prepare(struct nbd_client *c, struct nbd_client_slot *s)
{
	uint64_t left = s->io.len - s->at;
	uint32_t most = piece_max(c, &s->io);
	struct nbd_request q = { .flags = flags_of(&s->io),
				 .command = command_of(s->io.op),
				 .cookie = (uint64_t)s->generation << 16 | index_of(c, s) };

	s->piece = left < most ? (uint32_t)left : most;
	q.offset = s->io.op == IMAGE_FLUSH ? 0 : s->io.offset + s->at;
	q.len = s->piece;
	(void)!nbd_request_encode(&q, s->header, sizeof(s->header));
}

static void enqueue(struct nbd_client *c, struct nbd_client_slot *s)
{
	uint16_t i = index_of(c, s);

	s->next = NBD_NO_SLOT;
	s->queued = true;
	if (c->send_last == NBD_NO_SLOT)
		c->send_first = i;
	else
		c->slot[c->send_last].next = i;
	c->send_last = i;
	if (c->up)
		prepare(c, s);
}

static void finish(struct nbd_client *c, struct nbd_client_slot *s, int result)
{
	uint64_t handle = s->io.handle;

	s->used = false;
	s->generation++;
	s->next = c->first_free;
	c->first_free = index_of(c, s);
	c->n_in_flight--;
	c->image.done(c->image.owner, handle, result);
}

struct nbd_client_slot *client_find(struct nbd_client *c, uint64_t cookie)
{
	struct nbd_client_slot *s = &c->slot[cookie % NBD_CLIENT_DEPTH];

	/* what is not sent whole cannot have been answered */
	if (!s->used || s->queued || cookie != ((uint64_t)s->generation << 16 | index_of(c, s)))
		return NULL;
	return s;
}

void client_replied(struct nbd_client *c, struct nbd_client_slot *s, int result)
{
	c->answered = true;
	s->at += s->piece;
	if (result == 0 && s->at < s->io.len) {
		s->generation++;
		enqueue(c, s);
		return;
	}
	finish(c, s, result);
}

/* ---- image_ops ---- */

static int client_queue(struct image *image, const struct image_io *io)
{
	struct nbd_client *c = client_of(image);
	struct nbd_client_slot *s;
	int r = image_check(image, io);

	if (r < 0)
		return r;
	if (c->first_free == NBD_NO_SLOT)
		return -EBUSY;
	s = &c->slot[c->first_free];
	c->first_free = s->next;
	s->used = true;
	s->at = 0;
	s->io = *io;
	if (io->op == IMAGE_FLUSH)
		s->io.len = 0;
	c->n_in_flight++;
	enqueue(c, s);
	return 0;
}

/* The connection has ended, by the peer or by an error of the host: a new one is waited for. */
void nbd_client_hang_up(struct nbd_client *c)
{
	c->gone = true;
	c->up = false;
}

void nbd_client_fail(struct nbd_client *c, int result)
{
	if (!c->gone)
		return;
	for (unsigned int i = 0; i < NBD_CLIENT_DEPTH; i++)
		if (c->slot[i].used)
			finish(c, &c->slot[i], result);
	c->send_first = c->send_last = c->reading = NBD_NO_SLOT;
}

static int client_submit(struct image *image)
{
	struct nbd_client *c = client_of(image);

	/* what goes wrong here shows by the next reap */
	if (c->up)
		(void)!client_send(c);
	return 0;
}

static int client_reap(struct image *image)
{
	struct nbd_client *c = client_of(image);
	int r = 0;

	if (c->gone)
		return 0;
	r = client_receive(c);
	if (r == 0)
		r = client_send(c);
	if (r == 0 || (r != -EPIPE && !(c->lost && c->known && r != -EBADMSG)))
		return r;
	/* a server that was up refuses for now */
	if (r != -EPIPE)
		c->why = r;
	nbd_client_hang_up(c);
	if (c->lost)
		c->lost(c);
	return 0;
}

/* For the socket, and for other_fd, which may be -1. 1: it is other_fd. -ETIMEDOUT: neither. */
static int wait_for(const struct nbd_client *c, int other_fd, int timeout_ms)
{
	bool sending = c->send_first != NBD_NO_SLOT || c->hand.n_out;
	struct pollfd p[] = { { .fd = c->sock,
				.events = (short)(POLLIN | (sending ? POLLOUT : 0)) },
			      { .fd = other_fd, .events = POLLIN } };

	struct timespec t = { .tv_sec = timeout_ms / 1000,
			      .tv_nsec = timeout_ms % 1000 * 1000000L };
	int n = ppoll(p, ARRAY_SIZE(p), timeout_ms < 0 ? NULL : &t, NULL);

	if (n < 0 && errno != EINTR)
		return -errno;
	if (n == 0)
		return -ETIMEDOUT;
	return p[1].revents != 0;
}

static int client_wait(struct image *image)
{
	struct nbd_client *c = client_of(image);
	int r;

	if (!c->n_in_flight)
		return 0;
	if (c->gone)
		return -ENOTCONN;
	r = client_submit(image);
	if (r == 0)
		r = wait_for(c, -1, -1);
	return r < 0 ? r : client_reap(image);
}

static void client_close(struct image *image)
{
	nbd_client_hang_up(client_of(image));
	closep(&client_of(image)->sock);
	image->fd = -1;
}

static const struct image_ops client_ops = {
	.queue = client_queue,
	.submit = client_submit,
	.reap = client_reap,
	.wait = client_wait,
	.close = client_close,
};

/* ---- connections ---- */

void nbd_client_open_remote(struct nbd_client *c, int sock, bool readonly, const char *name,
			    struct nbd_wire *wire)
{
	memset(c, 0, sizeof(*c));
	for (unsigned int i = 0; i < NBD_CLIENT_DEPTH; i++)
		c->slot[i].next = i + 1 < NBD_CLIENT_DEPTH ? (uint16_t)(i + 1) : NBD_NO_SLOT;
	c->sock = -1;
	c->name = name;
	c->wire = wire;
	c->image = (struct image){ .ops = &client_ops,
				   .readonly = readonly,
				   .fd = -1,
				   .other_fd = -1,
				   .events = EPOLLIN | EPOLLOUT | EPOLLET };
	nbd_client_connect(c, sock);
}

void nbd_client_open(struct nbd_client *c, int sock, bool readonly)
{
	nbd_client_open_remote(c, sock, readonly, "", NULL);
}

void nbd_client_connect(struct nbd_client *c, int sock)
{
	closep(&c->sock);
	c->sock = c->image.fd = sock;
	c->gone = sock < 0;
	c->up = c->secured = c->answered = false;
	c->why = -EPIPE;
	if (c->wire && sock >= 0)
		c->wire->begin(c->wire, sock);
	c->sent = c->staged = c->taken = 0;
	c->reading = c->send_first = c->send_last = NBD_NO_SLOT;
	nbd_hand_client(&c->hand, c->name, c->wire != NULL);
	for (unsigned int i = 0; i < NBD_CLIENT_DEPTH; i++) {
		struct nbd_client_slot *s = &c->slot[i];

		if (!s->used)
			continue;
		s->generation++;
		enqueue(c, s);
	}
}

static int judge_export(const struct nbd_client *c, const struct nbd_export *e)
{
	const uint16_t needed = NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |
				NBD_FLAG_SEND_WRITE_ZEROES;

	if (c->known)
		return e->size == c->export.size && e->flags == c->export.flags ? 0 : -EBADMSG;
	if (e->size < IMAGE_SECTOR)
		return -ENODATA;
	if (e->block_min > IMAGE_SECTOR || (e->block_max && e->block_max < IMAGE_SECTOR))
		return -EOPNOTSUPP;
	if (c->image.readonly)
		return 0;
	if (e->flags & NBD_FLAG_READ_ONLY)
		return -EACCES;
	return (e->flags & needed) == needed ? 0 : -EOPNOTSUPP;
}

static uint32_t clamp_block(uint32_t preferred)
{
	if (preferred < IMAGE_SECTOR)
		return IMAGE_SECTOR;
	return preferred > 4096 ? 4096 : preferred;
}

int client_up(struct nbd_client *c)
{
	const struct nbd_export *e = &c->hand.export;
	int r = judge_export(c, e);

	if (r < 0)
		return r;
	c->export = *e;
	c->known = c->up = true;
	c->image.capacity = e->size - e->size % IMAGE_SECTOR;
	c->image.block = clamp_block(e->block_preferred);
	c->image.cached = !c->image.readonly;
	c->image.can_discard = !c->image.readonly && e->flags & NBD_FLAG_SEND_TRIM;
	for (uint16_t i = c->send_first; i != NBD_NO_SLOT; i = c->slot[i].next)
		prepare(c, &c->slot[i]);
	if (c->found)
		c->found(c);
	return 0;
}

int nbd_client_await(struct nbd_client *c, int other_fd, int timeout_ms)
{
	while (!c->up) {
		int r = wait_for(c, other_fd, timeout_ms);

		if (r == 1)
			return -ECANCELED;
		if (r == 0)
			r = client_reap(&c->image);
		if (r < 0)
			return r;
		if (c->gone)
			return -EPIPE;
	}
	return 0;
}
