/* SPDX-License-Identifier: Apache-2.0 */
/* See walk.h. */
#include "lib/image/qcow2/walk.h"

#include "lib/base/checked.h"
#include "lib/base/cleanup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void walk_say(struct walk *w, const char *format, ...)
{
	char line[200];
	va_list args;

	if (!w->say)
		return;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	w->say(w->arg, line);
}

void walk_error(struct walk *w, const char *format, ...)
{
	char line[180];
	va_list args;

	w->corruptions++;
	if (!w->say)
		return;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	walk_say(w, "ERROR %s", line);
}

int walk_open(struct walk *w, struct qcow2 *q, uint64_t extra)
{
	*w = (struct walk){ .q = q, .n = clusters_for(q, q->file->size) };
	w->cap = w->n + extra;
	w->count = calloc(w->cap + 1, sizeof(*w->count));
	w->seen = calloc(w->n / 8 + 1, 1);
	w->chunk = malloc(WALK_CHUNK);
	if (w->count && w->seen && w->chunk)
		return 0;
	walk_close(w);
	return -ENOMEM;
}

void walk_close(struct walk *w)
{
	free(w->count);
	free(w->seen);
	free(w->chunk);
	w->count = NULL;
	w->seen = w->chunk = NULL;
}

bool walk_ref(struct walk *w, uint64_t offset, uint64_t len, const char *what)
{
	uint64_t first = cluster_of(w->q, offset), last;

	if (!len)
		return true;
	if (!range_within(offset, len, BIT(62)) || cluster_of(w->q, offset + len - 1) >= w->n) {
		walk_error(w, "%s at 0x%llx lies behind the end of the file", what,
			   (unsigned long long)offset);
		return false;
	}
	last = cluster_of(w->q, offset + len - 1);
	for (uint64_t c = first; c <= last; c++)
		if (w->count[c] < UINT32_MAX)
			w->count[c]++;
	return true;
}

static void note_place(struct walk *w, uint64_t host)
{
	w->allocated++;
	if (w->expected && host != w->expected)
		w->fragmented++;
	w->expected = host + w->q->cluster_size;
}

static void walk_compressed(struct walk *w, const struct walk_l1 *l1, uint64_t v,
			    const struct entry *en, uint64_t guest)
{
	if (v & ENTRY_COPIED)
		walk_error(w, "compressed cluster at %llu is marked as writable",
			   (unsigned long long)guest);
	walk_ref(w, en->host, en->host_len, "compressed cluster");
	if (!l1->active)
		return;
	w->allocated++;
	w->compressed++;
	w->fragmented++;
}

static void walk_entry(struct walk *w, const struct walk_l1 *l1, uint32_t i, uint64_t guest)
{
	struct qcow2 *q = w->q;
	uint64_t v = get_be64(w->chunk + ((size_t)i << q->entry_bits));
	struct entry en;

	if (entry_decode(q, w->chunk, i, guest, &en) < 0) {
		walk_error(w, "L2 entry of %llu cannot be: 0x%llx", (unsigned long long)guest,
			   (unsigned long long)v);
		return;
	}
	if (en.compressed) {
		walk_compressed(w, l1, v, &en, guest);
		return;
	}
	if (v & RESERVED_L2)
		walk_error(w, "L2 entry of %llu has reserved bits: 0x%llx",
			   (unsigned long long)guest, (unsigned long long)v);
	if (!en.has_host)
		return;
	if (!q->external)
		walk_ref(w, en.host, q->cluster_size, "cluster");
	if (l1->active)
		note_place(w, en.host);
}

static int walk_l2(struct walk *w, const struct walk_l1 *l1, uint64_t table, uint64_t guest)
{
	struct qcow2 *q = w->q;
	uint64_t len = q->cluster_size < WALK_CHUNK ? q->cluster_size : WALK_CHUNK;

	for (uint64_t at = 0; at < q->cluster_size; at += len) {
		ssize_t got = store_read(q->file, w->chunk, len, table + at);

		if (got < 0)
			return (int)got;
		for (uint32_t i = 0; i < len >> q->entry_bits; i++, guest += q->cluster_size)
			if (guest < l1->size)
				walk_entry(w, l1, i, guest);
	}
	return 0;
}

/* Whether it was not: a table that is there twice is walked once. */
static bool mark_seen(struct walk *w, uint64_t cluster)
{
	uint8_t bit = (uint8_t)(1U << (cluster & 7));

	if (cluster >= w->n)
		return false; /* it was said */
	if (w->seen[cluster / 8] & bit) {
		w->incomplete = true;
		walk_error(w, "L2 table at cluster %llu is used twice",
			   (unsigned long long)cluster);
		return false;
	}
	w->seen[cluster / 8] |= bit;
	return true;
}

static int walk_l1_entry(struct walk *w, const struct walk_l1 *l1, uint64_t i)
{
	struct qcow2 *q = w->q;
	uint64_t v = l1->at[i], table = v & OFFSET_MASK;
	uint64_t guest = i << (2 * q->cluster_bits - q->entry_bits);

	if (v & RESERVED_L1)
		walk_error(w, "L1 entry %llu of the %s disk has reserved bits: 0x%llx",
			   (unsigned long long)i, l1->what, (unsigned long long)v);
	if (!table || guest >= l1->size)
		return 0;
	if (in_cluster(q, table)) {
		w->incomplete = true;
		walk_error(w, "L2 table %llu of the %s disk does not begin at a cluster",
			   (unsigned long long)i, l1->what);
		return 0;
	}
	walk_ref(w, table, q->cluster_size, "L2 table");
	return mark_seen(w, cluster_of(q, table)) ? walk_l2(w, l1, table, guest) : 0;
}

int walk_table(struct walk *w, const struct walk_l1 *l1)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < l1->n; i++)
		r = walk_l1_entry(w, l1, i);
	for (uint64_t i = 0; i < l1->n; i++) {
		uint64_t c = cluster_of(w->q, l1->at[i] & OFFSET_MASK);

		if (c < w->n)
			w->seen[c / 8] = 0;
	}
	return r;
}

int walk_read_l1(struct qcow2 *q, uint64_t offset, uint64_t n, uint64_t **ret)
{
	uint64_t *at = calloc(n + 1, 8);
	ssize_t got;

	if (!at)
		return -ENOMEM;
	got = store_read(q->file, at, n * 8, offset);
	if (got < 0) {
		free(at);
		return (int)got;
	}
	for (uint64_t i = 0; i < n; i++)
		at[i] = be64toh(at[i]);
	*ret = at;
	return 0;
}

/* Tables that lie on each other could be read many times over: they are not. */
static bool stands_alone(const struct walk *w, const struct snaprow *row)
{
	uint64_t first = cluster_of(w->q, row->l1_offset);
	uint64_t n = clusters_for(w->q, (uint64_t)row->l1_size * 8);

	for (uint64_t c = first; c < first + n; c++)
		if (w->count[c] != 1)
			return false;
	return true;
}

static int walk_snapshot(struct walk *w, const struct snaprow *row, uint32_t number)
{
	_cleanup_(freep) uint64_t *at = NULL;
	char what[32];
	int r;

	(void)snprintf(what, sizeof(what), "snapshot's (%u)", number);
	if (!walk_ref(w, row->l1_offset, (uint64_t)row->l1_size * 8, "a snapshot's L1 table")) {
		w->incomplete = true;
		return 0;
	}
	if (!stands_alone(w, row)) {
		w->incomplete = true;
		walk_error(w, "L1 table of the %s disk lies on something else", what);
		return 0;
	}
	r = walk_read_l1(w->q, row->l1_offset, row->l1_size, &at);
	if (r < 0)
		return r;
	return walk_table(
		w,
		&(struct walk_l1){ .what = what, .at = at, .n = row->l1_size, .size = UINT64_MAX });
}

int walk_snapshots(struct walk *w, const struct snaptable *t)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < t->n; i++)
		r = walk_snapshot(w, &t->row[i], i + 1);
	return r;
}

void walk_refcounts(struct walk *w)
{
	struct qcow2 *q = w->q;

	walk_ref(w, q->h.reftable_offset, (uint64_t)q->h.reftable_clusters << q->cluster_bits,
		 "refcount table");
	for (uint64_t i = 0; i < q->reftable.n; i++) {
		uint64_t offset = q->reftable.at[i] & OFFSET_MASK;

		if (q->reftable.at[i] & ~OFFSET_MASK || in_cluster(q, offset))
			walk_error(w, "refcount block %llu cannot be: 0x%llx",
				   (unsigned long long)i, (unsigned long long)q->reftable.at[i]);
		else if (offset)
			walk_ref(w, offset, q->cluster_size, "refcount block");
	}
}

static int walk_disk(struct walk *w)
{
	struct qcow2 *q = w->q;
	struct volume_error why;
	struct snaptable t = { 0 };
	int r;

	walk_ref(w, q->h.l1_offset, (uint64_t)q->h.l1_size * 8, "L1 table");
	r = walk_table(w, &(struct walk_l1){ .what = "active",
					     .at = q->l1.at,
					     .n = q->h.l1_size,
					     .size = UINT64_MAX,
					     .active = true });
	if (r < 0 || !q->h.n_snapshots)
		return r;
	r = snaptable_read(q, &t, &why);
	if (r == -EINVAL) {
		w->incomplete = true;
		walk_error(w, "%s", why.text);
		return 0;
	}
	if (r < 0)
		return r;
	walk_ref(w, q->h.snapshots_offset, snaptable_bytes(&t), "snapshot table");
	r = walk_snapshots(w, &t);
	snaptable_free(&t);
	return r;
}

int walk_all(struct walk *w)
{
	int r;

	walk_ref(w, 0, 1, "header");
	r = walk_disk(w);
	if (r == 0)
		r = walk_bitmaps(w);
	if (r == 0)
		walk_refcounts(w);
	return r;
}
