/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said of a disk's image, as options: of a disk, for the user, and of whichever process has its files.
 * DISK_OPTIONS are rows of a struct option table; `type` has a struct disk_options `field`.
 */
#ifndef BULKHEAD_DISKKIT_OPTIONS_H
#define BULKHEAD_DISKKIT_OPTIONS_H

#include "lib/options/option.h"

#define DISK_BACKING_MAX 7 /* backing files of a disk, one behind the other */

enum disk_format { DISK_RAW, DISK_QCOW2 };
enum disk_cache { DISK_WRITEBACK, DISK_NONE };
enum disk_block { DISK_512, DISK_4096 };

struct disk_options {
	uint32_t format;		   /* enum disk_format */
	uint8_t backing[DISK_BACKING_MAX]; /* the same and 1 of each backing file; 0: no more */
	bool readonly;
	uint32_t cache;	  /* enum disk_cache */
	uint32_t logical; /* enum disk_block */
};

static inline uint32_t disk_bytes(uint32_t block)
{
	return block == DISK_512 ? 512 : 4096;
}

extern const char *const disk_formats[], *const disk_caches[], *const disk_logical_sizes[];

/* clang-format off */
#define DISK_OPTIONS(type_, field_) \
	{ .name = "format", .type = OPTION_CHOICE, OPTION_FIELD(type_, field_.format), \
	  .choices = disk_formats, .flags = OPTION_REQUIRED }, \
	{ .name = "backing-format", .type = OPTION_CHOICE, OPTION_FIELD(type_, field_.backing[0]), \
	  .choices = disk_formats, .list = DISK_BACKING_MAX }, \
	{ .name = "readonly", .type = OPTION_ONOFF, OPTION_FIELD(type_, field_.readonly), .max = 1, \
	  .initial = "off" }, \
	{ .name = "cache", .type = OPTION_CHOICE, OPTION_FIELD(type_, field_.cache), \
	  .choices = disk_caches, .initial = "writeback" }, \
	{ .name = "logical_block_size", .type = OPTION_CHOICE, OPTION_FIELD(type_, field_.logical), \
	  .choices = disk_logical_sizes, .initial = "512" }
/* clang-format on */

#endif
