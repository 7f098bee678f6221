/* SPDX-License-Identifier: Apache-2.0 */
/* A run of bytes of a disk, and how they are had: without the disk's format, by any thread. */
#ifndef BULKHEAD_IMAGE_TOOL_PIECE_H
#define BULKHEAD_IMAGE_TOOL_PIECE_H

#include <stdbool.h>
#include <stdint.h>

struct ZSTD_DCtx_s;

enum piece_kind {
	PIECE_ZERO,
	PIECE_DATA,
	PIECE_ZLIB,    /* RFC 1950 */
	PIECE_DEFLATE, /* RFC 1951, as qcow2 has it */
	PIECE_ZSTD,
};

#define PIECE_STORED_MAX (4U << 20)
#define PIECE_UNPACKED_MAX (2U << 20)

struct piece {
	enum piece_kind kind;
	uint64_t len;	    /* bytes of the disk; of a compressed one: from `skip` on */
	int fd;		    /* where they lie; -1 for zeroes */
	uint64_t at;	    /* bytes in it */
	uint32_t stored;    /* compressed: bytes there */
	uint32_t skip;	    /* compressed: bytes of the disk before these, in one unit */
	uint32_t unit;	    /* compressed: bytes of the disk in all */
	unsigned int depth; /* in the chain of files, 0 the image itself */
	bool absent;	    /* ZERO: no file of the chain says anything about it */
	const char *name;   /* of the file */
};

/* Room that unpacking takes, one per thread. */
struct unpacker {
	uint8_t *stored;   /* PIECE_STORED_MAX */
	uint8_t *unpacked; /* PIECE_UNPACKED_MAX */
	struct ZSTD_DCtx_s *zstd;
};

[[nodiscard]] int unpacker_init(struct unpacker *u);
/* The first len bytes of the piece, which has as many. 0; -EILSEQ: what is compressed is broken; or the
 * host's error. What lies behind the end of its file is zeroes. */
[[nodiscard]] int piece_read(const struct piece *p, struct unpacker *u, void *out, uint64_t len);

#endif
