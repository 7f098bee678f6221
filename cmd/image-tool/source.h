/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that is read: a raw or qcow2 image with what backs it, or the map that image-import sends of another
 * format. Either way it comes as pieces that lie in files.
 */
#ifndef BULKHEAD_IMAGE_TOOL_SOURCE_H
#define BULKHEAD_IMAGE_TOOL_SOURCE_H

#include "cmd/image-tool/piece.h"
#include "lib/image/volume.h"
#include "lib/imagefile/extents.h"
#include "lib/imagefile/job.h"

#include <stdbool.h>

/* A link of a chain. */
struct source_link {
	const struct image_node *node;
	struct store_fd file, data;
	struct volume_raw raw;
	struct volume *volume;
	bool zstd; /* how what is compressed is */
};

/* A map that comes through a pipe, the disk's bytes in order. */
struct source_map {
	int pipe;
	uint8_t wire[EXTENTS_WIRE_LEN * 512];
	size_t at, len;		   /* of wire */
	struct extents_record now; /* covers now_from on */
	uint64_t now_from;
};

struct source {
	struct source_link link[IMAGE_FILES_MAX]; /* the image first */
	size_t n;
	uint64_t size;
	bool mapped;
	struct source_map map;
	const char *name;
	bool qcow2; /* the image itself */
};

enum source_how {
	SOURCE_READ,  /* with all that backs it, to be read */
	SOURCE_WRITE, /* the same, the image to be changed */
	SOURCE_TOOL,  /* the image alone: to list, check or repair */
};

/* Opens the job's files of a role. 0, or IMAGE_EXIT_FAILED after a line. */
[[nodiscard]] int source_open(struct source *s, const struct image_job *job, enum image_role role,
			      enum source_how how);
void source_close(struct source *s);
/*
 * What lies at offset, at most len bytes of it, which is within the disk: for a map never before what was
 * asked for last. 0, or a negative errno.
 */
[[nodiscard]] int source_piece(struct source *s, uint64_t offset, uint64_t len, struct piece *ret);
/* The whole map was sent: call it at the end. As source_piece. */
[[nodiscard]] int source_finish(struct source *s);

#endif
