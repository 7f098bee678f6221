/* SPDX-License-Identifier: Apache-2.0 */
/* A tap by its descriptor; see tap.h. */
#include "cmd/dev-net/tap.h"

#include "lib/base/fd.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

static void go_down(struct tap *t)
{
	loop_remove(t->loop, &t->src);
	closep(&t->fd);
	t->out_len = 0;
}

/* Of its header, as read and write have it. */
static size_t header_len(const struct tap *t)
{
	return t->bare ? 0 : sizeof(struct net_header);
}

static uint8_t *start_of(const struct tap *t, struct tap_frame *f)
{
	return (uint8_t *)f + sizeof(f->header) - header_len(t);
}

/* What the kernel says of a frame alone is the frame's; of the tap, that it was removed. */
static void send_waiting(struct tap *t)
{
	if (!t->out_len || t->fd < 0)
		return;
	if (write(t->fd, start_of(t, &t->out), header_len(t) + t->out_len) < 0) {
		if (errno == EAGAIN)
			return;
		if (errno == EBADFD)
			go_down(t);
	}
	t->out_len = 0;
}

struct tap_frame *tap_claim(struct tap *t)
{
	send_waiting(t);
	t->waiting = t->out_len != 0;
	return t->waiting ? NULL : &t->out;
}

void tap_commit(struct tap *t, size_t len)
{
	t->out_len = len;
	send_waiting(t);
}

struct tap_frame *tap_peek(struct tap *t, size_t *ret_len)
{
	ssize_t n;

	while (!t->in_len && t->fd >= 0) {
		n = read(t->fd, start_of(t, &t->in), header_len(t) + sizeof(t->in.bytes));
		if (n > (ssize_t)header_len(t))
			t->in_len = (size_t)n - header_len(t);
		else if (n < 0 && errno == EAGAIN)
			return NULL;
		else if (n == 0 || (n < 0 && errno != EINTR))
			go_down(t);
	}
	*ret_len = t->in_len;
	return t->in_len ? &t->in : NULL;
}

void tap_skip(struct tap *t)
{
	t->in_len = 0;
}

int tap_settle(struct tap *t)
{
	uint32_t events = 0;

	if (t->fd < 0)
		return 0;
	if (t->waiting || t->out_len)
		events |= EPOLLOUT;
	if (!t->in_len)
		events |= EPOLLIN;
	return loop_set(t->loop, &t->src, events);
}

static int on_tap(struct loop_source *src, uint32_t events)
{
	struct tap *t = src->owner;
	size_t len;

	(void)!tap_peek(t, &len);
	/* it was removed: no read would say so while a frame waits */
	if (events & (EPOLLERR | EPOLLHUP) && t->fd >= 0)
		go_down(t);
	send_waiting(t);
	t->waiting = false;
	t->on_event(t->owner);
	return tap_settle(t);
}

int tap_open(struct tap *t, struct loop *loop, int fd, void (*on_event)(void *owner), void *owner)
{
	int r;

	t->loop = loop;
	t->src = (struct loop_source){ .fd = -1 };
	t->fd = -1;
	t->waiting = false;
	t->in_len = t->out_len = 0;
	t->in.header = (struct net_header){ 0 }; /* as that of every bare frame */
	t->on_event = on_event;
	t->owner = owner;
	r = loop_add(loop, &t->src, fd, EPOLLIN, on_tap, t);
	if (r == 0)
		t->fd = fd;
	return r;
}

void tap_close(struct tap *t)
{
	loop_remove(t->loop, &t->src);
	closep(&t->fd);
}
