/* SPDX-License-Identifier: Apache-2.0 */
/* Fills a new qcow2 image; see build.h. Numbers and fields are those of QEMU's docs/interop/qcow2.txt. */
#include "cmd/image-tool/build.h"

#include "lib/image/qcow2/format.h"

#include <errno.h>
#include <stdlib.h>

#define SECTOR 512U

/* ---- beginning ---- */

static uint32_t log2_of(uint64_t v)
{
	return (uint32_t)__builtin_ctzll(v);
}

int build_open(struct build *b, struct store_fd *file)
{
	uint8_t h[HEADER_V3];
	ssize_t n = store_read(&file->store, h, sizeof(h), 0);
	uint64_t block = 0;
	bool v3;

	if (n < (ssize_t)sizeof(h))
		return n < 0 ? (int)n : -EINVAL;
	v3 = get_be32(h + 4) == 3;
	*b = (struct build){ .cluster_bits = get_be32(h + 20),
			     .l1_size = get_be32(h + H_L1_SIZE),
			     .l1_offset = get_be64(h + H_L1_OFFSET),
			     .refcount_order = v3 ? get_be32(h + 96) : 4,
			     .entry_words = 1 };
	if (v3 && get_be64(h + H_INCOMPATIBLE) & INCOMPATIBLE_EXTENDED_L2)
		b->entry_words = 2;
	b->cluster = 1U << b->cluster_bits;
	b->l2_bits = b->cluster_bits - log2_of(8ULL * b->entry_words);
	b->end = (file->store.size + b->cluster - 1) >> b->cluster_bits;
	b->old_table = get_be64(h + H_REFTABLE_OFFSET) >> b->cluster_bits;
	b->old_table_clusters = get_be32(h + H_REFTABLE_CLUSTERS);
	n = store_read(&file->store, &block, sizeof(block), b->old_table << b->cluster_bits);
	if (n < 0)
		return (int)n;
	b->old_block = be64toh(block) >> b->cluster_bits;
	b->tables = calloc(b->l1_size ? b->l1_size : 1, sizeof(b->tables[0]));
	pthread_mutex_init(&b->lock, NULL);
	return b->tables ? 0 : -ENOMEM;
}

/* ---- filling ---- */

/* With the lock. */
static int grow_shared(struct build *b, uint64_t n)
{
	uint64_t more = n + n / 2 + 1024;
	uint16_t *grown;

	if (n <= b->n_shared)
		return 0;
	grown = calloc(more, sizeof(*grown)); /* realloc would be another call */
	if (!grown)
		return -ENOMEM;
	if (b->n_shared)
		memcpy(grown, b->shared, b->n_shared * sizeof(*grown));
	free(b->shared);
	b->shared = grown;
	b->n_shared = more;
	return 0;
}

uint64_t build_take(struct build *b, uint32_t n)
{
	uint64_t at;

	pthread_mutex_lock(&b->lock);
	at = b->end << b->cluster_bits;
	b->end += n;
	b->packed_at = 0;
	pthread_mutex_unlock(&b->lock);
	return at;
}

/* Begins in the cluster where the last ones end, and goes on in the next, which is the file's next. */
static int take_packed(struct build *b, uint32_t len, uint64_t *ret)
{
	uint64_t first, last;
	int r;

	if (!(b->packed_at & (b->cluster - 1)))
		b->packed_at = b->end << b->cluster_bits;
	first = b->packed_at >> b->cluster_bits;
	last = (b->packed_at + len - 1) >> b->cluster_bits;
	r = grow_shared(b, last + 1);
	if (r < 0)
		return r;
	if (first < b->end && ++b->shared[first] == UINT16_MAX)
		return -EFBIG;
	if (last >= b->end)
		b->end = last + 1;
	*ret = b->packed_at;
	b->packed_at += len;
	return 0;
}

int build_take_packed(struct build *b, uint32_t len, uint64_t *ret)
{
	int r;

	pthread_mutex_lock(&b->lock);
	r = take_packed(b, len, ret);
	pthread_mutex_unlock(&b->lock);
	return r;
}

static int set(struct build *b, uint64_t index, uint64_t entry, uint64_t bitmap)
{
	uint64_t table = index >> b->l2_bits, at = index & ((1U << b->l2_bits) - 1);
	int r = 0;

	if (table >= b->l1_size)
		return -EINVAL;
	pthread_mutex_lock(&b->lock);
	if (!b->tables[table])
		b->tables[table] = calloc(1, b->cluster);
	if (!b->tables[table]) {
		r = -ENOMEM;
	} else {
		b->tables[table][at * b->entry_words] = htobe64(entry);
		if (b->entry_words == 2)
			b->tables[table][at * 2 + 1] = htobe64(bitmap);
	}
	pthread_mutex_unlock(&b->lock);
	return r;
}

int build_set(struct build *b, uint64_t index, uint64_t offset)
{
	return set(b, index, offset | ENTRY_COPIED, UINT32_MAX); /* all subclusters are there */
}

int build_set_packed(struct build *b, uint64_t index, uint64_t offset, uint32_t len)
{
	uint32_t bits = 62 - (b->cluster_bits - 8); /* of the offset */
	uint64_t sectors = (offset + len - 1) / SECTOR - offset / SECTOR;

	return set(b, index, ENTRY_COMPRESSED | sectors << bits | offset, 0);
}

/* ---- the end ---- */

static int write_tables(struct build *b, struct store *file)
{
	for (uint32_t i = 0; i < b->l1_size; i++) {
		uint64_t at;
		int r;

		if (!b->tables[i])
			continue;
		at = build_take(b, 1);
		r = store_write(file, b->tables[i], b->cluster, at);
		if (r < 0)
			return r;
		free(b->tables[i]);
		b->tables[i] = (uint64_t *)(uintptr_t)(at | 1); /* where it is */
	}
	return 0;
}

static int write_l1(struct build *b, struct store *file)
{
	uint64_t piece[64];

	for (uint32_t i = 0; i < b->l1_size; i += 64) {
		uint32_t n = b->l1_size - i < 64 ? b->l1_size - i : 64;
		int r;

		for (uint32_t k = 0; k < n; k++) {
			uint64_t at = (uintptr_t)b->tables[i + k];

			piece[k] = at ? htobe64((at & ~1ULL) | ENTRY_COPIED) : 0;
		}
		r = store_write(file, piece, n * 8UL, b->l1_offset + i * 8ULL);
		if (r < 0)
			return r;
	}
	return 0;
}

/* How often a cluster is used: what was made for fewer clusters is not any more. */
static uint64_t count_of(const struct build *b, uint64_t cluster)
{
	if (cluster == b->old_block ||
	    (cluster >= b->old_table && cluster < b->old_table + b->old_table_clusters))
		return 0;
	return cluster >= b->end ? 0 : 1U + (cluster < b->n_shared ? b->shared[cluster] : 0U);
}

static void put_count(const struct build *b, uint8_t *block, uint64_t i, uint64_t count)
{
	uint32_t bits = 1U << b->refcount_order;

	if (bits < 8) {
		block[i * bits / 8] |= (uint8_t)(count << (i * bits % 8));
		return;
	}
	for (uint32_t byte = 0; byte < bits / 8; byte++)
		block[i * (bits / 8) + byte] = (uint8_t)(count >> (bits - 8 - 8 * byte));
}

static int write_blocks(struct build *b, struct store *file, uint64_t first, uint64_t n)
{
	uint64_t each = (uint64_t)b->cluster * 8 >> b->refcount_order;
	uint8_t *block = malloc(b->cluster);
	int r = block ? 0 : -ENOMEM;

	for (uint64_t i = 0; i < n && r == 0; i++) {
		memset(block, 0, b->cluster);
		for (uint64_t k = 0; k < each && i * each + k < b->end; k++)
			put_count(b, block, k, count_of(b, i * each + k));
		r = store_write(file, block, b->cluster, (first + i) << b->cluster_bits);
	}
	free(block);
	return r;
}

static int write_reftable(struct build *b, struct store *file, uint64_t table, uint64_t clusters,
			  uint64_t first, uint64_t n)
{
	uint64_t bytes = clusters << b->cluster_bits;
	uint64_t *entries = calloc(1, bytes);
	int r = entries ? 0 : -ENOMEM;

	for (uint64_t i = 0; i < n && r == 0; i++)
		entries[i] = htobe64((first + i) << b->cluster_bits);
	if (r == 0)
		r = store_write(file, entries, bytes, table << b->cluster_bits);
	free(entries);
	return r;
}

/* The blocks and the table count themselves: how many there must be is found by going round. */
static int write_refcounts(struct build *b, struct store *file)
{
	uint64_t each = (uint64_t)b->cluster * 8 >> b->refcount_order;
	uint64_t used = b->end, blocks = 0, clusters = 0, before;
	uint8_t h[12];
	int r;

	do {
		before = blocks + clusters;
		blocks = (used + blocks + clusters + each - 1) / each;
		clusters = (blocks * 8 + b->cluster - 1) >> b->cluster_bits;
	} while (blocks + clusters != before);
	if (clusters << b->cluster_bits > MAX_REFTABLE_BYTES)
		return -EFBIG;
	b->end = used + blocks + clusters;
	r = write_blocks(b, file, used, blocks);
	if (r == 0)
		r = write_reftable(b, file, used + blocks, clusters, used, blocks);
	put_be64(h, (used + blocks) << b->cluster_bits);
	put_be32(h + 8, (uint32_t)clusters);
	return r < 0 ? r : store_write(file, h, sizeof(h), H_REFTABLE_OFFSET);
}

int build_finish(struct build *b, struct store *file)
{
	int r = write_tables(b, file);

	if (r == 0)
		r = write_l1(b, file);
	if (r == 0)
		r = write_refcounts(b, file);
	return r;
}
