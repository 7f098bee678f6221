/* SPDX-License-Identifier: Apache-2.0 */
/* Reading. */
#include "lib/image/iov.h"
#include "lib/image/qcow2/internal.h"

/* A piece of what the caller gave: bytes [from, from + len) of iov. */
struct piece {
	const struct iovec *iov;
	size_t n_iov;
	uint64_t from, len;
};

static int read_store(struct store *s, const struct piece *p, uint64_t offset)
{
	struct iovec window[WINDOW];

	for (uint64_t done = 0; done < p->len;) {
		uint64_t n = p->len - done;
		size_t used = iov_window(p->iov, p->n_iov, p->from + done, &n, window, WINDOW);
		ssize_t r = store_readv(s, window, used, offset + done);

		if (r < 0)
			return (int)r;
		done += n;
	}
	return 0;
}

/* The backing may be shorter. */
static int read_backing(struct volume *backing, const struct piece *p, uint64_t offset)
{
	uint64_t there = backing && offset < backing->size ? backing->size - offset : 0;
	struct iovec window[WINDOW];

	if (there > p->len)
		there = p->len;
	iov_zero(p->iov, p->n_iov, p->from + there, p->len - there);
	for (uint64_t done = 0; done < there;) {
		uint64_t n = there - done;
		size_t used = iov_window(p->iov, p->n_iov, p->from + done, &n, window, WINDOW);
		int r = volume_readv(backing, window, used, offset + done);

		if (r < 0)
			return r;
		done += n;
	}
	return 0;
}

static int read_compressed(struct qcow2 *q, const struct piece *p, uint64_t offset)
{
	const uint8_t *bytes;
	struct entry en;
	int r = l2_entry(q, offset, &en);

	if (r == 0)
		r = decompress(q, &en, &bytes);
	if (r == 0)
		iov_fill(p->iov, p->n_iov, p->from, bytes + in_cluster(q, offset), p->len);
	return r;
}

static int read_extent(struct qcow2 *q, const struct extent *x, const struct piece *p,
		       uint64_t offset)
{
	switch (x->kind) {
	case EXTENT_DATA:
		return read_store(x->store, p, x->offset);
	case EXTENT_ZERO:
		iov_zero(p->iov, p->n_iov, p->from, p->len);
		return 0;
	case EXTENT_HOLE:
		return read_backing(q->volume.backing, p, offset);
	case EXTENT_COMPRESSED:
		return read_compressed(q, p, offset);
	}
	return -EIO;
}

int qcow2_readv(struct volume *v, const struct iovec *iov, size_t n_iov, uint64_t offset)
{
	uint64_t len = iov_bytes(iov, n_iov);
	int r = 0;

	for (uint64_t done = 0; r == 0 && done < len;) {
		struct piece p = { .iov = iov, .n_iov = n_iov, .from = done };
		struct extent x;

		r = qcow2_map(v, offset + done, len - done, &x);
		if (r < 0)
			return r;
		p.len = x.len;
		r = read_extent(qcow2_of(v), &x, &p, offset + done);
		done += x.len;
	}
	return r;
}
