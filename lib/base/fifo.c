/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded byte FIFO; see fifo.h. */
#include "lib/base/fifo.h"

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

int fifo_peek(const struct fifo *f, struct iovec iov[2])
{
	size_t first = min_size(f->used, f->cap - f->head);

	if (!f->used)
		return 0;
	iov[0] = (struct iovec){ f->data + f->head, first };
	if (first == f->used)
		return 1;
	iov[1] = (struct iovec){ f->data, f->used - first };
	return 2;
}
