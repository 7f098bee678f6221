/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that look random and are the same everywhere, and a sum over what was computed. */
#ifndef NEXT_H
#define NEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next_state = 88172645463325252U;

static inline uint64_t next(void)
{
	next_state ^= next_state << 13;
	next_state ^= next_state >> 7;
	next_state ^= next_state << 17;
	return next_state;
}

/* FNV-1a, 64 bits. */
static uint64_t sum_value = 14695981039346656037U;

static inline void sum(const void *bytes, size_t n)
{
	for (const unsigned char *p = bytes; n; n--, p++)
		sum_value = (sum_value ^ *p) * 1099511628211U;
}

#define SUM(x)                                \
	do {                                  \
		__typeof__(x) sum_it = (x);   \
		sum(&sum_it, sizeof(sum_it)); \
	} while (0)

/* Prints the sum under a name and begins a new one. */
static inline void sum_show(const char *name)
{
	printf("%s %016llx\n", name, (unsigned long long)sum_value);
	sum_value = 14695981039346656037U;
}

static inline int scale(void)
{
	const char *s = getenv("SCALE");

	return s ? atoi(s) : 1;
}

#endif
