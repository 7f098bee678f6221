/* SPDX-License-Identifier: Apache-2.0 */
/* See cache.h. */
#include "lib/image/qcow2/internal.h"

#include <stdlib.h>

static size_t n_pages(const struct cache *c)
{
	return (size_t)c->n_sets * CACHE_WAYS;
}

static uint8_t *page_at(const struct cache *c, size_t i)
{
	return c->bytes + (i << c->page_bits);
}

static size_t first_of_set(const struct cache *c, uint64_t offset)
{
	uint64_t hash = (offset >> c->page_bits) * 0x9e3779b97f4a7c15U;

	return (size_t)((hash >> 32) & (c->n_sets - 1)) * CACHE_WAYS;
}

int cache_open(struct cache *c, uint32_t page_bits, size_t bytes)
{
	size_t n;

	*c = (struct cache){ .page_bits = page_bits, .n_sets = 1 };
	while ((uint64_t)c->n_sets * 2 * CACHE_WAYS << page_bits <= bytes && c->n_sets < 1U << 24)
		c->n_sets *= 2;
	n = n_pages(c);
	c->bytes = calloc(n, (size_t)1 << page_bits);
	c->tag = calloc(n, sizeof(*c->tag));
	c->used = calloc(n, sizeof(*c->used));
	c->dirty = calloc(n, 1);
	c->kind = calloc(n, 1);
	c->order = calloc(n, sizeof(*c->order));
	if (c->bytes && c->tag && c->used && c->dirty && c->kind && c->order)
		return 0;
	cache_close(c);
	return -ENOMEM;
}

void cache_close(struct cache *c)
{
	free(c->bytes);
	free(c->tag);
	free(c->used);
	free(c->dirty);
	free(c->kind);
	free(c->order);
	*c = (struct cache){ 0 };
}

void cache_change(struct cache *c)
{
	uint32_t s = atomic_load_explicit(&c->sequence, memory_order_relaxed);

	atomic_store_explicit(&c->sequence, s + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

void cache_changed(struct cache *c)
{
	uint32_t s = atomic_load_explicit(&c->sequence, memory_order_relaxed);

	atomic_store_explicit(&c->sequence, s + 1, memory_order_release);
}

uint32_t cache_sequence(struct cache *c)
{
	return atomic_load_explicit(&c->sequence, memory_order_acquire);
}

bool cache_still(struct cache *c, uint32_t sequence)
{
	atomic_thread_fence(memory_order_acquire);
	return !(sequence & 1) &&
	       atomic_load_explicit(&c->sequence, memory_order_relaxed) == sequence;
}

static void set_tag(struct cache *c, size_t i, uint64_t tag)
{
	cache_change(c);
	atomic_store_explicit(&c->tag[i], tag, memory_order_relaxed);
	cache_changed(c);
}

static bool find(struct cache *c, uint64_t offset, size_t *ret)
{
	size_t first = first_of_set(c, offset);

	for (size_t i = first; i < first + CACHE_WAYS; i++)
		if (atomic_load_explicit(&c->tag[i], memory_order_relaxed) == offset) {
			atomic_store_explicit(&c->used[i], c->clock, memory_order_relaxed);
			*ret = i;
			return true;
		}
	return false;
}

const uint8_t *cache_peek(struct cache *c, uint64_t offset)
{
	size_t i;

	return find(c, offset, &i) ? page_at(c, i) : NULL;
}

/* The page of the set that is clean and was not used for longest. */
static bool pick(struct cache *c, uint64_t offset, size_t *ret)
{
	size_t first = first_of_set(c, offset);
	uint32_t oldest = 0;
	bool found = false;

	for (size_t i = first; i < first + CACHE_WAYS; i++) {
		uint32_t age =
			c->clock - atomic_load_explicit(&c->used[i], memory_order_relaxed) + 1;

		if (c->tag[i] == 0)
			age = UINT32_MAX;
		if (c->dirty[i] || (found && age <= oldest))
			continue;
		oldest = age;
		*ret = i;
		found = true;
	}
	return found;
}

static int make_room(struct qcow2 *q, uint64_t offset, size_t *ret)
{
	int r;

	if (pick(&q->cache, offset, ret))
		return 0;
	r = commit(q);
	if (r < 0)
		return r;
	return pick(&q->cache, offset, ret) ? 0 : -EIO;
}

int cache_get(struct qcow2 *q, enum cache_kind kind, uint64_t offset, uint8_t **ret)
{
	struct cache *c = &q->cache;
	ssize_t got;
	size_t i;
	int r;

	c->clock++;
	if (find(c, offset, &i)) {
		if (c->kind[i] != kind)
			return mark_corrupt(q); /* a table that is two things */
		*ret = page_at(c, i);
		return 0;
	}
	r = make_room(q, offset, &i);
	if (r < 0)
		return r;
	set_tag(c, i, 0);
	got = store_read(q->file, page_at(c, i), (size_t)1 << c->page_bits, offset);
	if (got < 0)
		return (int)got;
	c->kind[i] = (uint8_t)kind;
	atomic_store_explicit(&c->used[i], c->clock, memory_order_relaxed);
	set_tag(c, i, offset);
	*ret = page_at(c, i);
	return 0;
}

void cache_set_dirty(struct cache *c, const uint8_t *page)
{
	size_t i = (size_t)(page - c->bytes) >> c->page_bits;

	if (c->dirty[i])
		return;
	c->dirty[i] = 1;
	c->n_dirty[c->kind[i]]++;
}

static uint64_t tag_of(const struct cache *c, uint32_t i)
{
	return atomic_load_explicit(&c->tag[i], memory_order_relaxed);
}

/* Shell's sort: the C library's may allocate. */
static void sort(const struct cache *c, size_t n)
{
	for (size_t gap = n / 2; gap; gap /= 2)
		for (size_t i = gap; i < n; i++) {
			uint32_t moving = c->order[i];
			size_t j = i;

			for (; j >= gap && tag_of(c, c->order[j - gap]) > tag_of(c, moving);
			     j -= gap)
				c->order[j] = c->order[j - gap];
			c->order[j] = moving;
		}
}

static size_t list_dirty(const struct cache *c, enum cache_kind kind)
{
	size_t n = 0;

	for (uint32_t i = 0; i < n_pages(c); i++)
		if (c->dirty[i] && c->kind[i] == kind)
			c->order[n++] = i;
	sort(c, n);
	return n;
}

/* Writes pages of the list from `at` on that are neighbours on the disk. Returns how many. */
static ssize_t write_run(struct qcow2 *q, size_t at, size_t n)
{
	struct cache *c = &q->cache;
	uint64_t page_len = (uint64_t)1 << c->page_bits, offset = tag_of(c, c->order[at]);
	struct iovec iov[WINDOW];
	size_t used = 0;
	int r;

	while (at + used < n && used < WINDOW &&
	       tag_of(c, c->order[at + used]) == offset + used * page_len) {
		iov[used].iov_base = page_at(c, c->order[at + used]);
		iov[used++].iov_len = page_len;
	}
	for (size_t i = 0; i < used; i++) {
		r = overlap_check_page(q, offset + i * page_len);
		if (r < 0)
			return r;
	}
	r = store_writev(q->file, iov, used, offset);
	return r < 0 ? r : (ssize_t)used;
}

int cache_write(struct qcow2 *q, enum cache_kind kind)
{
	struct cache *c = &q->cache;
	size_t n = c->n_dirty[kind] ? list_dirty(c, kind) : 0;

	for (size_t at = 0; at < n;) {
		ssize_t done = write_run(q, at, n);

		if (done < 0)
			return (int)done;
		for (; done; done--) {
			c->dirty[c->order[at++]] = 0;
			c->n_dirty[kind]--;
		}
	}
	return 0;
}

void cache_drop(struct cache *c, uint64_t offset, uint64_t len)
{
	uint64_t page = UINT64_C(1) << c->page_bits;
	size_t i;

	for (uint64_t at = offset; offset && at < offset + len; at += page)
		if (find(c, at, &i) && !c->dirty[i])
			set_tag(c, i, 0);
}

void cache_clear(struct cache *c)
{
	cache_change(c);
	for (size_t i = 0; i < n_pages(c); i++) {
		atomic_store_explicit(&c->tag[i], 0, memory_order_relaxed);
		c->dirty[i] = 0;
	}
	c->n_dirty[CACHE_REFCOUNTS] = c->n_dirty[CACHE_L2] = 0;
	cache_changed(c);
}
