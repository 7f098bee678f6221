/* SPDX-License-Identifier: Apache-2.0 */
/* The console's stream; see stream.h. */
#include "cmd/dev-console/stream.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Whether output waits for a peer that takes it. */
static bool flows(const struct stream *s)
{
	return s->attached && !s->stalled;
}

static void trim_scrollback(struct stream *s)
{
	size_t n;

	if (flows(s) || fifo_used(&s->out) <= STREAM_SCROLLBACK)
		return;
	n = fifo_drop(&s->out, fifo_used(&s->out) - STREAM_SCROLLBACK);
	if (s->attached)
		s->dropped += n;
}

/* The peer takes no more. The descriptor stays for what it has said. */
static void detach(struct stream *s)
{
	loop_remove(s->loop, &s->src);
	s->attached = false;
	s->stalled = false;
	trim_scrollback(s);
}

/* The peer has taken something. */
static void progress(struct stream *s)
{
	s->quiet = 0;
	s->stalled = false;
}

static void send_all(struct stream *s)
{
	struct iovec iov[2];

	while (s->attached && fifo_peek(&s->out, iov) > 0) {
		size_t len = iov[0].iov_len < STREAM_SEND_MAX ? iov[0].iov_len : STREAM_SEND_MAX;
		ssize_t n = write(s->fd, iov[0].iov_base, len);

		if (n >= 0) {
			fifo_drop(&s->out, (size_t)n);
			progress(s);
		} else if (errno == EAGAIN)
			return;
		else if (errno != EINTR)
			detach(s);
	}
}

void stream_receive(struct stream *s)
{
	uint8_t chunk[STREAM_IN_CAP];

	while (s->fd >= 0 && !s->in_ended && fifo_space(&s->in)) {
		ssize_t n = read(s->fd, chunk, fifo_space(&s->in));

		if (n > 0)
			(void)!fifo_put(&s->in, chunk, (size_t)n);
		else if (n < 0 && errno == EAGAIN)
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

void stream_init(struct stream *s, struct loop *l, uint64_t hold, void (*on_event)(void *owner),
		 void *owner)
{
	s->loop = l;
	s->hold = hold;
	s->quiet = s->dropped = 0;
	s->stalled = false;
	s->on_event = on_event;
	s->owner = owner;
	s->src.fd = -1;
	s->fd = -1;
	s->attached = false;
	s->in_ended = true;
	s->wanted = false;
	fifo_init(&s->out, s->out_buf, sizeof(s->out_buf));
	fifo_init(&s->in, s->in_buf, sizeof(s->in_buf));
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
	stream_close(s);
	r = loop_add(s->loop, &s->src, fd, EPOLLIN | EPOLLOUT, on_stream, s);
	if (r < 0)
		return r;
	s->fd = fd;
	s->attached = true;
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

	if (flows(s))
		return fifo_put(&s->out, data, len);
	while (done < len) {
		done += fifo_put(&s->out, bytes + done, len - done);
		trim_scrollback(s);
	}
	return done;
}

size_t stream_get(struct stream *s, void *data, size_t len)
{
	return fifo_get(&s->in, data, len);
}

bool stream_holds(const struct stream *s)
{
	return s->attached && !s->stalled && stream_room(s) == 0;
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
