/* SPDX-License-Identifier: Apache-2.0 */
/* Refcounts, and the blocks that they lie in. */
#include "lib/image/qcow2/internal.h"

uint64_t refcount_field(const uint8_t *block, uint64_t index, uint32_t bits)
{
	switch (bits) {
	case 8:
		return block[index];
	case 16:
		return get_be16(block + index * 2);
	case 32:
		return get_be32(block + index * 4);
	case 64:
		return get_be64(block + index * 8);
	default:
		return block[index * bits / 8] >> (index * bits % 8) & ((1U << bits) - 1);
	}
}

static void put_bits(uint8_t *byte, unsigned int shift, unsigned int mask, uint64_t value)
{
	*byte = (uint8_t)((*byte & ~(mask << shift)) | (((unsigned int)value & mask) << shift));
}

void refcount_put(uint8_t *block, uint64_t index, uint32_t bits, uint64_t value)
{
	switch (bits) {
	case 8:
		block[index] = (uint8_t)value;
		break;
	case 16:
		put_be16(block + index * 2, (uint16_t)value);
		break;
	case 32:
		put_be32(block + index * 4, (uint32_t)value);
		break;
	case 64:
		put_be64(block + index * 8, value);
		break;
	default:
		put_bits(&block[index * bits / 8], (unsigned int)(index * bits % 8),
			 (1U << bits) - 1, value);
		break;
	}
}

/* The page that has the refcount, or NULL where there is no block; and its index there. */
static int locate(struct qcow2 *q, uint64_t cluster, uint8_t **ret_page, uint64_t *ret_index)
{
	uint64_t block = cluster / refcounts_per_block(q), index = cluster % refcounts_per_block(q);
	uint64_t per_page = ((uint64_t)8 << q->cache.page_bits) / q->refcount_bits, offset;

	*ret_page = NULL;
	if (block >= q->reftable.n || !(q->reftable.at[block] & OFFSET_MASK))
		return 0;
	offset = q->reftable.at[block] & OFFSET_MASK;
	if (in_cluster(q, offset))
		return mark_corrupt(q);
	*ret_index = index % per_page;
	return cache_get(q, CACHE_REFCOUNTS, offset + (index / per_page << q->cache.page_bits),
			 ret_page);
}

int refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *ret)
{
	uint64_t index;
	uint8_t *page;
	int r = locate(q, cluster, &page, &index);

	if (r == 0)
		*ret = page ? refcount_field(page, index, q->refcount_bits) : 0;
	return r;
}

int refcount_set(struct qcow2 *q, uint64_t cluster, uint64_t value)
{
	uint64_t index;
	uint8_t *page;
	int r = locate(q, cluster, &page, &index);

	if (r < 0)
		return r;
	if (!page || (q->refcount_bits < 64 && value >> q->refcount_bits))
		return mark_corrupt(q);
	refcount_put(page, index, q->refcount_bits, value);
	cache_set_dirty(&q->cache, page);
	return 0;
}

/* A block's clusters had no refcounts so far, so all are free: it takes the first of them. */
static int add_block(struct qcow2 *q, uint64_t block)
{
	uint64_t cluster = block * refcounts_per_block(q), offset = cluster << q->cluster_bits;
	uint8_t *page;
	int r;

	if (cluster >= q->limit)
		return -ENOSPC;
	r = overlap_check(q, offset, 1);
	if (r == 0 && (offset < q->frontier || q->file->fixed))
		r = store_zero(q->file, offset, q->cluster_size);
	if (r < 0)
		return r;
	if (q->frontier < offset + q->cluster_size)
		q->frontier = offset + q->cluster_size;
	q->unsynced = true;
	cache_change(&q->cache);
	(void)!cluster_set_add(&q->tables, cluster);
	cache_changed(&q->cache);
	r = cache_get(q, CACHE_REFCOUNTS, offset, &page);
	if (r < 0) {
		cache_change(&q->cache);
		cluster_set_remove(&q->tables, cluster);
		cache_changed(&q->cache);
		return r;
	}
	refcount_put(page, 0, q->refcount_bits, 1);
	cache_set_dirty(&q->cache, page);
	q->reftable.at[block] = offset; /* not before there is a page to write first */
	table_dirty(&q->reftable, block, 1);
	return 0;
}

int refcount_cover(struct qcow2 *q, uint64_t cluster)
{
	uint64_t block = cluster / refcounts_per_block(q);

	if (block >= q->reftable.n) {
		int r = reftable_grow(q, block + 1);

		if (r < 0)
			return r;
	}
	return q->reftable.at[block] & OFFSET_MASK ? 0 : add_block(q, block);
}
