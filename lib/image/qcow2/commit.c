/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which tables are written:
 *
 *   refcount blocks | refcount table | L2 tables, L1 table | decrements of refcounts
 *
 * where | is a flush, left out when there is nothing on one of its sides. None is between L2 tables and
 * the L1 table: a new L2 table was made as a whole, empty or a copy, before the flush, so that it is
 * right whether or not what has changed in it since is there.
 */
#include "lib/image/qcow2/internal.h"

#define CHUNK 512U /* entries of one write */

void table_dirty(struct table *t, uint64_t at, uint64_t n)
{
	if (t->dirty_from == t->dirty_to) {
		t->dirty_from = at;
		t->dirty_to = at + n;
		return;
	}
	if (at < t->dirty_from)
		t->dirty_from = at;
	if (at + n > t->dirty_to)
		t->dirty_to = at + n;
}

int table_write(struct qcow2 *q, struct table *t, uint64_t offset)
{
	uint64_t chunk[CHUNK];

	while (t->dirty_from < t->dirty_to) {
		uint64_t at = t->dirty_from, n = t->dirty_to - at;
		int r;

		if (n > CHUNK)
			n = CHUNK;
		for (uint64_t i = 0; i < n; i++)
			chunk[i] = htobe64(t->at[at + i]);
		r = store_write(q->file, chunk, n * 8, offset + at * 8);
		if (r < 0)
			return r;
		t->dirty_from += n;
	}
	t->dirty_from = t->dirty_to = 0;
	return 0;
}

static bool is_dirty(const struct table *t)
{
	return t->dirty_from < t->dirty_to;
}

/* What a failed flush has lost nobody knows: that was the last. */
int barrier(struct qcow2 *q)
{
	int r = q->external ? store_flush(q->data) : 0;

	if (r == 0)
		r = store_flush(q->file);
	if (r < 0) {
		redo_forget(q);
		q->failed = r;
		return r;
	}
	q->unsynced = false;
	if (q->sized < q->sizing)
		q->sized = q->sizing;
	return 0;
}

int commit_refcounts(struct qcow2 *q)
{
	int r;

	if (q->cache.n_dirty[CACHE_REFCOUNTS])
		q->unsynced = true;
	r = cache_write(q, CACHE_REFCOUNTS);
	if (r < 0 || !is_dirty(&q->reftable))
		return r;
	r = q->unsynced ? barrier(q) : 0;
	if (r == 0)
		r = table_write(q, &q->reftable, q->h.reftable_offset);
	q->unsynced = true;
	return r;
}

static int commit_entries(struct qcow2 *q)
{
	int r = q->unsynced ? barrier(q) : 0;

	if (r == 0)
		r = cache_write(q, CACHE_L2);
	if (r == 0 && is_dirty(&q->l1))
		r = table_write(q, &q->l1, q->h.l1_offset);
	return r;
}

int commit(struct qcow2 *q)
{
	int r = q->failed ? q->failed : commit_refcounts(q);

	if (r == 0 && (q->cache.n_dirty[CACHE_L2] || is_dirty(&q->l1)))
		r = commit_entries(q);
	if (r == 0)
		redo_forget(q);
	return r;
}

int settle_all(struct qcow2 *q)
{
	int r = q->failed ? q->failed : 0;

	if (r == 0 && q->redo.words)
		r = commit_refcounts(q);
	if (r < 0 || redo_settle(q))
		return r;
	return commit(q);
}

/* Decrements are written at once, without a flush: a process that is killed leaks none of them. */
int flush_all(struct qcow2 *q)
{
	int r = commit(q);

	if (r == 0)
		r = barrier(q);
	if (r == 0 && q->n_frees)
		r = frees_apply(q);
	if (r == 0 && q->cache.n_dirty[CACHE_REFCOUNTS]) {
		q->unsynced = true;
		r = cache_write(q, CACHE_REFCOUNTS);
	}
	return r;
}
