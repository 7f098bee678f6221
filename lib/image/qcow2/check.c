/* SPDX-License-Identifier: Apache-2.0 */
/* Refcounts against references, flags against refcounts. */
#include "lib/image/qcow2/shadow.h"

#include "lib/base/cleanup.h"

#include <stdlib.h>

struct check {
	struct walk w;
	uint32_t *disk;	     /* refcounts as the image has them, as many as w.n */
	uint64_t structural; /* corruptions that are not of refcounts and flags */
	uint64_t leaks;
	uint64_t end; /* bytes */
};

static int load_block(struct check *k, uint64_t block, uint64_t offset)
{
	struct qcow2 *q = k->w.q;
	uint64_t len = q->cluster_size < WALK_CHUNK ? q->cluster_size : WALK_CHUNK;
	uint64_t c = block * refcounts_per_block(q), n = len * 8 / q->refcount_bits;

	for (uint64_t at = 0; at < q->cluster_size; at += len) {
		ssize_t got = store_read(q->file, k->w.chunk, len, offset + at);

		if (got < 0)
			return (int)got;
		for (uint64_t i = 0; i < n; i++, c++) {
			uint64_t v = refcount_field(k->w.chunk, i, q->refcount_bits);

			if (c < k->w.n)
				k->disk[c] = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
			else if (v)
				k->leaks++;
		}
	}
	return 0;
}

static int load_refcounts(struct check *k)
{
	struct qcow2 *q = k->w.q;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < q->reftable.n; i++) {
		uint64_t offset = q->reftable.at[i] & OFFSET_MASK;

		if (offset && !in_cluster(q, offset) && cluster_of(q, offset) < k->w.n)
			r = load_block(k, i, offset);
	}
	return r;
}

static void compare(struct check *k)
{
	for (uint64_t c = 0; c < k->w.n; c++) {
		uint32_t have = k->disk[c], want = k->w.count[c];

		if (want)
			k->end = (c + 1) << k->w.q->cluster_bits;
		if (have > want) {
			k->leaks++;
			walk_say(&k->w, "Leaked cluster %llu refcount=%u reference=%u",
				 (unsigned long long)c, have, want);
		} else if (have < want) {
			walk_error(&k->w, "cluster %llu refcount=%u reference=%u",
				   (unsigned long long)c, have, want);
		}
	}
}

static void check_flag(struct check *k, const char *what, uint64_t v)
{
	struct qcow2 *q = k->w.q;
	uint64_t c = cluster_of(q, v & OFFSET_MASK);
	bool copied = v & ENTRY_COPIED;

	if (c && c < k->w.n && (k->disk[c] == 1) != copied)
		walk_error(&k->w, "OFLAG_COPIED %s: entry=%llx refcount=%u", what,
			   (unsigned long long)v, k->disk[c]);
}

static int check_l2_flags(struct check *k, uint64_t table)
{
	struct qcow2 *q = k->w.q;
	uint64_t len = q->cluster_size < WALK_CHUNK ? q->cluster_size : WALK_CHUNK;

	for (uint64_t at = 0; at < q->cluster_size; at += len) {
		ssize_t got = store_read(q->file, k->w.chunk, len, table + at);

		if (got < 0)
			return (int)got;
		for (uint64_t i = 0; i < len; i += UINT64_C(1) << q->entry_bits) {
			uint64_t v = get_be64(k->w.chunk + i);

			if (!(v & ENTRY_COMPRESSED) && !q->external)
				check_flag(k, "data cluster", v);
		}
	}
	return 0;
}

static int check_flags(struct check *k)
{
	struct qcow2 *q = k->w.q;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < q->h.l1_size; i++) {
		uint64_t table = q->l1.at[i] & OFFSET_MASK;

		if (!table || in_cluster(q, table) || cluster_of(q, table) >= k->w.n)
			continue;
		check_flag(k, "L2 table", q->l1.at[i]);
		r = check_l2_flags(k, table);
	}
	return r;
}

static void fill_result(const struct check *k, struct qcow2_check_result *ret)
{
	*ret = (struct qcow2_check_result){
		.corruptions = k->w.corruptions,
		.leaks = k->leaks,
		.total_clusters = clusters_for(k->w.q, k->w.q->h.size),
		.allocated_clusters = k->w.allocated,
		.compressed_clusters = k->w.compressed,
		.fragmented_clusters = k->w.fragmented,
		.image_end = k->end,
	};
}

static int look(struct check *k, struct qcow2 *q, void (*say)(void *arg, const char *line),
		void *arg)
{
	int r = walk_open(&k->w, q, 0);

	if (r < 0)
		return r;
	k->w.say = say;
	k->w.arg = arg;
	k->disk = calloc(k->w.n + 1, sizeof(*k->disk));
	r = k->disk ? walk_all(&k->w) : -ENOMEM;
	k->structural = k->w.corruptions;
	if (r == 0)
		r = load_refcounts(k);
	if (r < 0)
		return r;
	compare(k);
	return check_flags(k);
}

static void end_look(struct check *k)
{
	walk_close(&k->w);
	free(k->disk);
	k->disk = NULL;
}

static int look_again(struct qcow2 *q, struct qcow2_check_result *result)
{
	struct check k = { 0 };
	int r = look(&k, q, NULL, NULL);

	if (r == 0) {
		result->corruptions_fixed = result->corruptions - k.w.corruptions;
		result->leaks_fixed = result->leaks - k.leaks;
	}
	end_look(&k);
	return r;
}

static bool is_wanted(const struct check *k, enum qcow2_repair repair)
{
	const struct qcow2_header *h = &k->w.q->h;

	if (repair == QCOW2_REPAIR_NOTHING || k->w.incomplete)
		return false;
	if (repair == QCOW2_REPAIR_LEAKS)
		return k->leaks && !k->w.corruptions;
	return k->leaks || k->w.corruptions > k->structural ||
	       h->incompatible & (INCOMPATIBLE_DIRTY | INCOMPATIBLE_CORRUPT);
}

static int repair_all(struct qcow2 *q, struct volume_error *e)
{
	struct snaptable t = { 0 };
	_cleanup_(freep) uint64_t *l1 = NULL;
	int r = snaptable_read(q, &t, e);

	if (r == 0)
		r = walk_read_l1(q, q->h.l1_offset, q->h.l1_size, &l1);
	if (r == 0)
		r = shadow_commit(q,
				  &(struct shadow_state){ .l1 = l1,
							  .n_l1 = q->h.l1_size,
							  .size = q->h.size,
							  .snapshots = &t,
							  .repair = true },
				  e);
	snaptable_free(&t);
	return r;
}

int qcow2_check(struct volume *v, enum qcow2_repair repair,
		void (*say)(void *arg, const char *line), void *arg, struct qcow2_check_result *ret,
		struct volume_error *e)
{
	struct qcow2 *q = qcow2_of(v);
	struct qcow2_check_result result = { 0 };
	struct check k = { 0 };
	int r = v->readonly ? 0 : reserve_release(q);

	(void)volume_fail(e, 0, "%s", "");
	if (repair != QCOW2_REPAIR_NOTHING && v->readonly)
		return volume_fail(e, -EROFS,
				   "the image was opened read-only: it cannot be repaired");
	if (r == 0 && !v->readonly)
		r = flush_all(q);
	if (r == 0)
		r = look(&k, q, say, arg);
	if (r == 0)
		fill_result(&k, &result);
	if (r == 0 && is_wanted(&k, repair)) {
		end_look(&k); /* to repair takes as much memory again */
		r = repair_all(q, e);
		if (r == 0 && ret)
			r = look_again(q, &result);
	}
	end_look(&k);
	if (r == 0 && ret)
		*ret = result;
	else if (r < 0 && e && !e->text[0])
		(void)volume_fail(e, r, "cannot check the image: %s", strerror(-r));
	return r;
}
