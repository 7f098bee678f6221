/* SPDX-License-Identifier: Apache-2.0 */
/* What lies where: runs of one kind within one page of an L2 table. */
#include "lib/image/qcow2/internal.h"

static enum extent_kind kind_of(const struct entry *en, uint32_t sub)
{
	if (en->compressed)
		return EXTENT_COMPRESSED;
	if (en->alloc >> sub & 1)
		return EXTENT_DATA;
	return en->zero >> sub & 1 ? EXTENT_ZERO : EXTENT_HOLE;
}

/* The one subcluster at guest. */
static struct extent unit(const struct qcow2 *q, const struct entry *en, bool in_place,
			  uint64_t guest)
{
	uint64_t inside = in_cluster(q, guest), unit_len = BIT(q->sub_bits);
	struct extent x = { .kind = kind_of(en, (uint32_t)(inside >> q->sub_bits)),
			    .len = unit_len - (inside & (unit_len - 1)) };

	if (x.kind == EXTENT_COMPRESSED) {
		x.store = q->file;
		x.offset = en->host;
		x.stored = (uint32_t)en->host_len;
		x.len = q->cluster_size - inside;
	} else if (x.kind == EXTENT_DATA) {
		x.store = q->data;
		x.offset = en->host + inside;
		x.writable = in_place;
	}
	return x;
}

static bool goes_on(const struct extent *run, const struct extent *next)
{
	if (run->kind != next->kind || run->kind == EXTENT_COMPRESSED)
		return false;
	return run->kind != EXTENT_DATA ||
	       (run->writable == next->writable && run->offset + run->len == next->offset);
}

static bool may_change(const struct qcow2 *q, const struct entry *en)
{
	return !q->volume.readonly && en->copied && (q->external || !overlap_any(q, en->host, 1));
}

/* Adds what a cluster has from guest on. Returns whether the run may go on behind it; -EIO. */
static int add_cluster(const struct qcow2 *q, const struct entries *e, uint32_t i, uint64_t guest,
		       struct extent *run)
{
	uint64_t start = guest & ~(q->cluster_size - 1), end = start + q->cluster_size;
	struct entry en;
	int r = entry_decode(q, e->page, e->index + i, start, &en);
	bool in_place;

	if (r < 0)
		return r;
	in_place = en.alloc && may_change(q, &en);
	while (guest < end) {
		struct extent next = unit(q, &en, in_place, guest);

		if (run->len && !goes_on(run, &next))
			return 0;
		if (!run->len)
			*run = next;
		else
			run->len += next.len;
		guest += next.len;
	}
	return run->kind != EXTENT_COMPRESSED;
}

static int map_entries(const struct qcow2 *q, const struct entries *e, uint64_t guest, uint64_t len,
		       struct extent *ret)
{
	uint64_t end = (guest & ~(q->cluster_size - 1)) + ((uint64_t)e->n << q->cluster_bits);
	struct extent run = { .kind = EXTENT_HOLE };
	int r = 1;

	if (!e->page)
		run.len = end - guest;
	for (uint32_t i = 0; e->page && r == 1 && i < e->n && run.len < len; i++)
		r = add_cluster(q, e, i, guest + run.len, &run);
	if (r < 0)
		return r;
	run.len = min_u64(run.len, len);
	*ret = run;
	return 0;
}

int qcow2_map(struct volume *v, uint64_t offset, uint64_t len, struct extent *ret)
{
	struct qcow2 *q = qcow2_of(v);
	struct entries e;
	int r = l2_read(q, offset, &e);

	if (r < 0)
		return r;
	r = map_entries(q, &e, offset, len, ret);
	return r < 0 ? mark_corrupt(q) : 0;
}

int qcow2_map_cached(struct volume *v, uint64_t offset, uint64_t len, struct extent *ret)
{
	struct qcow2 *q = qcow2_of(v);
	uint32_t sequence = cache_sequence(&q->cache);
	struct extent found;
	struct entries e;

	if (l2_peek(q, offset, &e) < 0 || map_entries(q, &e, offset, len, &found) < 0)
		return -EAGAIN;
	if (!cache_still(&q->cache, sequence))
		return -EAGAIN;
	*ret = found;
	return 0;
}
