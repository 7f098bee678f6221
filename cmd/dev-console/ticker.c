/* SPDX-License-Identifier: Apache-2.0 */
/* Time by a timer that is only read; see ticker.h. */
#include "cmd/dev-console/ticker.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* The periods since it was last read, and with that the next one begins; 0: none is over. */
static uint64_t take(struct ticker *t)
{
	uint64_t periods = 0;

	return read(t->src.fd, &periods, sizeof(periods)) == sizeof(periods) ? periods : 0;
}

static int on_timer(struct loop_source *src, uint32_t events)
{
	struct ticker *t = src->owner;
	uint64_t periods = take(t);

	(void)events;
	if (periods)
		t->fn(t->owner, periods);
	return 0;
}

int ticker_open(struct ticker *t, struct loop *l, uint64_t period_ns,
		void (*fn)(void *owner, uint64_t periods), void *owner)
{
	const struct timespec period = { .tv_sec = (time_t)(period_ns / 1000000000U),
					 .tv_nsec = (long)(period_ns % 1000000000U) };
	const struct itimerspec spec = { .it_interval = period, .it_value = period };
	_cleanup_(closep) int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int r;

	if (fd < 0 || timerfd_settime(fd, 0, &spec, NULL) < 0)
		return -errno;
	*t = (struct ticker){ .loop = l, .src = { .fd = -1 }, .fn = fn, .owner = owner };
	r = loop_add(l, &t->src, fd, 0, on_timer, t);
	if (r < 0)
		return r;
	(void)take_fd(&fd);
	return 0;
}

void ticker_close(struct ticker *t)
{
	int fd = t->src.fd;

	loop_remove(t->loop, &t->src);
	closep(&fd);
}

int ticker_set(struct ticker *t, bool on)
{
	if (on && !t->src.events)
		(void)!take(t); /* what passed before does not count */
	return loop_set(t->loop, &t->src, on ? EPOLLIN : 0);
}
