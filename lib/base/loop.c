/* SPDX-License-Identifier: Apache-2.0 */
/* A small epoll loop; see loop.h. */
#include "lib/base/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

int loop_open(struct loop *l)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	*l = (struct loop){ .epfd = fd };
	return 0;
}

void loop_close(struct loop *l)
{
	if (l->epfd >= 0)
		close(l->epfd);
	l->epfd = -1;
}

int loop_add(struct loop *l, struct loop_source *src, int fd, uint32_t events, loop_fn fn,
	     void *owner)
{
	struct epoll_event e = { .events = events, .data.ptr = src };

	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &e) < 0)
		return -errno;
	*src = (struct loop_source){ .fd = fd, .events = events, .fn = fn, .owner = owner };
	return 0;
}

int loop_set(struct loop *l, struct loop_source *src, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = src };

	if (src->events == events)
		return 0;
	if (epoll_ctl(l->epfd, EPOLL_CTL_MOD, src->fd, &e) < 0)
		return -errno;
	src->events = events;
	return 0;
}

void loop_remove(struct loop *l, struct loop_source *src)
{
	if (src->fd < 0)
		return;
	epoll_ctl(l->epfd, EPOLL_CTL_DEL, src->fd, NULL);
	src->fd = -1;
	for (int i = 0; i < l->n_batch; i++)
		if (l->batch[i] == src)
			l->batch[i] = NULL;
}

void loop_stop(struct loop *l, int status)
{
	l->stopped = true;
	l->status = status;
}

int loop_run_once(struct loop *l, int timeout_ms)
{
	struct epoll_event ev[LOOP_BATCH];
	int n, r = 0;

	if (timeout_ms && l->idle && l->idle(l->idle_owner))
		timeout_ms = 0;
	if (l->stopped)
		return 0;
	n = epoll_wait(l->epfd, ev, LOOP_BATCH, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++)
		l->batch[i] = ev[i].data.ptr;
	l->n_batch = n;
	for (int i = 0; i < n && r >= 0 && !l->stopped; i++)
		if (l->batch[i])
			r = l->batch[i]->fn(l->batch[i], ev[i].events);
	l->n_batch = 0;
	return r < 0 ? r : 0;
}

int loop_run(struct loop *l)
{
	while (!l->stopped) {
		int r = loop_run_once(l, -1);

		if (r < 0)
			return r;
	}
	return l->status;
}
