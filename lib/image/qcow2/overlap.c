/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where metadata lies, so that nothing else is written there: the header, the L1 and the refcount table,
 * the snapshot table and snapshots' L1 tables by their places; L2 tables and refcount blocks in a set.
 */
#include "lib/image/qcow2/internal.h"

#include <stdlib.h>

static size_t place_of(const struct cluster_set *s, uint64_t cluster)
{
	return (size_t)(cluster * 0x9e3779b97f4a7c15U >> 20) & (s->cap - 1);
}

bool cluster_set_has(const struct cluster_set *s, uint64_t cluster)
{
	size_t i = place_of(s, cluster);

	if (cluster == 0)
		return true;
	for (size_t tries = 0; tries < s->cap; tries++, i = (i + 1) & (s->cap - 1)) {
		uint64_t here = __atomic_load_n(&s->at[i], __ATOMIC_RELAXED);

		if (here == 0 || here == cluster)
			return here == cluster;
	}
	return false;
}

bool cluster_set_add(struct cluster_set *s, uint64_t cluster)
{
	size_t i = place_of(s, cluster);

	if (cluster_set_has(s, cluster))
		return false;
	if (s->n >= s->cap / 2)
		abort(); /* cap was computed so that this cannot be */
	while (s->at[i])
		i = (i + 1) & (s->cap - 1);
	__atomic_store_n(&s->at[i], cluster, __ATOMIC_RELAXED);
	s->n++;
	return true;
}

/* Moves up those that would not be found any more. */
void cluster_set_remove(struct cluster_set *s, uint64_t cluster)
{
	size_t mask = s->cap - 1, hole = place_of(s, cluster);

	if (!cluster || !cluster_set_has(s, cluster))
		return;
	while (s->at[hole] != cluster)
		hole = (hole + 1) & mask;
	for (size_t i = (hole + 1) & mask; s->at[i]; i = (i + 1) & mask) {
		size_t home = place_of(s, s->at[i]);

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		__atomic_store_n(&s->at[hole], s->at[i], __ATOMIC_RELAXED);
		hole = i;
	}
	__atomic_store_n(&s->at[hole], 0, __ATOMIC_RELAXED);
	s->n--;
}

static int add_table(struct qcow2 *q, const char *what, const struct table *t,
		     struct volume_error *e)
{
	for (uint64_t i = 0; i < t->n; i++) {
		uint64_t offset = t->at[i] & OFFSET_MASK;

		if (!offset)
			continue;
		if (q->tool && (in_cluster(q, offset) || overlap_any(q, offset, 1)))
			continue; /* found and said by the check */
		if (in_cluster(q, offset))
			return volume_fail(e, -EINVAL, "%s %llu does not begin at a cluster", what,
					   (unsigned long long)i);
		if (overlap_any(q, offset, 1))
			return volume_fail(
				e, -EINVAL,
				"%s %llu lies on other metadata (repair the image first)", what,
				(unsigned long long)i);
		(void)cluster_set_add(&q->tables, cluster_of(q, offset));
	}
	return 0;
}

static bool spans_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a_len && b_len && a < b + b_len && b < a + a_len;
}

static int check_fixed(const struct qcow2 *q, struct volume_error *e)
{
	const struct qcow2_header *h = &q->h;
	uint64_t l1_len = (uint64_t)h->l1_size * 8;
	uint64_t reftable_len = (uint64_t)h->reftable_clusters << q->cluster_bits;

	if (spans_overlap(h->l1_offset, l1_len, h->reftable_offset, reftable_len))
		return volume_fail(e, -EINVAL, "the L1 table lies on the refcount table");
	if (h->n_snapshots &&
	    (spans_overlap(h->snapshots_offset, 1, h->l1_offset, l1_len) ||
	     spans_overlap(h->snapshots_offset, 1, h->reftable_offset, reftable_len)))
		return volume_fail(e, -EINVAL, "the snapshot table lies on other metadata");
	return 0;
}

int overlap_open(struct qcow2 *q, struct volume_error *e)
{
	uint64_t blocks = q->limit / refcounts_per_block(q) + 2;
	size_t need = (size_t)(q->l1.cap + blocks) + 2;
	int r;

	for (uint64_t i = 0; i < q->reftable.n; i++)
		need += q->reftable.at[i] ? 1 : 0;
	q->tables.cap = 16;
	while (q->tables.cap < need * 2)
		q->tables.cap *= 2;
	q->tables.at = calloc(q->tables.cap, sizeof(*q->tables.at));
	if (!q->tables.at)
		return -ENOMEM;
	r = q->tool ? 0 : check_fixed(q, e);
	if (r == 0)
		r = add_table(q, "refcount block", &q->reftable, e);
	if (r == 0)
		r = add_table(q, "L2 table", &q->l1, e);
	return r;
}

void overlap_close(struct qcow2 *q)
{
	free(q->tables.at);
	q->tables = (struct cluster_set){ 0 };
}

bool overlap_any(const struct qcow2 *q, uint64_t offset, uint64_t len)
{
	const struct qcow2_header *h = &q->h;
	uint64_t first = cluster_of(q, offset), last = cluster_of(q, offset + len - 1);
	uint64_t from = first << q->cluster_bits, n = (last - first + 1) << q->cluster_bits;

	if (spans_overlap(from, n, h->l1_offset, (uint64_t)h->l1_size * 8) ||
	    spans_overlap(from, n, h->reftable_offset,
			  (uint64_t)h->reftable_clusters << q->cluster_bits))
		return true;
	for (size_t i = 0; i < q->n_spans; i++)
		if (spans_overlap(from, n, q->spans[i].offset, q->spans[i].len))
			return true;
	for (uint64_t c = first; c <= last; c++)
		if (cluster_set_has(&q->tables, c))
			return true;
	return false;
}

int overlap_check(struct qcow2 *q, uint64_t offset, uint64_t len)
{
	return overlap_any(q, offset, len) ? mark_corrupt(q) : 0;
}

/* A tool's shadow tables are checked where they are made. */
int overlap_check_page(struct qcow2 *q, uint64_t offset)
{
	const struct qcow2_header *h = &q->h;
	uint64_t c = cluster_of(q, offset);

	if (c && cluster_set_has(&q->tables, c) &&
	    !spans_overlap(c << q->cluster_bits, q->cluster_size, h->l1_offset,
			   (uint64_t)h->l1_size * 8) &&
	    !spans_overlap(c << q->cluster_bits, q->cluster_size, h->reftable_offset,
			   (uint64_t)h->reftable_clusters << q->cluster_bits))
		return 0;
	return mark_corrupt(q);
}

/* Version 2 has no place for it. The bit is written whatever else failed. */
int mark_corrupt(struct qcow2 *q)
{
	uint8_t bits[8];

	if (q->volume.readonly || q->failed)
		return -EIO;
	q->failed = -EIO;
	if (q->h.version < 3)
		return -EIO;
	q->h.incompatible |= INCOMPATIBLE_CORRUPT;
	put_be64(bits, q->h.incompatible);
	(void)!store_write(q->file, bits, sizeof(bits), H_INCOMPATIBLE);
	(void)!store_flush(q->file);
	return -EIO;
}
