/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/image/qcow2: pages of L2 tables and refcount blocks, as they are on the disk.
 *
 * One thread reads and changes them; another may look (cache_peek) at any time: it takes the sequence
 * number first, and what it found holds if the number is still the same. Every change is made
 * between cache_change and cache_changed.
 */
#ifndef BULKHEAD_IMAGE_QCOW2_CACHE_H
#define BULKHEAD_IMAGE_QCOW2_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_WAYS 8U

enum cache_kind { CACHE_REFCOUNTS, CACHE_L2, CACHE_KINDS };

struct cache {
	uint32_t page_bits;
	uint32_t n_sets; /* a power of two */
	uint32_t clock;
	uint8_t *bytes;
	_Atomic uint64_t *tag; /* offset of the page in the file, 0: none */
	_Atomic uint32_t *used;
	uint8_t *dirty; /* bool */
	uint8_t *kind;
	uint32_t *order; /* for sorting */
	size_t n_dirty[CACHE_KINDS];
	_Atomic uint32_t sequence; /* odd: in the middle of a change */
};

struct qcow2;

[[nodiscard]] int cache_open(struct cache *c, uint32_t page_bits, size_t bytes);
void cache_close(struct cache *c);
/* Drops everything. */
void cache_clear(struct cache *c);

/* Drops the pages of a table that is not used any more; none is dirty. */
void cache_drop(struct cache *c, uint64_t offset, uint64_t len);

/* The page of the file at offset, read if it is not there; valid until the next cache_get. */
[[nodiscard]] int cache_get(struct qcow2 *q, enum cache_kind kind, uint64_t offset, uint8_t **ret);
/* Of a page just got. */
void cache_set_dirty(struct cache *c, const uint8_t *page);
/* Writes the dirty pages of a kind, in the order of their offsets, neighbours together. */
[[nodiscard]] int cache_write(struct qcow2 *q, enum cache_kind kind);

void cache_change(struct cache *c);
void cache_changed(struct cache *c);

/* For the other thread. NULL: not there. */
[[nodiscard]] const uint8_t *cache_peek(struct cache *c, uint64_t offset);
[[nodiscard]] uint32_t cache_sequence(struct cache *c);
[[nodiscard]] bool cache_still(struct cache *c, uint32_t sequence);

#endif
