/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of eventfds and timers, taken without waiting. */
#ifndef BULKHEAD_VMM_EVENT_H
#define BULKHEAD_VMM_EVENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * The count of an eventfd that somebody else has, too: who can take O_NONBLOCK off it, and its count
 * between a look and a read, cannot make this wait. False: there is none.
 */
[[nodiscard]] static inline bool event_take(int fd)
{
	uint64_t count;
	const struct iovec iov = { &count, sizeof(count) };

	return preadv2(fd, &iov, 1, -1, RWF_NOWAIT) == sizeof(count);
}

/* The count of a non-blocking descriptor that is ours alone, a timer's too. False: there was none. */
static inline bool event_clear(int fd)
{
	uint64_t count;
	const struct iovec iov = { &count, sizeof(count) };

	return preadv2(fd, &iov, 1, -1, 0) == sizeof(count);
}

#endif
