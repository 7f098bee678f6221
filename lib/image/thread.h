/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/image: how its threads are started, and woken by eventfds. */
#ifndef BULKHEAD_IMAGE_THREAD_H
#define BULKHEAD_IMAGE_THREAD_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/* stack: bytes. 0 or a negative errno. */
[[nodiscard]] static inline int thread_start(pthread_t *ret, size_t stack, void *(*run)(void *arg),
					     void *arg)
{
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, stack);
	r = pthread_create(ret, &attr, run, arg);
	pthread_attr_destroy(&attr);
	return -r;
}

/* Counts n in the eventfd. */
static inline void event_count(int fd, uint64_t n)
{
	(void)!write(fd, &n, sizeof(n));
}

/* What the eventfd has counted, for which a blocking one waits; 0: nothing, or the host's error. */
[[nodiscard]] static inline uint64_t event_take(int fd)
{
	uint64_t n;
	ssize_t r;

	do
		r = read(fd, &n, sizeof(n));
	while (r < 0 && errno == EINTR);
	return r == sizeof(n) ? n : 0;
}

#endif
