/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills a new qcow2 image, by several threads at once: clusters are given out in the order in which they are
 * asked for, and what says where they are is kept in memory and written at the end. The file is no
 * image before that; nobody has it under its name.
 */
#ifndef BULKHEAD_IMAGE_TOOL_BUILD_H
#define BULKHEAD_IMAGE_TOOL_BUILD_H

#include "lib/image/store.h"
#include "lib/image/volume.h"
#include "lib/imagefile/job.h"

#include <pthread.h>

struct build {
	uint32_t cluster; /* bytes */
	uint32_t cluster_bits;
	uint32_t refcount_order;
	uint32_t entry_words; /* of an L2 entry: 1, or 2 with subclusters */
	uint64_t l1_offset;
	uint32_t l1_size;  /* entries */
	uint64_t **tables; /* one L2 table for each entry, host byte order; NULL: none */
	uint32_t l2_bits;  /* log2 of entries of one */
	pthread_mutex_t lock;
	uint64_t end;	    /* of the file, in clusters */
	uint64_t packed_at; /* where the next compressed bytes go, in bytes; 0: into a new cluster */
	uint16_t *shared;   /* references beyond one, by cluster */
	uint64_t n_shared;
	uint64_t old_table, old_table_clusters; /* of refcounts, as it was made; in clusters */
	uint64_t old_block;
};

/* file is what qcow2_create has made. 0, or a negative errno. */
[[nodiscard]] int build_open(struct build *b, struct store_fd *file);
/* Where the next n clusters of the file begin, in bytes. */
[[nodiscard]] uint64_t build_take(struct build *b, uint32_t n);
/* The same, in *ret, for len bytes, at most a cluster, that are packed among others. */
[[nodiscard]] int build_take_packed(struct build *b, uint32_t len, uint64_t *ret);
/* Cluster `index` of the disk lies at offset. */
[[nodiscard]] int build_set(struct build *b, uint64_t index, uint64_t offset);
/* The same, len bytes of it compressed. */
[[nodiscard]] int build_set_packed(struct build *b, uint64_t index, uint64_t offset, uint32_t len);
/* Writes what says where everything is. */
[[nodiscard]] int build_finish(struct build *b, struct store *file);

#endif
