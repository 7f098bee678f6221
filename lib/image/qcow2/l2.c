/* SPDX-License-Identifier: Apache-2.0 */
/* L2 tables: finding, making and changing them. */
#include "lib/image/qcow2/internal.h"

static uint64_t l1_index(const struct qcow2 *q, uint64_t guest)
{
	return guest >> (2 * q->cluster_bits - q->entry_bits);
}

/* Of the entry in its table. */
static uint64_t l2_index(const struct qcow2 *q, uint64_t guest)
{
	return cluster_of(q, guest) & (BIT(q->cluster_bits - q->entry_bits) - 1);
}

static uint32_t per_page(const struct qcow2 *q)
{
	return (uint32_t)BIT(q->cache.page_bits - q->entry_bits);
}

static uint64_t table_offset(const struct qcow2 *q, uint64_t guest)
{
	return __atomic_load_n(&q->l1.at[l1_index(q, guest)], __ATOMIC_RELAXED) & OFFSET_MASK;
}

static uint64_t page_offset(const struct qcow2 *q, uint64_t table, uint64_t guest)
{
	return table + (l2_index(q, guest) / per_page(q) << q->cache.page_bits);
}

static void set_position(const struct qcow2 *q, uint64_t guest, struct entries *e)
{
	e->index = (uint32_t)(l2_index(q, guest) % per_page(q));
	e->n = per_page(q) - e->index;
}

int l2_read(struct qcow2 *q, uint64_t guest, struct entries *ret)
{
	uint64_t table = table_offset(q, guest);
	struct entries e = { 0 };
	int r = 0;

	set_position(q, guest, &e);
	if (in_cluster(q, table))
		return mark_corrupt(q);
	if (table)
		r = cache_get(q, CACHE_L2, page_offset(q, table, guest), &e.page);
	if (r == 0)
		*ret = e;
	return r;
}

int l2_peek(struct qcow2 *q, uint64_t guest, struct entries *ret)
{
	uint64_t table = table_offset(q, guest);

	set_position(q, guest, ret);
	ret->page = NULL;
	if (!table)
		return 0;
	ret->page = (uint8_t *)(uintptr_t)cache_peek(&q->cache, page_offset(q, table, guest));
	return ret->page ? 0 : -EAGAIN;
}

int l2_entry(struct qcow2 *q, uint64_t guest, struct entry *ret)
{
	struct entries e = { 0 };
	int r = l2_read(q, guest, &e);

	if (r < 0)
		return r;
	*ret = (struct entry){ 0 };
	if (!e.page)
		return 0;
	r = entry_decode(q, e.page, e.index, guest & ~(q->cluster_size - 1), ret);
	return r < 0 ? mark_corrupt(q) : 0;
}

static int copy_table(struct qcow2 *q, uint64_t from, uint64_t to)
{
	uint8_t chunk[4096];

	for (uint64_t done = 0; done < q->cluster_size; done += sizeof(chunk)) {
		uint64_t n = q->cluster_size - done;
		ssize_t got;
		int r;

		if (n > sizeof(chunk))
			n = sizeof(chunk);
		got = store_read(q->file, chunk, n, from + done);
		r = got < 0 ? (int)got : store_write(q->file, chunk, n, to + done);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Nothing has to be written where there are zeroes already, and the file reaches that far. */
static int fill_table(struct qcow2 *q, uint64_t old, uint64_t offset, bool fresh)
{
	if (!old && fresh && offset + q->cluster_size <= q->sized)
		return 0;
	q->unsynced = true;
	if (old)
		return copy_table(q, old, offset);
	return store_zero(q->file, offset, fresh ? 512 : q->cluster_size);
}

/* A page of a new table, to be written before the table is in use. */
static int add_page(struct qcow2 *q, uint64_t guest, uint64_t cluster)
{
	uint8_t *page;
	int r;

	cache_change(&q->cache);
	(void)!cluster_set_add(&q->tables, cluster);
	cache_changed(&q->cache);
	r = cache_get(q, CACHE_L2, page_offset(q, cluster << q->cluster_bits, guest), &page);
	if (r == 0) {
		cache_set_dirty(&q->cache, page);
		return 0;
	}
	cache_change(&q->cache);
	cluster_set_remove(&q->tables, cluster);
	cache_changed(&q->cache);
	return r;
}

static void note_l1(struct qcow2 *q, uint64_t i)
{
	uint64_t word = htobe64(q->l1.at[i]);

	redo_note(q, q->h.l1_offset + i * 8, &word);
}

static void note_entry(struct qcow2 *q, uint64_t guest, const struct entries *e)
{
	uint64_t page = page_offset(q, table_offset(q, guest), guest);
	uint64_t at = (uint64_t)e->index << q->entry_bits, end = at + BIT(q->entry_bits);

	for (; at < end; at += 8)
		redo_note(q, page + at, e->page + at);
}

int l2_own(struct qcow2 *q, uint64_t guest)
{
	uint64_t i = l1_index(q, guest), old = q->l1.at[i] & OFFSET_MASK, cluster, n;
	bool fresh;
	int r;

	if (q->l1.at[i] & ENTRY_COPIED && old)
		return 0;
	if (in_cluster(q, old))
		return mark_corrupt(q);
	r = alloc_run(q, 1, &cluster, &n, &fresh);
	if (r == 0)
		r = fill_table(q, old, cluster << q->cluster_bits, fresh);
	if (r == 0)
		r = add_page(q, guest, cluster);
	if (r < 0)
		return r;
	cache_change(&q->cache);
	cluster_set_remove(&q->tables, cluster_of(q, old)); /* a snapshot's now */
	__atomic_store_n(&q->l1.at[i], cluster << q->cluster_bits | ENTRY_COPIED, __ATOMIC_RELAXED);
	cache_changed(&q->cache);
	cache_drop(&q->cache, old, q->cluster_size);
	table_dirty(&q->l1, i, 1);
	note_l1(q, i);
	return old ? free_later(q, cluster_of(q, old), 1) : 0;
}

int l2_set(struct qcow2 *q, uint64_t guest, const struct entry *en)
{
	struct entries e = { 0 };
	int r = l2_read(q, guest, &e);

	if (r < 0)
		return r;
	cache_change(&q->cache);
	entry_encode(q, e.page, e.index, en);
	cache_changed(&q->cache);
	cache_set_dirty(&q->cache, e.page);
	note_entry(q, guest, &e);
	return 0;
}

int entry_release(struct qcow2 *q, const struct entry *en)
{
	uint64_t first = cluster_of(q, en->host), last;

	if (en->compressed) {
		last = cluster_of(q, en->host + en->host_len - 1);
		return free_later(q, first, last - first + 1);
	}
	return en->has_host && !q->external ? free_later(q, first, 1) : 0;
}
