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

/* What whoever serves it to a guest is told. */
struct disk_device_options {
	struct disk_options image;
	uint32_t physical; /* enum disk_block and 1, or 0: the host's */
	uint64_t queues;
	const char *serial; /* at most DISK_SERIAL_LEN bytes */
};

#define DISK_SERIAL_LEN 20U
#define DISK_QUEUES_MAX 16U /* of requests, where the bus has no fewer */

/* Bytes of a physical block: as the user says, or the host's, of a so large one; no smaller than the logical one. */
static inline uint32_t disk_physical(const struct disk_device_options *o, uint32_t host)
{
	const uint32_t logical = disk_bytes(o->image.logical);

	if (o->physical)
		return disk_bytes(o->physical - 1);
	return host > logical ? host : logical;
}

extern const char *const disk_formats[], *const disk_caches[], *const disk_logical_sizes[],
								       *const disk_physical_sizes[];

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

#define DISK_DEVICE_OPTIONS(type_, field_, queues_max_) \
	DISK_OPTIONS(type_, field_.image), \
	{ .name = "physical_block_size", .type = OPTION_CHOICE, OPTION_FIELD(type_, field_.physical), \
	  .choices = disk_physical_sizes, .initial = "auto" }, \
	{ .name = "queues", .type = OPTION_NUMBER, OPTION_FIELD(type_, field_.queues), .min = 1, \
	  .max = (queues_max_), .initial = "1", .value = "N" }

/* No user says it. */
#define DISK_SERIAL_OPTION(type_, field_) \
	{ .name = "serial", .type = OPTION_TEXT, OPTION_FIELD(type_, field_.serial), \
	  .max = DISK_SERIAL_LEN, .initial = "", .flags = OPTION_INNER, .made = "bulkhead-" }
/* clang-format on */

#endif
