/* SPDX-License-Identifier: Apache-2.0 */
/* The console's stream; see stream.h. */
#include "cmd/dev-console/stream.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* No VM moves so many bytes; a position that is larger could wrap. */
#define POSITION_MAX (UINT64_C(1) << 62)

bool stream_has_peer(const struct stream *s)
{
	return s->attached || s->expected;
}

/* Whether output waits for a peer that takes it. */
static bool flows(const struct stream *s)
{
	return stream_has_peer(s) && !s->stalled;
}

/* Kept before the room that it makes is used again. */
static void drop_output(struct stream *s, size_t n)
{
	fifo_drop(&s->out, n);
	atomic_store(&s->page->out_head, s->out_tail - fifo_used(&s->out));
}

static void trim_scrollback(struct stream *s)
{
	size_t n;

	if (flows(s) || fifo_used(&s->out) <= STREAM_SCROLLBACK)
		return;
	n = fifo_used(&s->out) - STREAM_SCROLLBACK;
	drop_output(s, n);
	if (stream_has_peer(s))
		s->dropped += n;
}

/* The peer takes no more. The descriptor stays for what it has said. */
static void detach(struct stream *s)
{
	loop_remove(s->loop, &s->src);
	s->attached = s->expected = false;
	s->stalled = false;
	trim_scrollback(s);
}

/* The peer has taken something. */
static void progress(struct stream *s)
{
	s->quiet = 0;
	s->stalled = false;
}

/* Before the call: nothing has moved, from here on. In this order, as a count of the last call must
 * not stand beside a position that it was not made at. */
static void begin_move(struct stream_move *move, uint64_t from, struct iovec *iov, int n)
{
	move->msg = (struct mmsghdr){ .msg_hdr = { .msg_iov = iov, .msg_iovlen = (size_t)n } };
	atomic_store(&move->from, from);
}

/* At most STREAM_SEND_MAX bytes of the oldest output. How many went, or -1 as sendmmsg. */
static ssize_t send_some(struct stream *s, struct iovec *iov)
{
	struct stream_move *move = &s->page->sent;

	if (iov->iov_len > STREAM_SEND_MAX)
		iov->iov_len = STREAM_SEND_MAX;
	begin_move(move, atomic_load(&s->page->out_head), iov, 1);
	if (sendmmsg(s->fd, &move->msg, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -1;
	return move->msg.msg_len <= iov->iov_len ? move->msg.msg_len : (ssize_t)iov->iov_len;
}

static void send_all(struct stream *s)
{
	struct iovec iov[2];

	while (s->attached && fifo_peek(&s->out, iov) > 0) {
		ssize_t n = send_some(s, iov);

		if (n >= 0) {
			drop_output(s, (size_t)n);
			progress(s);
		} else if (errno == EAGAIN)
			return;
		else if (errno != EINTR)
			detach(s);
	}
}

/* How many bytes came, 0 at the end, or -1 as recvmmsg. */
static ssize_t receive_some(struct stream *s)
{
	struct stream_move *move = &s->page->received;
	size_t space = fifo_space(&s->in);
	struct iovec iov[2];

	begin_move(move, atomic_load(&s->page->in_tail), iov, fifo_room(&s->in, iov));
	if (recvmmsg(s->fd, &move->msg, 1, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, NULL) < 0)
		return -1;
	return move->msg.msg_len <= space ? move->msg.msg_len : (ssize_t)space;
}

void stream_receive(struct stream *s)
{
	while (s->fd >= 0 && !s->in_ended && fifo_space(&s->in)) {
		ssize_t n = receive_some(s);

		if (n > 0) {
			fifo_filled(&s->in, (size_t)n);
			atomic_store(&s->page->in_tail, s->in_head + fifo_used(&s->in));
		} else if (n < 0 && errno == EAGAIN)
			return;
		else if (n == 0 || errno != EINTR)
			s->in_ended = true;
	}
}

int stream_settle(struct stream *s)
{
	uint32_t events = 0;

	send_all(s);
	if (!s->attached) {
		if (s->in_ended)
			closep(&s->fd);
		return 0;
	}
	if (fifo_used(&s->out) || s->wanted)
		events |= EPOLLOUT;
	if (!s->in_ended && fifo_space(&s->in))
		events |= EPOLLIN;
	return loop_set(s->loop, &s->src, events); /* 0: for the hang-up alone */
}

static int on_stream(struct loop_source *src, uint32_t events)
{
	struct stream *s = src->owner;

	if (events & (EPOLLHUP | EPOLLERR))
		detach(s);
	s->on_event(s->owner);
	return 0;
}

void stream_init(struct stream *s, struct stream_page *page, struct loop *l, uint64_t hold,
		 void (*on_event)(void *owner), void *owner)
{
	s->page = page;
	s->out_tail = s->in_head = 0;
	s->loop = l;
	s->hold = hold;
	s->quiet = s->dropped = 0;
	s->stalled = false;
	s->on_event = on_event;
	s->owner = owner;
	s->src.fd = -1;
	s->fd = -1;
	s->attached = s->expected = false;
	s->in_ended = true;
	s->wanted = false;
	fifo_init(&s->out, page->out, sizeof(page->out));
	fifo_init(&s->in, page->in, sizeof(page->in));
}

/* A position, and what a call that began there has moved on. False: that cannot be. */
static bool moved_to(uint64_t position, const struct stream_move *move, uint32_t most,
		     uint64_t *ret)
{
	uint32_t len = *(const volatile uint32_t *)&move->msg.msg_len;

	if (atomic_load(&move->from) != position)
		len = 0;
	if (position > POSITION_MAX || len > most)
		return false;
	*ret = position + len;
	return true;
}

int stream_resume(struct stream *s, uint64_t out_tail, uint64_t in_head, bool peer,
		  const char **ret_why)
{
	struct stream_page *p = s->page;
	uint64_t out_head, in_tail;

	*ret_why = "the output's positions cannot be";
	if (!moved_to(atomic_load(&p->out_head), &p->sent, STREAM_SEND_MAX, &out_head) ||
	    out_head > out_tail || out_tail > POSITION_MAX || out_tail - out_head > STREAM_OUT_CAP)
		return -EBADMSG;
	*ret_why = "the input's positions cannot be";
	if (!moved_to(atomic_load(&p->in_tail), &p->received, STREAM_IN_CAP, &in_tail) ||
	    in_head > in_tail || in_tail - in_head > STREAM_IN_CAP)
		return -EBADMSG;
	(void)!fifo_restore(&s->out, out_head % STREAM_OUT_CAP, out_tail - out_head);
	(void)!fifo_restore(&s->in, in_head % STREAM_IN_CAP, in_tail - in_head);
	s->out_tail = out_tail;
	s->in_head = in_head;
	s->expected = peer;
	atomic_store(&p->out_head, out_head);
	atomic_store(&p->in_tail, in_tail);
	return 0;
}

void stream_close(struct stream *s)
{
	detach(s);
	closep(&s->fd);
}

int stream_attach(struct stream *s, int fd)
{
	struct loop_source probe = { .fd = -1 };
	int r = fd_only_nonblock(fd);

	if (r < 0)
		return r;
	r = loop_add(s->loop, &probe, fd, EPOLLIN | EPOLLOUT, on_stream, s);
	if (r < 0)
		return r;
	loop_remove(s->loop, &probe);
	if (s->attached)
		detach(s);
	closep(&s->fd);
	r = loop_add(s->loop, &s->src, fd, EPOLLIN | EPOLLOUT, on_stream, s);
	if (r < 0)
		return r;
	s->fd = fd;
	s->attached = true;
	s->expected = false;
	progress(s);
	s->in_ended = false;
	return 0;
}

size_t stream_room(const struct stream *s)
{
	size_t space = fifo_space(&s->out);

	if (!flows(s))
		return SIZE_MAX;
	return space > STREAM_RESERVE ? space - STREAM_RESERVE : 0;
}

size_t stream_put(struct stream *s, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	size_t done = 0;

	do {
		size_t n = fifo_put(&s->out, bytes + done, len - done);

		s->out_tail += n;
		done += n;
		trim_scrollback(s);
	} while (done < len && !flows(s));
	return done;
}

size_t stream_peek(const struct stream *s, void *data, size_t len)
{
	struct iovec iov[2];
	int n = fifo_peek(&s->in, iov);
	size_t done = 0;

	for (int i = 0; i < n && done < len; i++) {
		size_t piece = len - done < iov[i].iov_len ? len - done : iov[i].iov_len;

		memcpy((uint8_t *)data + done, iov[i].iov_base, piece);
		done += piece;
	}
	return done;
}

void stream_skip(struct stream *s, size_t len)
{
	s->in_head += fifo_drop(&s->in, len);
}

size_t stream_get(struct stream *s, void *data, size_t len)
{
	size_t n = fifo_get(&s->in, data, len);

	s->in_head += n;
	return n;
}

bool stream_holds(const struct stream *s)
{
	return flows(s) && stream_room(s) == 0;
}

bool stream_tick(struct stream *s, uint64_t periods)
{
	send_all(s); /* epoll tells of room when there is much of it; here any counts */
	if (!stream_holds(s)) {
		s->quiet = 0;
		return false;
	}
	s->quiet += periods;
	s->stalled = s->quiet >= s->hold;
	trim_scrollback(s);
	return s->stalled;
}

void stream_finish(struct stream *s, int idle_ms)
{
	struct timespec idle = { .tv_sec = idle_ms / 1000, .tv_nsec = idle_ms % 1000 * 1000000L };

	for (;;) {
		struct pollfd p = { .fd = s->fd, .events = POLLOUT };

		send_all(s);
		if (!s->attached || !fifo_used(&s->out))
			return;
		if (ppoll(&p, 1, &idle, NULL) == 0)
			return;
	}
}
