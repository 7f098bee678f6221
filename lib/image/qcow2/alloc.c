/* SPDX-License-Identifier: Apache-2.0 */
/* Free clusters are found by their refcounts, from the first that can be free on. */
#include "lib/image/qcow2/internal.h"

static bool is_fresh(const struct qcow2 *q, uint64_t cluster)
{
	return !q->file->fixed && cluster << q->cluster_bits >= q->frontier;
}

static int take(struct qcow2 *q, uint64_t cluster)
{
	uint64_t end = (cluster + 1) << q->cluster_bits;
	int r = overlap_check(q, cluster << q->cluster_bits, 1);

	if (r == 0)
		r = refcount_set(q, cluster, 1);
	if (r == 0 && q->frontier < end)
		q->frontier = end;
	q->unsynced = true;
	return r;
}

static int is_free(struct qcow2 *q, uint64_t cluster, bool *ret)
{
	uint64_t count;
	int r = cluster < q->limit ? refcount_get(q, cluster, &count) : -ENOSPC;

	if (r == 0)
		*ret = count == 0;
	return r;
}

/* The first free cluster, with a refcount block, or that of those that are ready. */
static int find(struct qcow2 *q, uint64_t *ret)
{
	bool found = false;
	int r;

	while (!reserve_left(q) || q->cursor < q->reserved.next) {
		r = is_free(q, q->cursor, &found);
		if (r == 0 && found)
			r = refcount_cover(q, q->cursor);
		if (r == 0 && found) /* the block may have taken it */
			r = is_free(q, q->cursor, &found);
		if (r < 0)
			return r;
		if (found)
			break;
		q->cursor++;
	}
	*ret = q->cursor;
	return 0;
}

/* How far a run from the first on goes: in one block, and all fresh or all not. */
static int extend(struct qcow2 *q, uint64_t first, uint64_t want, bool fresh, uint64_t *ret_n)
{
	uint64_t block = first / refcounts_per_block(q), n = 1;
	bool more = true;
	int r = take(q, first);

	while (r == 0 && n < want && (first + n) / refcounts_per_block(q) == block &&
	       first + n < q->limit && (fresh || !is_fresh(q, first + n))) {
		r = is_free(q, first + n, &more);
		if (r < 0 || !more)
			break;
		r = take(q, first + n++);
	}
	*ret_n = n;
	return r;
}

/* From the first on that is free. */
static int take_run(struct qcow2 *q, uint64_t first, uint64_t want, uint64_t *ret_cluster,
		    uint64_t *ret_n, bool *ret_fresh)
{
	bool fresh = is_fresh(q, first);
	uint64_t n;
	int r;

	r = extend(q, first, want, fresh, &n);
	if (r < 0)
		return r;
	q->cursor = first + n;
	*ret_cluster = first;
	*ret_n = n;
	*ret_fresh = fresh;
	return 0;
}

static int try_run(struct qcow2 *q, uint64_t want, uint64_t *ret_cluster, uint64_t *ret_n,
		   bool *ret_fresh)
{
	uint64_t first;
	int r = reserve_mark(q);

	if (r < 0)
		return r;
	do {
		r = find(q, &first);
		if (r == 0 && !reserve_left(q) && is_fresh(q, first))
			r = reserve(q, first);
		if (r < 0)
			return r;
		if (!reserve_left(q) || first < q->reserved.next)
			return take_run(q, first, want, ret_cluster, ret_n, ret_fresh);
		*ret_n = reserve_take(q, want, ret_cluster);
		*ret_fresh = true;
	} while (!*ret_n);
	return 0;
}

int alloc_run(struct qcow2 *q, uint64_t want, uint64_t *ret_cluster, uint64_t *ret_n,
	      bool *ret_fresh)
{
	int r = q->failed ? q->failed : try_run(q, want, ret_cluster, ret_n, ret_fresh);

	if (r != -ENOSPC || !q->n_frees)
		return r;
	r = flush_all(q); /* what was given up is free afterwards */
	return r < 0 ? r : try_run(q, want, ret_cluster, ret_n, ret_fresh);
}

/* All of [first, first + n) free and covered? A block may have taken one of them. */
static int usable(struct qcow2 *q, uint64_t first, uint64_t n, bool *ret)
{
	int r = 0;

	*ret = true;
	for (uint64_t i = 0; r == 0 && i < n; i++)
		r = first + i < q->limit ? refcount_cover(q, first + i) : -ENOSPC;
	for (uint64_t i = 0; r == 0 && *ret && i < n; i++)
		r = is_free(q, first + i, ret);
	return r;
}

int alloc_contiguous(struct qcow2 *q, uint64_t n, uint64_t *ret_cluster, bool *ret_fresh)
{
	uint64_t first = 0;
	bool ok = false;
	int r = reserve_release(q);

	for (unsigned int tries = 0; r == 0 && !ok && tries < 64; tries++) {
		first = clusters_for(q, q->frontier) + tries;
		r = usable(q, first, n, &ok);
	}
	if (r == 0 && !ok)
		r = -ENOSPC;
	*ret_fresh = is_fresh(q, first);
	for (uint64_t i = 0; r == 0 && i < n; i++)
		r = take(q, first + i);
	if (r == 0)
		*ret_cluster = first;
	return r;
}
