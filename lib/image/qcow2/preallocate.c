/* SPDX-License-Identifier: Apache-2.0 */
/* A place for every cluster of a new image. */
#include "lib/image/qcow2/internal.h"

/* The clusters of one page of an L2 table at most. */
static int place_run(struct qcow2 *q, uint64_t guest, uint64_t want, uint64_t *ret_n)
{
	uint64_t cluster = cluster_of(q, guest), n = want;
	bool fresh;
	int r = l2_own(q, guest);

	if (r == 0 && !q->external)
		r = alloc_run(q, want, &cluster, &n, &fresh);
	for (uint64_t i = 0; r == 0 && i < n; i++) {
		const struct entry en = { .has_host = true,
					  .copied = true,
					  .host = (cluster + i) << q->cluster_bits,
					  .alloc = q->file->fixed ? 0 : all_subs(q),
					  .zero = q->file->fixed ? all_subs(q) : 0 };

		r = l2_set(q, guest + (i << q->cluster_bits), &en);
	}
	*ret_n = n;
	return r;
}

/* The file has its last cluster afterwards. */
static int extend_file(struct qcow2 *q)
{
	const uint8_t zero = 0;

	return q->frontier > q->file->size && !q->file->fixed ?
		       store_write(q->file, &zero, 1, q->frontier - 1) :
		       0;
}

static int place_all(struct qcow2 *q)
{
	uint64_t left = clusters_for(q, q->volume.size), guest = 0, n;
	uint64_t table = BIT(q->cluster_bits - q->entry_bits);
	int r = 0;

	for (; r == 0 && left; left -= n, guest += n << q->cluster_bits) {
		uint64_t want = table - cluster_of(q, guest) % table;

		r = place_run(q, guest, want < left ? want : left, &n);
	}
	if (r == 0)
		r = extend_file(q);
	return r < 0 ? r : flush_all(q);
}

/* The store stays the caller's. */
int preallocate(struct store *file)
{
	const struct qcow2_options options = { .tool = true };
	struct volume *v;
	int r;

	r = qcow2_open(file, &options, &v, NULL);
	if (r < 0)
		return r;
	if (file->fixed && qcow2_of(v)->h.version < 3)
		r = -ENOTSUP; /* no way to say that what is there is not to be read */
	else
		r = place_all(qcow2_of(v));
	qcow2_free(qcow2_of(v));
	return r;
}
