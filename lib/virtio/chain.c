/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor chains: the walk that snapshots one, and access to its parts; see virtqueue.h. */
#include "lib/virtio/ring.h"

#include "lib/base/checked.h"

#include <errno.h>

/* One descriptor table: the ring's own, or an indirect one. */
struct table {
	gpa_t gpa;
	uint32_t n; /* descriptors; also the longest chain */
};

static int add_piece(struct virtq *vq, struct virtq_chain *c, const struct virtq_desc *d)
{
	bool writable = d->flags & VIRTQ_DESC_F_WRITE;
	uint32_t n = (uint32_t)c->n_readable + c->n_writable;
	uint64_t end;

	if (!d->len)
		return virtq_break(vq, "zero-length descriptor");
	if (!u64_add(d->addr, d->len, &end))
		return virtq_break(vq, "descriptor wraps");
	if (!writable && c->n_writable)
		return virtq_break(vq, "readable descriptor after a writable one");
	if (n == VIRTQ_CHAIN_MAX)
		return virtq_break(vq, "too many descriptors in a chain");
	c->piece[n] = (struct virtq_piece){ GPA(d->addr), d->len };
	if (writable) {
		c->n_writable++;
		c->writable_len += d->len;
	} else {
		c->n_readable++;
		c->readable_len += d->len;
	}
	if (c->readable_len + c->writable_len > VIRTQ_CHAIN_LEN_MAX)
		return virtq_break(vq, "chain above 4 GiB");
	return 0;
}

static int read_desc(struct virtq *vq, const struct table *t, uint32_t index,
		     struct virtq_desc *ret)
{
	uint64_t gpa;

	/* an indirect table's address is the guest's */
	if (!u64_add(t->gpa.v, 16ULL * index, &gpa) ||
	    guest_read(vq->mem, GPA(gpa), ret, sizeof(*ret)) < 0)
		return virtq_break(vq, "descriptor table is not RAM");
	return 0;
}

/*
 * Follows one table from index on. 0 when the chain ended; 1 when it ended in an indirect
 * descriptor, left in *last.
 */
static int walk_table(struct virtq *vq, const struct table *t, uint32_t index,
		      struct virtq_chain *c, struct virtq_desc *last, uint32_t *steps)
{
	for (uint32_t i = 0; i < t->n; i++) {
		int r;

		if (index >= t->n)
			return virtq_break(vq, "descriptor index out of range");
		r = read_desc(vq, t, index, last);
		if (r < 0)
			return r;
		(*steps)++;
		if (last->flags & VIRTQ_DESC_F_INDIRECT)
			return 1;
		r = add_piece(vq, c, last);
		if (r < 0)
			return r;
		if (!(last->flags & VIRTQ_DESC_F_NEXT))
			return 0;
		index = last->next;
	}
	return virtq_break(vq, "descriptor chain loops");
}

/* 2.7.5.3: what an indirect descriptor may be. */
static int check_indirect(struct virtq *vq, const struct virtq_desc *d, struct table *ret)
{
	if (!vq->layout.indirect)
		return virtq_break(vq, "indirect descriptor was not negotiated");
	if (d->flags & VIRTQ_DESC_F_NEXT)
		return virtq_break(vq, "indirect descriptor with NEXT");
	if (!d->len || d->len % sizeof(struct virtq_desc))
		return virtq_break(vq, "indirect table of an odd size");
	if (d->len / sizeof(struct virtq_desc) > VIRTQ_CHAIN_MAX)
		return virtq_break(vq, "indirect table too large");
	*ret = (struct table){ GPA(d->addr), (uint32_t)(d->len / sizeof(struct virtq_desc)) };
	return 0;
}

int virtq_walk(struct virtq *vq, uint16_t head, struct virtq_chain *c, uint32_t *ret_steps)
{
	struct table t = { vq->layout.desc, vq->layout.size };
	struct virtq_desc last = { 0 };
	uint32_t steps = 0;
	int r;

	c->mem = vq->mem;
	c->head = head;
	c->n_readable = c->n_writable = 0;
	c->readable_len = c->writable_len = 0;
	r = walk_table(vq, &t, head, c, &last, &steps);
	if (r == 1) {
		r = check_indirect(vq, &last, &t);
		if (r < 0)
			return r;
		r = walk_table(vq, &t, 0, c, &last, &steps);
		if (r == 1)
			return virtq_break(vq, "nested indirect descriptor");
	}
	if (r < 0)
		return r;
	*ret_steps = steps;
	return 0;
}

/* A run of pieces, and what to do with each stretch of it that a caller asked for. */
struct part {
	const struct virtq_piece *piece;
	size_t n;
	uint64_t len;
};

static struct part readable_part(const struct virtq_chain *c)
{
	return (struct part){ c->piece, c->n_readable, c->readable_len };
}

static struct part writable_part(const struct virtq_chain *c)
{
	return (struct part){ c->piece + c->n_readable, c->n_writable, c->writable_len };
}

/* Moves on to the stretch of [*offset, *offset + *len) that lies in the next piece. False when
 * nothing is left. */
static bool next_stretch(struct part *p, uint64_t *offset, uint64_t *len, gpa_t *ret_gpa,
			 uint64_t *ret_len)
{
	while (p->n && *offset >= p->piece->len) {
		*offset -= p->piece->len;
		p->piece++;
		p->n--;
	}
	if (!p->n || !*len)
		return false;
	*ret_gpa = GPA(p->piece->gpa.v + *offset);
	*ret_len = p->piece->len - *offset;
	if (*ret_len > *len)
		*ret_len = *len;
	*offset += *ret_len;
	*len -= *ret_len;
	return true;
}

int virtq_chain_read(const struct virtq_chain *c, uint64_t offset, void *out, size_t len)
{
	struct part p = readable_part(c);
	uint64_t left = len, n;
	uint8_t *at = out;
	gpa_t gpa;

	if (!range_within(offset, len, p.len))
		return -EMSGSIZE;
	while (next_stretch(&p, &offset, &left, &gpa, &n)) {
		int r = guest_read(c->mem, gpa, at, n);

		if (r < 0)
			return r;
		at += n;
	}
	return 0;
}

int virtq_chain_write(const struct virtq_chain *c, uint64_t offset, const void *data, size_t len)
{
	struct part p = writable_part(c);
	const uint8_t *at = data;
	uint64_t left = len, n;
	gpa_t gpa;

	if (!range_within(offset, len, p.len))
		return -EMSGSIZE;
	while (next_stretch(&p, &offset, &left, &gpa, &n)) {
		int r = guest_write(c->mem, gpa, at, n);

		if (r < 0)
			return r;
		at += n;
	}
	return 0;
}

static int part_iov(const struct virtq_chain *c, struct part p, uint64_t offset, uint64_t len,
		    struct iovec *iov, size_t *n_iov, size_t max)
{
	size_t n_new = *n_iov;
	uint64_t n;
	gpa_t gpa;

	if (!range_within(offset, len, p.len))
		return -EMSGSIZE;
	while (next_stretch(&p, &offset, &len, &gpa, &n)) {
		int r = guest_iov(c->mem, gpa, n, iov, &n_new, max);

		if (r < 0)
			return r;
	}
	*n_iov = n_new;
	return 0;
}

int virtq_chain_readable_iov(const struct virtq_chain *c, uint64_t offset, uint64_t len,
			     struct iovec *iov, size_t *n_iov, size_t max)
{
	return part_iov(c, readable_part(c), offset, len, iov, n_iov, max);
}

int virtq_chain_writable_iov(const struct virtq_chain *c, uint64_t offset, uint64_t len,
			     struct iovec *iov, size_t *n_iov, size_t max)
{
	return part_iov(c, writable_part(c), offset, len, iov, n_iov, max);
}
