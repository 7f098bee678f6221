/* SPDX-License-Identifier: Apache-2.0 */
/* See shadow.h. */
#include "lib/image/qcow2/shadow.h"

#include "lib/base/cleanup.h"

#include <stdlib.h>

struct shadow {
	struct qcow2 *q;
	const struct shadow_state *to;
	struct walk old, now; /* what refers to clusters, before and after */
	uint64_t cursor;
	uint64_t *l1;	     /* new entries */
	uint64_t *reftable;  /* new entries, n_reftable of them */
	uint64_t n_reftable; /* of whole clusters */
	uint8_t *cluster;    /* one, for what is being written */
	struct qcow2_header h;
};

static bool is_unused(const struct shadow *s, uint64_t cluster)
{
	return cluster < s->old.cap && !s->old.count[cluster] && !s->now.count[cluster];
}

/* n clusters side by side. */
static int take(struct shadow *s, uint64_t n, uint64_t *ret_offset)
{
	uint64_t first = s->cursor, have = 0;

	for (uint64_t c = first; have < n; c++) {
		if (c >= s->old.cap)
			return -ENOSPC;
		if (is_unused(s, c)) {
			have++;
			continue;
		}
		first = c + 1;
		have = 0;
	}
	for (uint64_t c = first; c < first + n; c++)
		s->now.count[c] = 1;
	if (n == 1)
		s->cursor = first + 1;
	*ret_offset = first << s->q->cluster_bits;
	return 0;
}

static uint64_t l2_entries(const struct qcow2 *q)
{
	return BIT(q->cluster_bits - q->entry_bits);
}

/* Whether the entry's first word had to be changed. */
static bool fix_entry(const struct shadow *s, uint8_t *at, uint64_t guest)
{
	const struct qcow2 *q = s->q;
	uint64_t v = get_be64(at), cluster = cluster_of(q, v & OFFSET_MASK), fixed;

	if (guest >= s->to->size) {
		static const uint8_t empty[16];
		size_t len = (size_t)1 << q->entry_bits;

		if (!memcmp(at, empty, len))
			return false;
		memset(at, 0, len);
		return true;
	}
	if (v & ENTRY_COMPRESSED || q->external || !cluster || cluster >= s->now.n)
		return false;
	fixed = s->now.count[cluster] == 1 ? v | ENTRY_COPIED : v & ~ENTRY_COPIED;
	put_be64(at, fixed);
	return fixed != v;
}

static int fix_l2(struct shadow *s, uint64_t i, uint64_t *offset)
{
	struct qcow2 *q = s->q;
	uint64_t guest = i * l2_entries(q) << q->cluster_bits;
	ssize_t got = store_read(q->file, s->cluster, q->cluster_size, *offset);
	bool changed = false;
	uint64_t old = cluster_of(q, *offset);
	int r;

	if (got < 0)
		return (int)got;
	for (uint64_t k = 0; k < l2_entries(q); k++, guest += q->cluster_size)
		changed |= fix_entry(s, s->cluster + (k << q->entry_bits), guest);
	if (!changed)
		return 0;
	r = take(s, 1, offset);
	if (r < 0)
		return r;
	s->now.count[old]--;
	return store_write(q->file, s->cluster, q->cluster_size, *offset);
}

static int fix_l1(struct shadow *s)
{
	struct qcow2 *q = s->q;

	for (uint64_t i = 0; i < s->to->n_l1; i++) {
		uint64_t offset = s->to->l1[i] & OFFSET_MASK;
		int r = 0;

		s->l1[i] = 0;
		if (!offset || i * l2_entries(q) << q->cluster_bits >= s->to->size)
			continue;
		if (cluster_of(q, offset) < s->now.n)
			r = fix_l2(s, i, &offset);
		if (r < 0)
			return r;
		s->l1[i] = offset;
		if (cluster_of(q, offset) >= s->now.cap || s->now.count[cluster_of(q, offset)] == 1)
			s->l1[i] |= ENTRY_COPIED;
	}
	return 0;
}

/* Whole clusters, the rest of the last one zeroes. */
static int write_words(struct shadow *s, const uint64_t *at, uint64_t n, uint64_t offset)
{
	struct qcow2 *q = s->q;
	uint64_t per_cluster = q->cluster_size / 8;
	int r = 0;

	for (uint64_t done = 0; r == 0 && done < n; done += per_cluster) {
		memset(s->cluster, 0, q->cluster_size);
		for (uint64_t i = 0; i < per_cluster && done + i < n; i++)
			put_be64(s->cluster + i * 8, at[done + i]);
		r = store_write(q->file, s->cluster, q->cluster_size, offset + done * 8);
	}
	return r;
}

static int place_l1(struct shadow *s)
{
	uint64_t n = clusters_for(s->q, s->to->n_l1 * 8);
	int r = take(s, n ? n : 1, &s->h.l1_offset);

	if (r == 0)
		r = fix_l1(s);
	s->h.l1_size = (uint32_t)s->to->n_l1;
	return r < 0 ? r : write_words(s, s->l1, s->to->n_l1, s->h.l1_offset);
}

static int place_snapshots(struct shadow *s)
{
	const struct snaptable *t = s->to->snapshots;
	uint64_t at;
	int r;

	s->h.n_snapshots = t->n;
	s->h.snapshots_offset = 0;
	if (!t->n)
		return 0;
	r = take(s, clusters_for(s->q, snaptable_bytes(t)), &s->h.snapshots_offset);
	at = s->h.snapshots_offset;
	for (uint32_t i = 0; r == 0 && i < t->n; i++) {
		r = store_write(s->q->file, t->row[i].bytes, t->row[i].len, at);
		at += t->row[i].len;
	}
	return r;
}

static bool block_needed(const struct shadow *s, uint64_t block)
{
	uint64_t n = refcounts_per_block(s->q), first = block * n;

	for (uint64_t c = first; c < first + n && c < s->now.cap; c++)
		if (s->now.count[c])
			return true;
	return false;
}

/* A block that is placed may need another one for itself. */
static int place_blocks(struct shadow *s)
{
	bool again = true;
	int r = 0;

	while (r == 0 && again) {
		again = false;
		for (uint64_t i = 0; r == 0 && i < s->n_reftable; i++) {
			if (s->reftable[i] || !block_needed(s, i))
				continue;
			r = take(s, 1, &s->reftable[i]);
			again = true;
		}
	}
	return r;
}

static int write_block(struct shadow *s, uint64_t block)
{
	struct qcow2 *q = s->q;
	uint64_t n = refcounts_per_block(q), first = block * n;

	memset(s->cluster, 0, q->cluster_size);
	for (uint64_t i = 0; i < n && first + i < s->now.cap; i++) {
		uint32_t count = s->now.count[first + i];

		if (q->refcount_bits < 32 && count >> q->refcount_bits)
			return -ENOTSUP;
		if (count)
			refcount_put(s->cluster, i, q->refcount_bits, count);
	}
	return store_write(q->file, s->cluster, q->cluster_size, s->reftable[block]);
}

static int place_refcounts(struct shadow *s)
{
	struct qcow2 *q = s->q;
	uint64_t n = clusters_for(q, (s->now.cap / refcounts_per_block(q) + 1) * 8);
	int r;

	if (n << q->cluster_bits > MAX_REFTABLE_BYTES)
		return -EFBIG;
	s->n_reftable = n * q->cluster_size / 8;
	s->reftable = calloc(s->n_reftable, 8);
	if (!s->reftable)
		return -ENOMEM;
	r = take(s, n, &s->h.reftable_offset);
	s->h.reftable_clusters = (uint32_t)n;
	if (r == 0)
		r = place_blocks(s);
	for (uint64_t i = 0; r == 0 && i < s->n_reftable; i++)
		if (s->reftable[i])
			r = write_block(s, i);
	return r < 0 ? r : write_words(s, s->reftable, s->n_reftable, s->h.reftable_offset);
}

/* The fixed part anew, what lies behind as it is. */
static int switch_over(struct shadow *s)
{
	struct qcow2 *q = s->q;
	uint8_t b[HEADER_V3];
	size_t len = s->h.version < 3 ? HEADER_V2 : HEADER_V3;
	ssize_t got = store_read(q->file, b, len, 0);
	int r = store_flush(q->file);

	if (got < 0 || r < 0)
		return got < 0 ? (int)got : r;
	s->h.size = s->to->size;
	s->h.incompatible &= ~INCOMPATIBLE_DIRTY;
	if (s->to->repair && !s->old.corruptions)
		s->h.incompatible &= ~INCOMPATIBLE_CORRUPT;
	put_be64(b + H_SIZE, s->h.size);
	put_be32(b + H_L1_SIZE, s->h.l1_size);
	put_be64(b + H_L1_OFFSET, s->h.l1_offset);
	put_be64(b + H_REFTABLE_OFFSET, s->h.reftable_offset);
	put_be32(b + H_REFTABLE_CLUSTERS, s->h.reftable_clusters);
	put_be32(b + H_N_SNAPSHOTS, s->h.n_snapshots);
	put_be64(b + H_SNAPSHOTS_OFFSET, s->h.snapshots_offset);
	if (s->h.version >= 3)
		put_be64(b + H_INCOMPATIBLE, s->h.incompatible);
	return header_write(q, 0, b, len);
}

static uint64_t clusters_of_tables(const struct shadow_state *to, const struct qcow2 *q)
{
	uint64_t n = to->n_l1 + clusters_for(q, to->n_l1 * 8) +
		     clusters_for(q, snaptable_bytes(to->snapshots)) + 16;
	uint64_t all = n + clusters_for(q, q->file->size);
	uint64_t blocks = 2 * (all / refcounts_per_block(q) + 2);

	return n + 2 * blocks + clusters_for(q, blocks * 8);
}

static int count_old(struct shadow *s, uint64_t extra, struct volume_error *e)
{
	int r = walk_open(&s->old, s->q, extra);

	if (r == 0)
		r = walk_all(&s->old);
	if (r == 0 && (s->old.incomplete || (s->old.corruptions && !s->to->repair)))
		return volume_fail(e, -EUCLEAN, "the image has errors: check it first");
	return r;
}

static int count_new(struct shadow *s, uint64_t extra)
{
	int r = walk_open(&s->now, s->q, extra);

	if (r < 0)
		return r;
	walk_ref(&s->now, 0, 1, "header");
	r = walk_table(&s->now, &(struct walk_l1){ .what = "active",
						   .at = s->to->l1,
						   .n = s->to->n_l1,
						   .size = s->to->size });
	if (r == 0)
		r = walk_snapshots(&s->now, s->to->snapshots);
	return r < 0 ? r : walk_bitmaps(&s->now);
}

static int prepare(struct shadow *s, struct volume_error *e)
{
	uint64_t extra = clusters_of_tables(s->to, s->q);
	int r;

	s->l1 = calloc(s->to->n_l1 + 1, 8);
	s->cluster = malloc(s->q->cluster_size);
	if (!s->l1 || !s->cluster)
		return -ENOMEM;
	r = count_old(s, extra, e);
	return r < 0 ? r : count_new(s, extra);
}

/* Gives back what is not used any more, as far as the store takes it. */
static void trim(struct shadow *s)
{
	struct qcow2 *q = s->q;
	uint64_t end = s->now.cap, from = 0;

	while (end && !s->now.count[end - 1])
		end--;
	if (end << q->cluster_bits < q->file->size &&
	    store_truncate(q->file, end << q->cluster_bits) < 0)
		(void)!store_punch(q->file, end << q->cluster_bits,
				   q->file->size - (end << q->cluster_bits));
	for (uint64_t c = 0; c <= end; c++) {
		if (c < end && !s->now.count[c])
			continue;
		if (c > from)
			(void)!store_punch(q->file, from << q->cluster_bits,
					   (c - from) << q->cluster_bits);
		from = c + 1;
	}
}

static int reload(struct shadow *s, struct volume_error *e)
{
	struct qcow2 *q = s->q;
	int r;

	q->h = s->h;
	q->volume.size = s->h.size & ~UINT64_C(511);
	if (q->max_size < s->h.size)
		q->max_size = s->h.size;
	tables_unload(q);
	cache_clear(&q->cache);
	decompressor_forget(q);
	r = tables_load(q, e);
	if (r < 0)
		q->failed = r;
	return r;
}

static int carry_out(struct shadow *s, struct volume_error *e)
{
	int r = prepare(s, e);

	if (r == 0)
		r = place_l1(s);
	if (r == 0)
		r = place_snapshots(s);
	if (r == 0)
		r = place_refcounts(s);
	if (r == 0)
		r = switch_over(s);
	if (r < 0)
		return r;
	trim(s);
	return reload(s, e);
}

static void end(struct shadow *s)
{
	walk_close(&s->old);
	walk_close(&s->now);
	free(s->l1);
	free(s->reftable);
	free(s->cluster);
}

int shadow_commit(struct qcow2 *q, const struct shadow_state *to, struct volume_error *e)
{
	struct shadow s = { .q = q, .to = to, .h = q->h };
	int r = reserve_release(q);

	if (r == 0)
		r = flush_all(q);
	if (r == 0)
		r = carry_out(&s, e);
	if (r < 0) /* what was written there is not used, and no zeroes */
		q->frontier = clusters_for(q, q->file->size) << q->cluster_bits;
	end(&s);
	if (r == -ENOTSUP)
		return volume_fail(e, r, "refcounts of %u bits are too narrow for this",
				   q->refcount_bits);
	if (r < 0 && e && !e->text[0])
		(void)volume_fail(e, r, "cannot write the image's tables: %s", strerror(-r));
	return r;
}
