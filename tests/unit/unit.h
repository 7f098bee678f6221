/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes: cmocka with what it needs before it, and a few helpers. */
#ifndef BULKHEAD_TESTS_UNIT_UNIT_H
#define BULKHEAD_TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

/* How many descriptors are open; the one that counts is counted always. */
static inline int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static inline void make_pair(int type, int s[2])
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, s), 0);
}

static inline int make_event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static inline void close_pair(int s[2])
{
	closep(&s[0]);
	closep(&s[1]);
}

/* A small generator, so that random tests are the same everywhere. */
static inline uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*state >> 33);
}

#endif
