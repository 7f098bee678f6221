/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded byte FIFO over memory that the owner provides. Nothing here ever writes past the
 * capacity: a put takes what fits and says how much that was.
 */
#ifndef BULKHEAD_BASE_FIFO_H
#define BULKHEAD_BASE_FIFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct fifo {
	uint8_t *data;
	size_t cap;  /* bytes */
	size_t head; /* index of the oldest byte, below cap */
	size_t used; /* bytes, at most cap */
};

/* cap must not be 0. */
void fifo_init(struct fifo *f, void *data, size_t cap);
void fifo_clear(struct fifo *f);
/* As one that holds the used bytes from head on. 0, or -EINVAL where that cannot be: nothing is done. */
[[nodiscard]] int fifo_restore(struct fifo *f, size_t head, size_t used);
static inline size_t fifo_used(const struct fifo *f)
{
	return f->used;
}
static inline size_t fifo_space(const struct fifo *f)
{
	return f->cap - f->used;
}

/* Takes at most len bytes from data and returns how many it took. */
[[nodiscard]] size_t fifo_put(struct fifo *f, const void *data, size_t len);
/* Gives at most len bytes, removes them, and returns how many it gave. */
[[nodiscard]] size_t fifo_get(struct fifo *f, void *data, size_t len);
/* Drops at most len of the oldest bytes and returns how many it dropped. */
size_t fifo_drop(struct fifo *f, size_t len);
/* The used bytes, oldest first, as at most two pieces; returns how many pieces. */
[[nodiscard]] int fifo_peek(const struct fifo *f, struct iovec iov[2]);
/* The free bytes in the order in which they are filled, as fifo_peek; then that so many of them were
 * filled, at most all. */
[[nodiscard]] int fifo_room(const struct fifo *f, struct iovec iov[2]);
void fifo_filled(struct fifo *f, size_t len);

#endif
