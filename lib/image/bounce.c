/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned buffers; see bounce.h. */
#include "lib/image/bounce.h"

#include <errno.h>
#include <sys/mman.h>

int bounce_open(struct bounce *b)
{
	void *p = mmap(NULL, (size_t)BOUNCE_BUFFERS * BOUNCE_LEN, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	*b = (struct bounce){ .memory = p, .free = (1U << BOUNCE_BUFFERS) - 1 };
	return 0;
}

void bounce_close(struct bounce *b)
{
	if (b->memory)
		munmap(b->memory, (size_t)BOUNCE_BUFFERS * BOUNCE_LEN);
	*b = (struct bounce){ 0 };
}

uint8_t *bounce_take(struct bounce *b)
{
	unsigned int i;

	if (!b->free)
		return NULL;
	i = (unsigned int)__builtin_ctz(b->free);
	b->free &= b->free - 1;
	return b->memory + (size_t)i * BOUNCE_LEN;
}

void bounce_give(struct bounce *b, const uint8_t *buffer)
{
	b->free |= 1U << (size_t)(buffer - b->memory) / BOUNCE_LEN;
}

bool bounce_needed(const struct iovec *iov, size_t n_iov, size_t mask)
{
	for (size_t i = 0; i < n_iov; i++)
		if (((uintptr_t)iov[i].iov_base | iov[i].iov_len) & mask)
			return true;
	return false;
}
