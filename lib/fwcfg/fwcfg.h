/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What firmware is told of its machine: items by number (QEMU docs/specs/fw_cfg.rst), in one image that the
 * vmm writes once, before any hostile byte, and that nobody can change afterwards; and where the registers
 * by which it is told lie in the region that dev-firmware serves.
 *
 * The image, little-endian: magic (4 bytes), number of items (4), the CMOS at power-on (128), then a row for
 * each item: number (2), 0 (2), offset in the image (4), length (4); then their bytes.
 */
#ifndef BULKHEAD_FWCFG_FWCFG_H
#define BULKHEAD_FWCFG_FWCFG_H

#include <stddef.h>
#include <stdint.h>

#define FWCFG_IMAGE_NAME "firmware-items"     /* as maps and audits show it */
#define FWCFG_IMAGE_SIZE (UINT32_C(64) << 10) /* bytes */
#define FWCFG_MAGIC 0x43465742U		      /* "BWFC" */
#define FWCFG_ROWS_MAX 32
#define FWCFG_CMOS_LEN 128
#define FWCFG_CMOS_AT 8
#define FWCFG_ROWS_AT (FWCFG_CMOS_AT + FWCFG_CMOS_LEN)
#define FWCFG_ROW_LEN 12
#define FWCFG_DATA_AT (FWCFG_ROWS_AT + FWCFG_ROWS_MAX * FWCFG_ROW_LEN)

/* Numbers of items. */
#define FWCFG_SIGNATURE 0x00
#define FWCFG_ID 0x01
#define FWCFG_CPUS 0x05
#define FWCFG_MAX_CPUS 0x0f
#define FWCFG_DIRECTORY 0x19
#define FWCFG_FILE_FIRST 0x20 /* files are numbered from here on, as the directory says */
#define FWCFG_FILES_MAX 16
#define FWCFG_NAME_LEN 56 /* bytes of a file's name with NUL */

/* The region of registers: ports keep their distance. A read of n bytes from DATA on takes the next n of the
 * item, which so cross together. */
#define FWREGS_TIMER 0x00    /* 4 bytes: the PM timer */
#define FWREGS_CMOS 0x10     /* index, and behind it the byte */
#define FWREGS_SELECTOR 0xfe /* 2 bytes: the item's number */
#define FWREGS_DATA 0xff
#define FWREGS_SIZE 0x1ff

struct fwcfg_item {
	uint32_t offset; /* in the image */
	uint32_t len;	 /* bytes */
};

/* The item of that number, within the image of FWCFG_IMAGE_SIZE bytes. -ENOENT: there is none. -EBADMSG: its
 * row is none that fwcfg_finish writes. */
[[nodiscard]] int fwcfg_find(const uint8_t *image, uint16_t number, struct fwcfg_item *ret);

/* ---- the writer's side ---- */

struct fwcfg_writer {
	uint8_t *image;
	uint32_t at; /* the next item's bytes */
	unsigned int n_rows, n_files;
	int error; /* the first; sticky */
	uint8_t directory[4 + FWCFG_FILES_MAX * (8 + FWCFG_NAME_LEN)];
};

/* image: FWCFG_IMAGE_SIZE zero bytes. */
void fwcfg_begin(struct fwcfg_writer *w, uint8_t *image, const uint8_t cmos[FWCFG_CMOS_LEN]);
void fwcfg_add(struct fwcfg_writer *w, uint16_t number, const void *bytes, size_t len);
void fwcfg_add_file(struct fwcfg_writer *w, const char *name, const void *bytes, size_t len);
/* 0, or -ENOSPC: more than there is room for. */
[[nodiscard]] int fwcfg_finish(struct fwcfg_writer *w);

#endif
