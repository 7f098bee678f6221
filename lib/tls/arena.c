/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libssl's memory: blocks of powers of two out of one mapping, with a list of free ones for each size. What is given
 * back is wiped. It takes no call, and its end is an error of the connection.
 */
#include "lib/tls/tls.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define SMALLEST 5U /* 32 bytes, with the header */
#define LARGEST 20U

/* Before each block; keeps the alignment of malloc. */
struct header {
	union {
		size_t size; /* 2 to the power of it, with the header */
		struct header *next;
	};
	uint64_t pad;
};
_Static_assert(sizeof(struct header) == 16, "malloc's alignment");

static uint8_t *arena;
static size_t used;
static struct header *free_ones[LARGEST + 1];

static unsigned int class_of(size_t len)
{
	unsigned int c = SMALLEST;

	while (c <= LARGEST && ((size_t)1 << c) - sizeof(struct header) < len)
		c++;
	return c;
}

static void *allocate(size_t len, const char *file, int line)
{
	unsigned int c = class_of(len);
	struct header *h;

	(void)file;
	(void)line;
	if (!arena || len == 0 || c > LARGEST)
		return NULL;
	h = free_ones[c];
	if (h) {
		free_ones[c] = h->next;
	} else {
		if (TLS_ARENA - used < (size_t)1 << c)
			return NULL;
		h = (void *)(arena + used);
		used += (size_t)1 << c;
	}
	h->size = c;
	return h + 1;
}

static void release(void *p, const char *file, int line)
{
	struct header *h = p;
	size_t c;

	(void)file;
	(void)line;
	if (!p)
		return;
	c = (--h)->size;
	explicit_bzero(h, (size_t)1 << c);
	h->next = free_ones[c];
	free_ones[c] = h;
}

static void *reallocate(void *p, size_t len, const char *file, int line)
{
	size_t room;
	void *new;

	if (!p)
		return allocate(len, file, line);
	if (len == 0) {
		release(p, file, line);
		return NULL;
	}
	room = ((size_t)1 << ((struct header *)p - 1)->size) - sizeof(struct header);
	if (len <= room)
		return p;
	new = allocate(len, file, line);
	if (new) {
		memcpy(new, p, room);
		release(p, file, line);
	}
	return new;
}

int tls_arena_open(void)
{
	arena = mmap(NULL, TLS_ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED) {
		arena = NULL;
		return -errno;
	}
	if (madvise(arena, TLS_ARENA, MADV_DONTDUMP) < 0 || mlock(arena, TLS_ARENA) < 0)
		return -errno;
	return CRYPTO_set_mem_functions(allocate, reallocate, release) ? 0 : -EINVAL;
}
