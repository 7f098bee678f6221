/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VHD images, fixed and dynamic: Microsoft's "Virtual Hard Disk Image Format Specification". Big-endian. What
 * size a disk has is an old quarrel, in which this sides with QEMU: by its geometry, unless the image was
 * made by a program that is known to mean its "current size".
 */
#include "cmd/image-import/import.h"

#include "cmd/image-import/wire.h"

#include <errno.h>
#include <string.h>

#define FOOTER_LEN 512U
#define HEADER_LEN 1024U
#define TYPE_FIXED 2U
#define TYPE_DYNAMIC 3U
#define TYPE_DIFFERENCING 4U
#define BLOCK_MIN 4096U /* of what is taken; everybody makes 2 MiB, or 512 KiB */
#define BLOCK_MAX (256U << 20)
#define ENTRIES_MAX (16U << 20)
#define SIZE_MAX_BYTES (2040ULL << 30) /* the specification's */
#define NOT_THERE UINT32_MAX
#define CHS_MOST (65535ULL * 16 * 255)

static bool has_cookie(const uint8_t *footer)
{
	return memcmp(footer, "conectix", 8) == 0;
}

/* One's complement of the sum of all bytes but its own. */
static bool sum_is_right(const uint8_t *at, size_t len, size_t field)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		if (i < field || i >= field + 4)
			sum += at[i];
	return ~sum == be32(at + field);
}

static uint64_t size_of(const uint8_t *footer)
{
	static const char by_size[][5] = { "win ", "qem2", "d2v ", "CTXS", "tap", "wa" };
	uint64_t sectors = (uint64_t)be16(footer + 56) * footer[58] * footer[59];
	const char *creator = (const char *)footer + 28;

	for (size_t i = 0; i < sizeof(by_size) / sizeof(by_size[0]); i++)
		if (strncmp(creator, by_size[i], strlen(by_size[i])) == 0)
			return be64(footer + 48);
	return sectors == CHS_MOST || !sectors ? be64(footer + 48) : sectors * IMPORT_SECTOR;
}

/*
 * At the file's end alone. Dynamic images have a copy at their beginning, where a fixed one has its guest's first
 * sector: a guest's bytes must not say what the image is.
 */
static int find_footer(struct import *i, uint8_t footer[FOOTER_LEN])
{
	int r;

	if (i->file->size < FOOTER_LEN)
		return import_fail(i->error, -EINVAL, "it is no VHD image: it has no footer");
	r = import_read(i, footer, FOOTER_LEN, i->file->size - FOOTER_LEN, "its footer");
	if (r < 0)
		return r;
	if (!has_cookie(footer))
		return import_fail(
			i->error, -EINVAL,
			"it is no VHD image, or it is truncated: there is no footer at its "
			"end");
	return sum_is_right(footer, FOOTER_LEN, 64) ?
		       0 :
		       import_fail(i->error, -EINVAL, "its footer has a wrong checksum");
}

static int open_fixed(struct import *i)
{
	i->info.kind = "fixed";
	i->u.vhd.entries = 0;
	if (i->info.size > i->file->size - FOOTER_LEN)
		return import_fail(i->error, -EINVAL,
				   "it is truncated: its disk has %llu bytes, the file %llu",
				   (unsigned long long)i->info.size,
				   (unsigned long long)i->file->size);
	return 0;
}

static int check_dynamic(struct import *i, const uint8_t *h)
{
	uint32_t block = be32(h + 32), entries = be32(h + 28);
	uint64_t bat = be64(h + 16);

	if (memcmp(h, "cxsparse", 8) != 0)
		return import_fail(i->error, -EINVAL, "its dynamic disk header is missing");
	if (!sum_is_right(h, HEADER_LEN, 36))
		return import_fail(i->error, -EINVAL,
				   "its dynamic disk header has a wrong checksum");
	if (block < BLOCK_MIN || block > BLOCK_MAX || block & (block - 1))
		return import_fail(i->error, -EINVAL,
				   "block size %u: a power of two from 4096 to 256 MiB is right",
				   block);
	if (entries > ENTRIES_MAX || (uint64_t)entries * block < i->info.size)
		return import_fail(i->error, -EINVAL,
				   "its table has %u blocks of %u bytes, not enough for %llu bytes",
				   entries, block, (unsigned long long)i->info.size);
	i->info.block = block;
	i->u.vhd.bat = bat;
	i->u.vhd.entries = (uint32_t)((i->info.size + block - 1) / block);
	return import_within(i, bat, (uint64_t)i->u.vhd.entries * 4, "its block table");
}

static int open_dynamic(struct import *i, const uint8_t *footer)
{
	uint64_t at = be64(footer + 16);
	uint8_t h[HEADER_LEN] = { 0 };
	int r = import_within(i, at, HEADER_LEN, "its dynamic disk header");

	i->info.kind = "dynamic";
	if (r == 0)
		r = import_read(i, h, HEADER_LEN, at, "its dynamic disk header");
	return r < 0 ? r : check_dynamic(i, h);
}

int vhd_open(struct import *i, struct import_file *f, struct import_error *e)
{
	uint8_t footer[FOOTER_LEN] = { 0 };
	uint32_t type;
	int r;

	*i = (struct import){ .file = f, .error = e };
	r = find_footer(i, footer);
	if (r < 0)
		return r;
	type = be32(footer + 60);
	i->info.size = size_of(footer);
	if (!i->info.size || i->info.size % IMPORT_SECTOR || i->info.size > SIZE_MAX_BYTES)
		return import_fail(e, -EINVAL,
				   "its size of %llu bytes: sectors up to 2040 GiB are "
				   "right",
				   (unsigned long long)i->info.size);
	if (type == TYPE_FIXED)
		return open_fixed(i);
	if (type == TYPE_DYNAMIC)
		return open_dynamic(i, footer);
	if (type == TYPE_DIFFERENCING)
		return import_fail(e, -ENOTSUP,
				   "it is a differencing VHD: merge it with its parent first");
	return import_fail(e, -EINVAL, "its type %u: 2 (fixed) or 3 (dynamic) is right", type);
}

/* A block is a bitmap of its sectors, in whole sectors, and its data. */
static int map_entry(struct import *i, struct import_run *run, uint32_t entry)
{
	uint32_t bitmap = (i->info.block / IMPORT_SECTOR / 8 + IMPORT_SECTOR - 1) &
			  ~(IMPORT_SECTOR - 1);
	struct extents_record e = { .kind = EXTENTS_ZERO, .len = i->info.block };
	uint64_t need = i->info.block < run->left ? i->info.block : run->left;
	int r;

	if (entry == NOT_THERE)
		return import_run_add(run, &e);
	e.kind = EXTENTS_DATA;
	e.offset = (uint64_t)entry * IMPORT_SECTOR + bitmap;
	r = import_within(i, e.offset, need, "one of its blocks");
	return r < 0 ? r : import_run_add(run, &e);
}

int vhd_map(struct import *i, struct import_sink *s)
{
	uint8_t table[4096];
	struct import_run run;
	int r = 0;

	import_run_begin(&run, s, i->info.size);
	if (!i->u.vhd.entries)
		r = import_run_add(&run, &(struct extents_record){ .kind = EXTENTS_DATA,
								   .len = i->info.size });
	for (uint32_t at = 0; at < i->u.vhd.entries && r == 0; at += sizeof(table) / 4) {
		uint32_t n = i->u.vhd.entries - at;

		if (n > sizeof(table) / 4)
			n = sizeof(table) / 4;
		r = import_read(i, table, n * 4UL, i->u.vhd.bat + at * 4ULL, "its block table");
		for (uint32_t k = 0; k < n && r == 0; k++)
			r = map_entry(i, &run, be32(table + 4UL * k));
	}
	return r < 0 ? r : import_run_end(&run);
}
