/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/image/qcow2: counts what refers to each cluster of the file, as the disk has it. */
#ifndef BULKHEAD_IMAGE_QCOW2_WALK_H
#define BULKHEAD_IMAGE_QCOW2_WALK_H

#include "lib/image/qcow2/snaptable.h"

struct walk {
	struct qcow2 *q;
	uint32_t *count; /* references to each cluster */
	uint64_t n;	 /* clusters of the file */
	uint64_t cap;	 /* of count */
	uint8_t *seen;	 /* bits: L2 tables of the L1 table that is walked */
	uint8_t *chunk;
	void (*say)(void *arg, const char *line);
	void *arg;
	uint64_t corruptions;
	bool incomplete; /* there may be references that are not counted */
	uint64_t allocated, compressed, fragmented; /* of the active disk */
	uint64_t expected; /* where its next cluster would lie if it were in one piece, 0: none yet */
};

/* An L1 table to walk, and the disk that it is of. */
struct walk_l1 {
	const char *what; /* "active", or the snapshot's number */
	const uint64_t *at;
	uint64_t n;
	uint64_t size; /* bytes: entries of clusters behind it are not counted; UINT64_MAX: all are */
	bool active;
};

#define WALK_CHUNK (64U << 10) /* bytes */

/* extra: clusters behind the end of the file that count has room for. */
[[nodiscard]] int walk_open(struct walk *w, struct qcow2 *q, uint64_t extra);
void walk_close(struct walk *w);
/* One more reference to what [offset, offset + len) touches. False: that is not in the file. */
bool walk_ref(struct walk *w, uint64_t offset, uint64_t len, const char *what);
[[nodiscard]] int walk_table(struct walk *w, const struct walk_l1 *l1);
/* Snapshots: their L1 tables and all that these refer to, but not the table of them. */
[[nodiscard]] int walk_snapshots(struct walk *w, const struct snaptable *t);
/* The refcount table and its blocks. */
void walk_refcounts(struct walk *w);
/* Persistent bitmaps, where they are in step. */
[[nodiscard]] int walk_bitmaps(struct walk *w);
/* Everything as it is on the disk. */
[[nodiscard]] int walk_all(struct walk *w);
[[gnu::format(printf, 2, 3)]] void walk_say(struct walk *w, const char *format, ...);
[[gnu::format(printf, 2, 3)]] void walk_error(struct walk *w, const char *format, ...);

/* Reads an L1 table. To be freed. */
[[nodiscard]] int walk_read_l1(struct qcow2 *q, uint64_t offset, uint64_t n, uint64_t **ret);

#endif
