/* SPDX-License-Identifier: Apache-2.0 */
/* How far an image can grow. */
#include "lib/image/qcow2/internal.h"

/* Clusters of metadata beside `data` clusters; the refcount structures count themselves. */
static uint64_t metadata(uint64_t size, uint32_t cluster_bits, uint32_t refcount_bits,
			 bool extended, uint64_t data)
{
	uint64_t cluster = BIT(cluster_bits), per_block = cluster * 8 / refcount_bits;
	uint64_t l2 = header_l1_needed(size, cluster_bits, extended);
	uint64_t l1 = divide_up(l2 * 8, cluster);
	uint64_t fixed = 1 + l1 + l2, sum = fixed, before;

	do {
		uint64_t blocks = divide_up(data + sum, per_block);

		before = sum;
		sum = fixed + blocks + divide_up(blocks * 8, cluster);
	} while (sum != before);
	return sum;
}

static uint64_t needed(const struct qcow2 *q, uint64_t size)
{
	uint64_t data = divide_up(size, q->cluster_size);
	uint64_t meta = metadata(size, q->cluster_bits, q->refcount_bits, q->subclusters > 1, data);

	return 2 * meta + (q->external ? 0 : data);
}

uint64_t bound_needed(const struct qcow2 *q)
{
	uint64_t n = needed(q, q->max_size);

	return n < q->limit ? n : q->limit;
}

/*
 * Twice the metadata, as a table that grows or is replaced lies there twice for a while, and a little
 * for what was leaked. What snapshots keep is there beside all that the disk can come to have.
 */
uint64_t bound_clusters(const struct qcow2 *q, uint64_t size)
{
	uint64_t need = needed(q, size), there = clusters_for(q, q->file->size);
	uint64_t spare = need / 256 + MIB(1) / q->cluster_size + 16;
	uint64_t most = BIT(56 - q->cluster_bits) - 1;

	if (q->h.n_snapshots)
		need += there;
	else if (need < there)
		need = there;
	need += spare;
	if (q->file->fixed && need > there)
		need = q->file->size >> q->cluster_bits;
	return need < most ? need : most;
}

uint64_t qcow2_growth_bound(const struct volume *v)
{
	const struct qcow2 *q = (const struct qcow2 *)v;

	return q->limit << q->cluster_bits;
}
