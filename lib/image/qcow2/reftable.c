/* SPDX-License-Identifier: Apache-2.0 */
/* A longer refcount table; see internal.h. */
#include "lib/image/qcow2/internal.h"

/* Where it goes: behind all that the old one describes, followed by the blocks that describe it. */
struct plan {
	uint64_t first;	      /* cluster of the table */
	uint64_t n, n_blocks; /* clusters of either */
};

/* As long as the file can come to need, so that this is done once. */
static int make_plan(const struct qcow2 *q, uint64_t entries, struct plan *ret)
{
	uint64_t per_block = refcounts_per_block(q), blocks = 0, need = 1;
	uint64_t most = q->limit / per_block + 1;

	if (entries < most)
		entries = min_u64(most, q->reftable.cap);
	if (entries > q->reftable.cap)
		return -ENOSPC;
	*ret = (struct plan){ .first = q->reftable.n * per_block,
			      .n = clusters_for(q, entries * 8) };
	while (blocks < need) {
		blocks = need;
		need = (ret->n + blocks + per_block - 1) / per_block;
	}
	ret->n_blocks = blocks;
	return ret->first + ret->n + blocks <= q->limit ? 0 : -ENOSPC;
}

static int write_blocks(struct qcow2 *q, const struct plan *p)
{
	uint64_t block = p->first / refcounts_per_block(q);
	int r = 0;

	cache_change(&q->cache);
	for (uint64_t i = 0; i < p->n_blocks; i++) {
		q->reftable.at[block + i] = (p->first + p->n + i) << q->cluster_bits;
		(void)!cluster_set_add(&q->tables, p->first + p->n + i);
	}
	cache_changed(&q->cache);
	q->reftable.n = p->n * q->cluster_size / 8;
	for (uint64_t i = 0; r == 0 && i < p->n + p->n_blocks; i++)
		r = refcount_set(q, p->first + i, 1);
	return r < 0 ? r : cache_write(q, CACHE_REFCOUNTS);
}

static int write_table(struct qcow2 *q, const struct plan *p)
{
	table_dirty(&q->reftable, 0, q->reftable.n);
	return table_write(q, &q->reftable, p->first << q->cluster_bits);
}

static int switch_over(struct qcow2 *q, const struct plan *p)
{
	uint64_t old = cluster_of(q, q->h.reftable_offset), n_old = q->h.reftable_clusters;
	uint8_t bytes[12];
	int r;

	put_be64(bytes, p->first << q->cluster_bits);
	put_be32(bytes + 8, (uint32_t)p->n);
	r = header_write(q, H_REFTABLE_OFFSET, bytes, sizeof(bytes));
	if (r < 0)
		return r;
	cache_change(&q->cache);
	q->h.reftable_offset = p->first << q->cluster_bits;
	q->h.reftable_clusters = (uint32_t)p->n;
	cache_changed(&q->cache);
	return free_later(q, old, n_old);
}

static int carry_out(struct qcow2 *q, const struct plan *p)
{
	uint64_t offset = p->first << q->cluster_bits, n = p->n + p->n_blocks;
	int r = overlap_check(q, offset, n << q->cluster_bits);

	if (r == 0 && (offset < q->frontier || q->file->fixed))
		r = store_zero(q->file, offset, n << q->cluster_bits);
	if (r == 0)
		r = write_blocks(q, p);
	if (r == 0)
		r = write_table(q, p);
	if (r == 0)
		r = barrier(q);
	if (r == 0)
		r = switch_over(q, p);
	if (q->frontier < offset + (n << q->cluster_bits))
		q->frontier = offset + (n << q->cluster_bits);
	return r;
}

int reftable_grow(struct qcow2 *q, uint64_t entries)
{
	struct plan p;
	int r = make_plan(q, entries, &p);

	if (r == 0)
		r = commit(q);
	if (r == 0)
		r = barrier(q);
	if (r < 0)
		return r;
	r = carry_out(q, &p);
	if (r < 0 && !q->failed)
		q->failed = r; /* half of it is in memory */
	return r;
}
