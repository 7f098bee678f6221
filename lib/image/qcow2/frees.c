/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters that are given up: first nothing on the disk refers to them, then they are free. */
#include "lib/image/qcow2/internal.h"

int free_later(struct qcow2 *q, uint64_t cluster, uint64_t n)
{
	struct free_run *last;

	if (q->n_frees) {
		last = &q->frees[q->n_frees - 1];
		if (last->cluster + last->n == cluster) {
			last->n += n;
			return 0;
		}
	}
	if (q->n_frees == MAX_FREES) {
		int r = flush_all(q);

		if (r < 0)
			return r;
	}
	q->frees[q->n_frees++] = (struct free_run){ .cluster = cluster, .n = n };
	return 0;
}

static int drop(struct qcow2 *q, uint64_t cluster, bool *ret_free)
{
	uint64_t count;
	int r = refcount_get(q, cluster, &count);

	if (r < 0)
		return r;
	if (!count)
		return mark_corrupt(q); /* something refers to a free cluster */
	*ret_free = count == 1;
	return refcount_set(q, cluster, count - 1);
}

/* Gives the space back to the host, if it takes it. */
static void punch(struct qcow2 *q, uint64_t from, uint64_t to)
{
	if (from < to)
		(void)!store_punch(q->file, from << q->cluster_bits,
				   (to - from) << q->cluster_bits);
}

static int apply(struct qcow2 *q, const struct free_run *f)
{
	uint64_t from = f->cluster, at = from;
	int r = 0;

	for (; at < f->cluster + f->n; at++) {
		bool now_free = false;

		r = overlap_check(q, at << q->cluster_bits, 1);
		if (r == 0)
			r = drop(q, at, &now_free);
		if (r < 0)
			break;
		if (now_free && at < q->cursor)
			q->cursor = at;
		if (!now_free) {
			punch(q, from, at);
			from = at + 1;
		}
	}
	punch(q, from, at);
	return r;
}

int frees_apply(struct qcow2 *q)
{
	size_t n = q->n_frees;
	int r = 0;

	decompressor_forget(q);
	q->n_frees = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct free_run f = q->frees[i];

		r = apply(q, &f);
	}
	return r;
}
