/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/image: a few aligned buffers through which requests go whose memory is not laid out as
 * O_DIRECT asks. Who finds none waits for its turn. The buffers take memory once they are used.
 */
#ifndef BULKHEAD_IMAGE_BOUNCE_H
#define BULKHEAD_IMAGE_BOUNCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define BOUNCE_BUFFERS 4U
#define BOUNCE_LEN (128U << 10) /* bytes */

struct bounce {
	uint8_t *memory;   /* NULL: there are none */
	unsigned int free; /* a bit for each */
};

/* 0 or the error of mmap. */
[[nodiscard]] int bounce_open(struct bounce *b);
void bounce_close(struct bounce *b);
/* A buffer, of whole pages, or NULL. */
[[nodiscard]] uint8_t *bounce_take(struct bounce *b);
void bounce_give(struct bounce *b, const uint8_t *buffer);

/* Whether an address or a length has one of these bits. */
[[nodiscard]] bool bounce_needed(const struct iovec *iov, size_t n_iov, size_t mask);

#endif
