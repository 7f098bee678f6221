/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats that are only read: a parser finds a disk's size, then says in order what every byte of it is. It
 * reads the file through a function of its caller's, is HOSTILE's reader, and holds no more memory than its own
 * struct and one table.
 */
#ifndef BULKHEAD_IMAGE_IMPORT_IMPORT_H
#define BULKHEAD_IMAGE_IMPORT_IMPORT_H

#include "lib/imagefile/extents.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMPORT_SECTOR UINT64_C(512)
#define IMPORT_NOTE_MAX 120

struct import_file {
	/* Fills buf; what lies behind the file's end reads as zeroes. 0 or a negative errno. */
	int (*read)(struct import_file *f, void *buf, size_t len, uint64_t offset);
	uint64_t size;
};

/* Where what a parser finds goes. A negative return ends it. */
struct import_sink {
	int (*put)(struct import_sink *s, const struct extents_record *e);
};

struct import_error {
	char text[240]; /* one line: which field, and what would be right */
};

struct import_info {
	uint64_t size;	  /* of the disk, bytes */
	uint32_t block;	  /* unit of allocation, bytes; 0: there is none */
	const char *kind; /* "monolithicSparse", "dynamic" */
	bool compressed;
};

/* One image that is read. Its parser's state is behind it. */
struct import {
	struct import_file *file;
	struct import_info info;
	struct import_error *error;
	union {
		struct {
			uint64_t bat; /* sector of the table of blocks: vhd; offset: vhdx */
			uint32_t entries;
		} vhd;
		struct {
			uint64_t bat;
			uint64_t ratio; /* blocks of data for one bitmap's */
		} vhdx;
		struct {
			uint64_t gd; /* bytes: of the directory */
			uint64_t tables;
			uint32_t per_table; /* entries */
			bool zeroed_grains;
		} vmdk;
	} u;
};

/* 0; -EINVAL, -ENOTSUP or another errno with a line in e. */
[[nodiscard]] int vhd_open(struct import *i, struct import_file *f, struct import_error *e);
[[nodiscard]] int vhdx_open(struct import *i, struct import_file *f, struct import_error *e);
[[nodiscard]] int vmdk_open(struct import *i, struct import_file *f, struct import_error *e);
/* Every byte of the disk, in order, without SIZE and END. */
[[nodiscard]] int vhd_map(struct import *i, struct import_sink *s);
[[nodiscard]] int vhdx_map(struct import *i, struct import_sink *s);
[[nodiscard]] int vmdk_map(struct import *i, struct import_sink *s);

/* Fills e and returns r. */
[[gnu::format(printf, 3, 4)]] int import_fail(struct import_error *e, int r, const char *fmt, ...);
/* A read that failed is said. */
[[nodiscard]] int import_read(struct import *i, void *buf, size_t len, uint64_t offset,
			      const char *what);
/* len bytes that the file must have; the size of the file is named otherwise. */
[[nodiscard]] int import_within(struct import *i, uint64_t offset, uint64_t len, const char *what);

/* A run that is put together, so that the map is short. */
struct import_run {
	struct import_sink *sink;
	struct extents_record now; /* len 0: none */
	uint64_t left;		   /* of the disk */
};

void import_run_begin(struct import_run *r, struct import_sink *s, uint64_t size);
/* Cut at the disk's end. */
[[nodiscard]] int import_run_add(struct import_run *r, const struct extents_record *e);
[[nodiscard]] int import_run_end(struct import_run *r);

#endif
