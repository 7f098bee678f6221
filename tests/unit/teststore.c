/* SPDX-License-Identifier: Apache-2.0 */
/* See teststore.h. */
#include "teststore.h"

#include "lib/image/iov.h"

#include <stdlib.h>
#include <string.h>

static struct memory *memory_of(struct store *s)
{
	return (struct memory *)s; /* its first member */
}

static void note(struct memory *m, struct deed d)
{
	if (!m->logs)
		return;
	d.other = m->logs_to;
	if (m->logs_to)
		m = m->logs_to;
	if (m->beside) {
		d.beside = malloc(m->beside_len);
		memcpy(d.beside, m->beside, m->beside_len);
	}
	if (m->n_log == m->cap_log) {
		m->cap_log = m->cap_log ? 2 * m->cap_log : 1024;
		m->log = realloc(m->log, m->cap_log * sizeof(*m->log));
	}
	m->log[m->n_log++] = d;
}

static int error_of(struct memory *m)
{
	int r = m->fail;

	if (r && m->fail_after) {
		m->fail_after--;
		return 0;
	}
	if (m->fail_once)
		m->fail = 0;
	return r;
}

static ssize_t read_memory(struct store *s, const struct iovec *iov, size_t n, uint64_t offset)
{
	struct memory *m = memory_of(s);
	uint64_t len = iov_bytes(iov, n), there = offset < s->size ? s->size - offset : 0;

	if (there > len)
		there = len;
	if (there)
		iov_fill(iov, n, 0, m->bytes + offset, there);
	iov_zero(iov, n, there, len - there);
	return (ssize_t)there;
}

void memory_do(struct memory *m, const struct deed *d, uint64_t len)
{
	uint64_t end = d->offset + len;

	switch (d->kind) {
	case DEED_WRITE:
		memcpy(m->bytes + d->offset, d->bytes, len);
		if (m->store.size < end)
			m->store.size = end;
		break;
	case DEED_PUNCH:
		if (d->offset < m->store.size)
			memset(m->bytes + d->offset, 0,
			       end < m->store.size ? len : m->store.size - d->offset);
		break;
	case DEED_TRUNCATE:
		if (d->offset < m->store.size)
			memset(m->bytes + d->offset, 0, m->store.size - d->offset);
		m->store.size = d->offset;
		break;
	case DEED_FLUSH:
		break;
	}
}

static int do_and_note(struct memory *m, struct deed d)
{
	int r = error_of(m);

	if (r < 0) {
		free(d.bytes);
		return r;
	}
	memory_do(m, &d, d.len);
	note(m, d);
	if (!m->logs)
		free(d.bytes);
	return 0;
}

static int write_memory(struct store *s, const struct iovec *iov, size_t n, uint64_t offset)
{
	struct memory *m = memory_of(s);
	struct deed d = { .kind = DEED_WRITE, .offset = offset, .len = iov_bytes(iov, n) };

	if (offset > m->max || d.len > m->max - offset)
		return -EFBIG;
	if (!d.len)
		return 0;
	d.bytes = malloc(d.len);
	iov_take(iov, n, 0, d.bytes, d.len);
	return do_and_note(m, d);
}

static int flush_memory(struct store *s)
{
	return do_and_note(memory_of(s), (struct deed){ .kind = DEED_FLUSH });
}

static int punch_memory(struct store *s, uint64_t offset, uint64_t len)
{
	if (memory_of(s)->no_holes)
		return -EOPNOTSUPP;
	return do_and_note(memory_of(s),
			   (struct deed){ .kind = DEED_PUNCH, .offset = offset, .len = len });
}

static int truncate_memory(struct store *s, uint64_t size)
{
	if (size > memory_of(s)->max)
		return -EFBIG;
	return do_and_note(memory_of(s), (struct deed){ .kind = DEED_TRUNCATE, .offset = size });
}

static void close_memory(struct store *s)
{
	(void)s;
}

static const struct store_ops memory_ops = {
	.readv = read_memory,
	.writev = write_memory,
	.flush = flush_memory,
	.punch = punch_memory,
	.truncate = truncate_memory,
	.close = close_memory,
};

void memory_open(struct memory *m, uint64_t max)
{
	*m = (struct memory){ .store.ops = &memory_ops, .max = max, .bytes = calloc(1, max) };
}

void memory_free(struct memory *m)
{
	for (size_t i = 0; i < m->n_log; i++) {
		free(m->log[i].bytes);
		free(m->log[i].beside);
	}
	free(m->log);
	free(m->bytes);
	*m = (struct memory){ 0 };
}

void memory_copy(struct memory *to, const struct memory *from)
{
	if (to->store.size > from->store.size)
		memset(to->bytes + from->store.size, 0, to->store.size - from->store.size);
	memcpy(to->bytes, from->bytes, from->store.size);
	to->store.size = from->store.size;
}
