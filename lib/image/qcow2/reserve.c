/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters whose refcounts are raised ahead. What serves a guest without a redo log writes its tables after each group of
 * requests (volume_settle), so that its successor can go on if it is killed; a power cut may keep any
 * of these writes and lose the others. So that no group has to wait for stable storage, a run of clusters
 * behind all that was ever written is made ready at once: their refcounts are 1, the file reaches over
 * them, and both is on stable storage. An entry that refers to one of them is without corruption
 * whether or not its bytes have arrived: they are zeroes until then. With a redo log no group waits anyhow:
 * there they are ready after the next flush, whoever asks for it, which may come much later.
 *
 * From the first cluster on that is taken the dirty bit is set: whoever opens the image next, after a kill or a
 * power cut, makes the refcounts anew, and with that what was not used is free again. That takes memory for each
 * cluster of the file, so that nothing is reserved in a file that is longer than can be repaired where it is opened.
 * Version 2 has no such bit, and a snapshot's clusters are copied anyhow: there, and on a device, nothing is
 * reserved.
 */
#include "lib/image/qcow2/internal.h"

#define SECTOR 512U

static int write_incompatible(struct qcow2 *q, uint64_t bits)
{
	uint8_t bytes[8];
	int r;

	put_be64(bytes, bits);
	r = header_write(q, H_INCOMPATIBLE, bytes, sizeof(bytes));
	if (r == 0)
		q->h.incompatible = bits;
	return r;
}

static int set_mark(struct qcow2 *q)
{
	int r;

	if (q->h.incompatible & INCOMPATIBLE_DIRTY)
		return 0;
	r = write_incompatible(q, q->h.incompatible | INCOMPATIBLE_DIRTY);
	if (r == 0)
		q->marked = true;
	return r;
}

/* One that was there at opening stays. */
static int clear_mark(struct qcow2 *q)
{
	if (!q->marked || !(q->h.incompatible & INCOMPATIBLE_DIRTY))
		return 0;
	return write_incompatible(q, q->h.incompatible & ~INCOMPATIBLE_DIRTY);
}

static bool is_possible(const struct qcow2 *q)
{
	return q->settles && q->reserve_max && q->h.version >= 3 && !q->external &&
	       !q->file->fixed && !q->h.n_snapshots;
}

int reserve_mark(struct qcow2 *q)
{
	if (!is_possible(q) || clusters_for(q, q->file->size) > q->reserve_below)
		return 0;
	return set_mark(q);
}

/* The file reaches up to there, with zeroes that are not read from anywhere. */
static bool extend_file(struct qcow2 *q, uint64_t end)
{
	uint64_t to = end << q->cluster_bits;

	if (to <= q->file->size)
		return true;
	if (overlap_any(q, to - 1, 1))
		return false;
	q->unsynced = true;
	return store_zero(q->file, to - SECTOR, SECTOR) == 0;
}

/* Refcount blocks that come in between are left out. Returns 0 where a foreign cluster ends the run. */
static int raise_one(struct qcow2 *q, uint64_t cluster)
{
	uint64_t count = 0;
	int r = refcount_cover(q, cluster);

	if (r == 0)
		r = refcount_get(q, cluster, &count);
	if (r < 0)
		return r;
	if (count)
		return cluster_set_has(&q->tables, cluster);
	r = overlap_check(q, cluster << q->cluster_bits, 1);
	if (r == 0)
		r = refcount_set(q, cluster, 1);
	return r < 0 ? r : 1;
}

int reserve(struct qcow2 *q, uint64_t first)
{
	uint64_t end = min_u64(first + q->reserve_max, bound_needed(q));
	int r;

	end = min_u64(end, q->reftable.n * refcounts_per_block(q));
	if (!is_possible(q) || end <= first)
		return 0;
	if (end > q->reserve_below) {
		q->reserve_max = 0;
		return clear_mark(q);
	}
	if (!extend_file(q, end))
		return 0;
	q->reserved = (struct reservation){ .next = first, .end = first };
	do
		r = raise_one(q, q->reserved.end);
	while (r > 0 && ++q->reserved.end < end);
	end = q->reserved.end << q->cluster_bits;
	if (q->frontier < end)
		q->frontier = end;
	if (r >= 0)
		r = commit_refcounts(q);
	if (r < 0)
		return r;
	q->sizing = end; /* until the flush a reference to them needs one before it, as to others */
	return q->redo.words ? 0 : barrier(q);
}

uint64_t reserve_take(struct qcow2 *q, uint64_t want, uint64_t *ret_cluster)
{
	struct reservation *s = &q->reserved;
	uint64_t n = 0;

	while (s->next < s->end && cluster_set_has(&q->tables, s->next))
		s->next++;
	*ret_cluster = s->next;
	while (n < want && s->next < s->end && !cluster_set_has(&q->tables, s->next)) {
		s->next++;
		n++;
	}
	return n;
}

/* Nothing ever referred to them, so that this may reach the disk at any time. */
int reserve_release(struct qcow2 *q)
{
	struct reservation s = q->reserved;
	int r = 0;

	q->reserved = (struct reservation){ 0 };
	if (q->frontier == s.end << q->cluster_bits && s.end)
		q->frontier = s.next << q->cluster_bits;
	for (uint64_t c = s.next; r == 0 && c < s.end; c++)
		if (!cluster_set_has(&q->tables, c))
			r = refcount_set(q, c, 0);
	return r;
}

int reserve_end(struct qcow2 *q)
{
	int r = reserve_release(q);

	if (r == 0)
		r = flush_all(q);
	return r < 0 ? r : clear_mark(q);
}

/* What one before has reserved and not used lies at the end: it is made new again. */
int reserve_begin(struct qcow2 *q)
{
	uint64_t end = clusters_for(q, q->file->size), from = end, count = 0;
	int r = 0;

	if (q->settles)
		return 0;
	q->settles = true;
	if (!is_possible(q) || end << q->cluster_bits != q->frontier)
		return 0;
	while (r == 0 && from && end - from < q->reserve_max) {
		r = refcount_get(q, from - 1, &count);
		if (r < 0 || count || overlap_any(q, (from - 1) << q->cluster_bits, 1))
			break;
		from--;
	}
	if (r < 0 || from == end ||
	    store_punch(q->file, from << q->cluster_bits, (end - from) << q->cluster_bits) < 0)
		return r;
	q->unsynced = true;
	q->frontier = from << q->cluster_bits;
	return 0;
}
