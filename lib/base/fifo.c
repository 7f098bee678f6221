/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded byte FIFO; see fifo.h. */
#include "lib/base/fifo.h"

#include <errno.h>
#include <string.h>

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

void fifo_init(struct fifo *f, void *data, size_t cap)
{
	*f = (struct fifo){ .data = data, .cap = cap };
}

void fifo_clear(struct fifo *f)
{
	f->head = 0;
	f->used = 0;
}

int fifo_restore(struct fifo *f, size_t head, size_t used)
{
	if (head >= f->cap || used > f->cap)
		return -EINVAL;
	f->head = head;
	f->used = used;
	return 0;
}

size_t fifo_put(struct fifo *f, const void *data, size_t len)
{
	size_t n = min_size(len, fifo_space(f));
	size_t tail = (f->head + f->used) % f->cap;
	size_t first = min_size(n, f->cap - tail);

	if (!n)
		return 0;
	memcpy(f->data + tail, data, first);
	memcpy(f->data, (const uint8_t *)data + first, n - first);
	f->used += n;
	return n;
}

size_t fifo_get(struct fifo *f, void *data, size_t len)
{
	size_t n = min_size(len, f->used);
	size_t first = min_size(n, f->cap - f->head);

	if (!n)
		return 0;
	memcpy(data, f->data + f->head, first);
	memcpy((uint8_t *)data + first, f->data, n - first);
	return fifo_drop(f, n);
}

size_t fifo_drop(struct fifo *f, size_t len)
{
	size_t n = min_size(len, f->used);

	f->head = (f->head + n) % f->cap;
	f->used -= n;
	return n;
}

/* len bytes from the index on, round the end. */
static int pieces(const struct fifo *f, size_t from, size_t len, struct iovec iov[2])
{
	size_t first = min_size(len, f->cap - from);

	if (!len)
		return 0;
	iov[0] = (struct iovec){ f->data + from, first };
	if (first == len)
		return 1;
	iov[1] = (struct iovec){ f->data, len - first };
	return 2;
}

int fifo_peek(const struct fifo *f, struct iovec iov[2])
{
	return pieces(f, f->head, f->used, iov);
}

int fifo_room(const struct fifo *f, struct iovec iov[2])
{
	return pieces(f, (f->head + f->used) % f->cap, fifo_space(f), iov);
}

void fifo_filled(struct fifo *f, size_t len)
{
	f->used += min_size(len, fifo_space(f));
}
