/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map of a disk, as image-import hands it to image-tool over a pipe: records of one size, in the order of
 * the disk's bytes, the first with the disk's size, the last an end. Who reads it has the image's descriptor as
 * well, and takes the bytes from there itself. The writer is HOSTILE: it reads hostile files.
 *
 * Wire: u32 kind, u32 bytes that are stored (DEFLATED), u64 bytes of the disk, u64 offset in the file;
 * little-endian.
 */
#ifndef BULKHEAD_IMAGEFILE_EXTENTS_H
#define BULKHEAD_IMAGEFILE_EXTENTS_H

#include <stddef.h>
#include <stdint.h>

#define EXTENTS_WIRE_LEN 24
#define EXTENTS_DEFLATED_MAX (2U << 20) /* bytes of the disk in one DEFLATED */

enum extents_kind {
	EXTENTS_SIZE = 1, /* len: of the disk; the first of all */
	EXTENTS_ZERO,	  /* that is not in the file */
	EXTENTS_DATA,	  /* as it is in the file */
	EXTENTS_DEFLATED, /* by zlib (RFC 1950) */
	EXTENTS_END,	  /* the map is whole */
};

struct extents_record {
	enum extents_kind kind;
	uint32_t stored; /* DEFLATED: bytes in the file, at most twice EXTENTS_DEFLATED_MAX */
	uint64_t len;	 /* bytes of the disk, not 0 but for END */
	uint64_t offset; /* DATA, DEFLATED: in the file */
};

void extents_encode(const struct extents_record *e, uint8_t wire[EXTENTS_WIRE_LEN]);
/* 0, or -EBADMSG. What lies where: within INT64_MAX. */
[[nodiscard]] int extents_decode(const void *wire, size_t len, struct extents_record *ret);

#endif
