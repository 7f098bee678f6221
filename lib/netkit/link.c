/* SPDX-License-Identifier: Apache-2.0 */
/* Frames over a stream; see link.h. */
#include "lib/netkit/link.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* No VM moves so many bytes; a position that is larger could wrap. */
#define POSITION_MAX (UINT64_C(1) << 62)

_Static_assert((LINK_CAP & (LINK_CAP - 1)) == 0 && LINK_CAP > LINK_LENGTH + LINK_FRAME_MAX,
	       "a ring has room for any frame");

int link_page_map(int fd, struct link_page **ret)
{
	void *page = NULL;
	int r = fd_map_shared(fd, sizeof(**ret), &page);

	if (r == 0)
		*ret = page;
	return r;
}

/* ---- pieces of a ring ---- */

static struct link_bytes pieces(uint8_t *ring, uint64_t position, size_t len)
{
	size_t at = position % LINK_CAP, end = LINK_CAP - at;
	size_t first = len < end ? len : end;

	return (struct link_bytes){ { ring + at, ring }, { first, len - first } };
}

static int to_iov(const struct link_bytes *b, struct iovec iov[2])
{
	int n = 0;

	for (int i = 0; i < 2; i++)
		if (b->len[i])
			iov[n++] = (struct iovec){ b->at[i], b->len[i] };
	return n;
}

static uint64_t used(const _Atomic uint64_t *head, const _Atomic uint64_t *tail)
{
	return atomic_load(tail) - atomic_load(head);
}

static size_t at_most(uint64_t n)
{
	return n < LINK_MOVE_MAX ? (size_t)n : LINK_MOVE_MAX;
}

/* ---- the socket ---- */

/* Before the call: nothing has moved, from here on. In this order, as a count of the last call must
 * not stand beside a position that it was not made at. */
static void begin_move(struct link_move *move, uint64_t from, struct iovec *iov, int n)
{
	move->msg = (struct mmsghdr){ .msg_hdr = { .msg_iov = iov, .msg_iovlen = (size_t)n } };
	atomic_store(&move->from, from);
}

static void go_down(struct link *l)
{
	loop_remove(l->loop, &l->src);
	closep(&l->fd);
	atomic_store(&l->page->out_head, atomic_load(&l->page->out_tail));
}

static void send_all(struct link *l)
{
	struct link_page *p = l->page;
	struct iovec iov[2];

	while (l->fd >= 0 && used(&p->out_head, &p->out_tail)) {
		uint64_t head = atomic_load(&p->out_head);
		size_t len = at_most(used(&p->out_head, &p->out_tail));
		struct link_bytes b = pieces(p->out, head, len);

		begin_move(&p->sent, head, iov, to_iov(&b, iov));
		if (sendmmsg(l->fd, &p->sent.msg, 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			atomic_store(&p->out_head, head + p->sent.msg.msg_len);
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR)
			go_down(l);
	}
}

static uint64_t in_space(const struct link_page *p)
{
	return LINK_CAP - used(&p->in_head, &p->in_tail);
}

static void receive(struct link *l)
{
	struct link_page *p = l->page;
	struct iovec iov[2];

	while (l->fd >= 0 && in_space(p)) {
		uint64_t tail = atomic_load(&p->in_tail);
		struct link_bytes b = pieces(p->in, tail, at_most(in_space(p)));
		int r;

		begin_move(&p->received, tail, iov, to_iov(&b, iov));
		r = recvmmsg(l->fd, &p->received.msg, 1, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, NULL);
		if (r > 0 && p->received.msg.msg_len)
			atomic_store(&p->in_tail, tail + p->received.msg.msg_len);
		else if (r < 0 && errno == EAGAIN)
			return;
		else if (r >= 0 || errno != EINTR)
			go_down(l);
	}
}

int link_settle(struct link *l)
{
	struct link_page *p = l->page;
	uint32_t events = 0;

	send_all(l);
	if (l->fd < 0)
		return 0;
	if (l->waiting || used(&p->out_head, &p->out_tail))
		events |= EPOLLOUT;
	if (in_space(p))
		events |= EPOLLIN;
	return loop_set(l->loop, &l->src, events); /* 0: for the hang-up alone */
}

static int on_stream(struct loop_source *src, uint32_t events)
{
	struct link *l = src->owner;

	receive(l);
	if (events & (EPOLLHUP | EPOLLERR) && l->fd >= 0)
		go_down(l);
	send_all(l);
	l->waiting = false;
	l->on_event(l->owner);
	return link_settle(l);
}

/* ---- frames ---- */

bool link_claim(struct link *l, size_t len, struct link_bytes *ret)
{
	struct link_page *p = l->page;
	uint64_t tail = atomic_load(&p->out_tail);
	uint8_t be[LINK_LENGTH] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
				    (uint8_t)len };

	if (LINK_CAP - used(&p->out_head, &p->out_tail) < LINK_LENGTH + len)
		send_all(l);
	if (LINK_CAP - used(&p->out_head, &p->out_tail) < LINK_LENGTH + len) {
		l->waiting = true;
		return false;
	}
	for (size_t i = 0; i < LINK_LENGTH; i++)
		p->out[(tail + i) % LINK_CAP] = be[i];
	*ret = pieces(p->out, tail + LINK_LENGTH, len);
	return true;
}

void link_commit(struct link *l, size_t len)
{
	struct link_page *p = l->page;

	atomic_store(&p->out_tail, atomic_load(&p->out_tail) + LINK_LENGTH + len);
}

int link_peek(struct link *l, struct link_bytes *ret)
{
	struct link_page *p = l->page;
	uint64_t head = atomic_load(&p->in_head), there = used(&p->in_head, &p->in_tail);
	uint32_t len = 0;

	if (there < LINK_LENGTH)
		return 0;
	for (size_t i = 0; i < LINK_LENGTH; i++)
		len = len << 8 | p->in[(head + i) % LINK_CAP];
	if (len > LINK_FRAME_MAX) {
		if (l->fd >= 0)
			go_down(l);
		atomic_store(&p->broken, 1);
		atomic_store(&p->in_head, head + there);
		return -EBADMSG;
	}
	if (there - LINK_LENGTH < len)
		return 0;
	*ret = pieces(p->in, head + LINK_LENGTH, len);
	return 1;
}

void link_skip(struct link *l, size_t len)
{
	atomic_store(&l->page->in_head, atomic_load(&l->page->in_head) + LINK_LENGTH + len);
}

bool link_is_full(const struct link *l)
{
	return !in_space(l->page);
}

/* ---- start and end ---- */

/* A position, and what a call that began there has moved on. False: that cannot be. */
static bool moved_to(_Atomic uint64_t *position, const struct link_move *move)
{
	uint32_t len = *(const volatile uint32_t *)&move->msg.msg_len;
	uint64_t at = atomic_load(position);

	if (atomic_load(&move->from) != at)
		len = 0;
	if (at > POSITION_MAX || len > LINK_MOVE_MAX)
		return false;
	atomic_store(position, at + len);
	return true;
}

static bool spans(const _Atomic uint64_t *head, const _Atomic uint64_t *tail)
{
	return atomic_load(head) <= atomic_load(tail) && used(head, tail) <= LINK_CAP;
}

static bool resume(struct link_page *p)
{
	return atomic_load(&p->out_tail) <= POSITION_MAX &&
	       atomic_load(&p->in_head) <= POSITION_MAX && moved_to(&p->out_head, &p->sent) &&
	       moved_to(&p->in_tail, &p->received) && spans(&p->out_head, &p->out_tail) &&
	       spans(&p->in_head, &p->in_tail);
}

int link_open(struct link *l, struct link_page *page, struct loop *loop, int fd,
	      void (*on_event)(void *owner), void *owner)
{
	int r;

	*l = (struct link){ .loop = loop,
			    .src = { .fd = -1 },
			    .fd = -1,
			    .page = page,
			    .on_event = on_event,
			    .owner = owner };
	if (!resume(page))
		return -EBADMSG;
	/* that nothing has moved since is not to be counted again */
	atomic_store(&page->sent.from, UINT64_MAX);
	atomic_store(&page->received.from, UINT64_MAX);
	if (atomic_load(&page->broken)) {
		closep(&fd);
		return 0;
	}
	r = loop_add(loop, &l->src, fd, EPOLLIN | EPOLLOUT, on_stream, l);
	if (r == 0)
		l->fd = fd;
	return r;
}

void link_close(struct link *l)
{
	loop_remove(l->loop, &l->src);
	closep(&l->fd);
}
