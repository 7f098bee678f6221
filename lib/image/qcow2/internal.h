/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/image/qcow2: an open image.
 *
 * What keeps it without corruption at every cut: of the clusters that something on the disk refers
 * to, the disk's refcounts are never too low. So increments are on stable storage before what refers
 * (commit.c), and decrements are made only after what referred no longer does on stable storage
 * (frees.c). Nothing that is referred to is written twice: what changes many tables at once (shadow.c)
 * writes new ones and then the header.
 */
#ifndef BULKHEAD_IMAGE_QCOW2_INTERNAL_H
#define BULKHEAD_IMAGE_QCOW2_INTERNAL_H

#include "lib/image/qcow2/cache.h"
#include "lib/image/qcow2/format.h"
#include "lib/image/qcow2/header.h"

#define BOUNCE (128U << 10) /* bytes */
#define MAX_FREES 1024U	    /* runs */
#define WINDOW 64U	    /* pieces of memory of one transfer */
#define RESERVE_BYTES MIB(64)
#define RESERVE_MAX 16384U    /* clusters */
#define REPAIR_MAX (3U << 18) /* clusters of a file: its refcounts are made anew in 7 MiB */

/* Clusters to be freed, when nothing on the disk refers to them any more. */
struct free_run {
	uint64_t cluster, n;
};

/* A part of the file, in bytes. */
struct span {
	uint64_t offset, len;
};

/* A set of clusters, open addressing; 0 (the header) is in every set without taking a place. */
struct cluster_set {
	uint64_t *at;
	size_t n, cap; /* cap: a power of two, at least twice n */
};

/* Entries of a table in memory (host order) that differ from the disk's: [from, to). */
struct table {
	uint64_t *at;
	uint64_t n, cap;
	uint64_t dirty_from, dirty_to;
};

/* Clusters [next, end) that are ready to be referred to; see reserve.c. */
struct reservation {
	uint64_t next, end;
};

/* See redo.c. */
struct redo {
	uint64_t *words; /* NULL: there is none */
	uint64_t n, cap; /* records */
	bool full;	 /* something was not noted */
};

struct decompressor;

struct qcow2 {
	struct volume volume;
	struct store *file, *data; /* the same, unless there is a data file */
	bool external, raw_external, tool;
	bool bounded; /* max_size was given: not to be raised */
	struct qcow2_header h;
	struct qcow2_extensions ext;
	uint32_t cluster_bits;
	uint32_t entry_bits; /* of a table's entry: 3, extended 4 */
	uint32_t subclusters, sub_bits;
	uint32_t refcount_bits;
	uint64_t cluster_size;
	struct table l1, reftable;
	struct cache cache;
	struct cluster_set tables; /* active L2 tables and refcount blocks */
	struct span *spans;	   /* of snapshots: their L1 tables, and the table of them */
	size_t n_spans;
	uint64_t cursor;   /* no cluster below is free */
	uint64_t frontier; /* bytes: from here on the file was never written */
	uint64_t limit;	   /* clusters of the file */
	uint64_t max_size; /* of the disk while it is open, bytes */
	uint64_t sized;	   /* bytes: that the file is at least so long is on stable storage */
	uint64_t sizing;   /* the same after the next flush */
	struct reservation reserved;
	uint64_t reserve_max;	/* clusters at once */
	uint64_t reserve_below; /* clusters: none is from here on */
	struct redo redo;
	bool settles; /* tables are written after each group of requests */
	bool marked;  /* the dirty bit was set here */
	struct free_run frees[MAX_FREES];
	size_t n_frees;
	bool unsynced;	 /* something was written that has to be stable before what refers to it */
	int failed;	 /* 0, or why nothing is written any more */
	uint8_t *bounce; /* BOUNCE bytes */
	struct decompressor *decompressor;
};

static inline struct qcow2 *qcow2_of(struct volume *v)
{
	return (struct qcow2 *)v; /* its first member */
}
_Static_assert(offsetof(struct qcow2, volume) == 0, "qcow2_of");

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t divide_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b ? 1 : 0);
}

static inline uint64_t cluster_of(const struct qcow2 *q, uint64_t offset)
{
	return offset >> q->cluster_bits;
}

static inline uint64_t in_cluster(const struct qcow2 *q, uint64_t offset)
{
	return offset & (q->cluster_size - 1);
}

static inline uint64_t clusters_for(const struct qcow2 *q, uint64_t bytes)
{
	return (bytes >> q->cluster_bits) + (in_cluster(q, bytes) ? 1 : 0);
}

/* overlap.c */
[[nodiscard]] bool cluster_set_add(struct cluster_set *s, uint64_t cluster); /* false: was there */
void cluster_set_remove(struct cluster_set *s, uint64_t cluster);
[[nodiscard]] bool cluster_set_has(const struct cluster_set *s, uint64_t cluster);
/* Enough for the image's tables now, and for all that can come up to its limit. */
[[nodiscard]] int overlap_open(struct qcow2 *q, struct volume_error *e);
void overlap_close(struct qcow2 *q);
/* Whether any cluster of the file's [offset, offset + len) is metadata. */
[[nodiscard]] bool overlap_any(const struct qcow2 *q, uint64_t offset, uint64_t len);
/* Before the guest's bytes go there, or a cluster is put to use: 0, or marks the image corrupt: -EIO. */
[[nodiscard]] int overlap_check(struct qcow2 *q, uint64_t offset, uint64_t len);
/* Before a page of an L2 table or refcount block is written. */
[[nodiscard]] int overlap_check_page(struct qcow2 *q, uint64_t offset);
/* Sets the image's corrupt bit; nothing is written from here on. Returns -EIO. */
int mark_corrupt(struct qcow2 *q);

/* refcount.c */
[[nodiscard]] int refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *ret);
[[nodiscard]] int refcount_set(struct qcow2 *q, uint64_t cluster, uint64_t value);
/* The refcount block that has this cluster exists afterwards. */
[[nodiscard]] int refcount_cover(struct qcow2 *q, uint64_t cluster);
[[nodiscard]] uint64_t refcount_field(const uint8_t *block, uint64_t index, uint32_t bits);
void refcount_put(uint8_t *block, uint64_t index, uint32_t bits, uint64_t value);
static inline uint64_t refcounts_per_block(const struct qcow2 *q)
{
	return q->cluster_size * 8 / q->refcount_bits;
}

/* reftable.c: a longer refcount table, with the blocks that describe it. */
[[nodiscard]] int reftable_grow(struct qcow2 *q, uint64_t entries);

/* alloc.c: a run of 1 to want clusters whose refcounts are 1; fresh: they read as zeroes. -ENOSPC. */
[[nodiscard]] int alloc_run(struct qcow2 *q, uint64_t want, uint64_t *ret_cluster, uint64_t *ret_n,
			    bool *ret_fresh);
/* Exactly n. */
[[nodiscard]] int alloc_contiguous(struct qcow2 *q, uint64_t n, uint64_t *ret_cluster,
				   bool *ret_fresh);

/* reserve.c: before a cluster is taken: says on the disk that refcounts may be too high. */
[[nodiscard]] int reserve_mark(struct qcow2 *q);
/* Makes clusters from the first on ready, where that is possible: else there are none. */
[[nodiscard]] int reserve(struct qcow2 *q, uint64_t first);
/* Up to `want` of them, side by side. Returns how many; 0: there are no more. */
[[nodiscard]] uint64_t reserve_take(struct qcow2 *q, uint64_t want, uint64_t *ret_cluster);
static inline bool reserve_left(const struct qcow2 *q)
{
	return q->reserved.next < q->reserved.end;
}
/* They are free again. */
[[nodiscard]] int reserve_release(struct qcow2 *q);
/* The same at the end, with everything flushed. */
[[nodiscard]] int reserve_end(struct qcow2 *q);
/* Before the first settling. */
[[nodiscard]] int reserve_begin(struct qcow2 *q);

/* redo.c: writes what a process before this one has left there. NULL: there is no log. */
[[nodiscard]] int redo_open(struct qcow2 *q, void *at, size_t bytes, struct volume_error *e);
/* 8 bytes of the file have changed in memory. */
void redo_note(struct qcow2 *q, uint64_t offset, const void *bytes);
/* All that was noted is settled. False: it has to be written instead. */
[[nodiscard]] bool redo_settle(struct qcow2 *q);
/* Everything was written, or is to be forgotten. */
void redo_forget(struct qcow2 *q);

/* frees.c */
[[nodiscard]] int free_later(struct qcow2 *q, uint64_t cluster, uint64_t n);
[[nodiscard]] int frees_apply(struct qcow2 *q); /* after a flush */

/* commit.c: writes what is dirty, in order, without the last flush. */
[[nodiscard]] int commit(struct qcow2 *q);
/* The same after a group of requests, where the entries may stay in the log. */
[[nodiscard]] int settle_all(struct qcow2 *q);
/* The refcounts of it. */
[[nodiscard]] int commit_refcounts(struct qcow2 *q);
/* Writes and flushes everything, then frees. */
[[nodiscard]] int flush_all(struct qcow2 *q);
/* Flushes the file in the middle of things. */
[[nodiscard]] int barrier(struct qcow2 *q);
/* Sets [at, at + n) of a table dirty. */
void table_dirty(struct table *t, uint64_t at, uint64_t n);
/* Writes what is dirty of a table that begins at offset. */
[[nodiscard]] int table_write(struct qcow2 *q, struct table *t, uint64_t offset);

/* An L2 entry, understood. */
struct entry {
	bool has_host, copied, compressed;
	uint64_t host;	   /* bytes in the data store; compressed: of its first byte in the file */
	uint64_t host_len; /* compressed: bytes at most */
	uint32_t alloc,
		zero; /* bits of subclusters; without extended entries bit 0 is the cluster */
};

/* Entries of one page of an L2 table, from what a disk's offset needs on. */
struct entries {
	uint8_t *page; /* NULL: there is no table, all are empty */
	uint32_t index, n;
};

/* entry.c */
[[nodiscard]] int entry_decode(const struct qcow2 *q, const uint8_t *page, uint32_t index,
			       uint64_t guest, struct entry *ret);
/* Of what entry_decode gave; never compressed. */
void entry_encode(const struct qcow2 *q, uint8_t *page, uint32_t index, const struct entry *en);
static inline uint32_t all_subs(const struct qcow2 *q)
{
	return q->subclusters == 1 ? 1 : UINT32_MAX;
}

/* l2.c: valid until anything else is read. */
[[nodiscard]] int l2_read(struct qcow2 *q, uint64_t guest, struct entries *ret);
[[nodiscard]] int l2_entry(struct qcow2 *q, uint64_t guest, struct entry *ret);
/* The same for the other thread: -EAGAIN. */
[[nodiscard]] int l2_peek(struct qcow2 *q, uint64_t guest, struct entries *ret);
/* The table exists and is this disk's alone afterwards. */
[[nodiscard]] int l2_own(struct qcow2 *q, uint64_t guest);
/* Changes one entry of a table that is owned. */
[[nodiscard]] int l2_set(struct qcow2 *q, uint64_t guest, const struct entry *en);
/* Gives up what an entry refers to; to be called after the entry was changed. */
[[nodiscard]] int entry_release(struct qcow2 *q, const struct entry *en);

/* resize.c: no table of that many entries is taken. -EINVAL. */
int size_impossible(const struct qcow2 *q, struct volume_error *e);

/* map.c */
int qcow2_map(struct volume *v, uint64_t offset, uint64_t len, struct extent *ret);
int qcow2_map_cached(struct volume *v, uint64_t offset, uint64_t len, struct extent *ret);

/* read.c, write.c, zero.c */
int qcow2_readv(struct volume *v, const struct iovec *iov, size_t n_iov, uint64_t offset);
int qcow2_writev(struct volume *v, const struct iovec *iov, size_t n_iov, uint64_t offset);
int qcow2_zero(struct volume *v, uint64_t offset, uint64_t len, bool may_unmap);
int qcow2_discard(struct volume *v, uint64_t offset, uint64_t len);
/* The same of the bytes of a data file alone, which is a raw disk. */
[[nodiscard]] int zero_data_file(struct qcow2 *q, uint64_t offset, uint64_t len);
/* Bits of the subclusters of the cluster at `cluster` that lie in [from, to). */
[[nodiscard]] uint32_t subs_in(const struct qcow2 *q, uint64_t cluster, uint64_t from, uint64_t to);
/* Whether a range of one cluster reads as zeroes, as far as can be told without reading it. */
[[nodiscard]] bool reads_zero(struct qcow2 *q, const struct entry *en, uint64_t guest,
			      uint64_t len);

/* compressed.c */
[[nodiscard]] int decompressor_open(struct qcow2 *q);
void decompressor_close(struct qcow2 *q);
/* The bytes of a compressed cluster, until the next call. */
[[nodiscard]] int decompress(struct qcow2 *q, const struct entry *en, const uint8_t **ret);
/* What was decompressed may no longer be what is there. */
void decompressor_forget(struct qcow2 *q);

/* bound.c: clusters of the file that a disk of this size can come to need. */
[[nodiscard]] uint64_t bound_clusters(const struct qcow2 *q, uint64_t size);
/* The same without what is spare or there already: what is reserved ahead does not reach beyond. */
[[nodiscard]] uint64_t bound_needed(const struct qcow2 *q);

/* table.c of snapshots: reads where they lie. */
[[nodiscard]] int snapshots_spans(struct qcow2 *q, struct volume_error *e);

/* preallocate.c */
[[nodiscard]] int preallocate(struct store *file);

/* open.c */
[[nodiscard]] int tables_load(struct qcow2 *q, struct volume_error *e);
void tables_unload(struct qcow2 *q);
/* All but the stores and the backing. */
void qcow2_free(struct qcow2 *q);
/* Writes bytes of the header and flushes. */
[[nodiscard]] int header_write(struct qcow2 *q, uint32_t at, const uint8_t *bytes, size_t len);

#endif
