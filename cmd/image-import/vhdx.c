/* SPDX-License-Identifier: Apache-2.0 */
/* VHDX images, dynamic and fixed: Microsoft's [MS-VHDX]. Little-endian. */
#include "cmd/image-import/import.h"

#include "cmd/image-import/crc32c.h"
#include "cmd/image-import/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KIB64 UINT64_C(65536)
#define MIB1 (1U << 20)
#define HEADER_LEN 4096U
#define REGION_ENTRIES_MAX 2047U
#define METADATA_ENTRIES_MAX 2047U
#define SIZE_MAX_BYTES (64ULL << 40)
#define BLOCK_MAX (256U << 20)

enum {
	STATE_NOT_THERE,
	STATE_UNDEFINED,
	STATE_ZERO,
	STATE_UNMAPPED,
	STATE_FULL = 6,
	STATE_PARTIAL
};

/* As they stand in the file. */
#define GUID_LEN 16
static const uint8_t region_bat[GUID_LEN] = { 0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
					      0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08 };
static const uint8_t region_metadata[GUID_LEN] = { 0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
						   0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e };
static const uint8_t item_parameters[GUID_LEN] = { 0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
						   0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b };
static const uint8_t item_size[GUID_LEN] = { 0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48,
					     0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8 };
static const uint8_t item_sector[GUID_LEN] = { 0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47,
					       0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f };

struct region {
	uint64_t offset;
	uint32_t len;
};

struct parameters {
	uint32_t block, flags, sector;
	uint64_t size;
	unsigned int seen;
};

/* ---- headers ---- */

static bool header_is_right(const uint8_t *h)
{
	return memcmp(h, "head", 4) == 0 && crc32c_but(h, HEADER_LEN, 4) == le32(h + 4);
}

/* Of the two that is newer. */
static int find_header(struct import *i, uint8_t ret[HEADER_LEN])
{
	uint8_t h[HEADER_LEN];
	bool found = false;

	for (uint64_t at = KIB64; at <= 2 * KIB64; at += KIB64) {
		int r = import_read(i, h, sizeof(h), at, "its header");

		if (r < 0)
			return r;
		if (!header_is_right(h) || (found && le64(h + 8) < le64(ret + 8)))
			continue;
		memcpy(ret, h, sizeof(h));
		found = true;
	}
	return found ? 0 :
		       import_fail(i->error, -EINVAL,
				   "neither of its two headers has a right checksum");
}

/* What is only in the log yet is not where the tables say: nobody may read on without replaying it. */
static int check_header(struct import *i)
{
	static const uint8_t none[GUID_LEN];
	uint8_t h[HEADER_LEN], id[8];
	int r = import_read(i, id, sizeof(id), 0, "its beginning");

	if (r == 0 && memcmp(id, "vhdxfile", sizeof(id)) != 0)
		return import_fail(i->error, -EINVAL, "it is no VHDX image");
	if (r == 0)
		r = find_header(i, h);
	if (r < 0)
		return r;
	if (le16(h + 66) != 1)
		return import_fail(i->error, -ENOTSUP, "its version %u: 1 is right", le16(h + 66));
	if (memcmp(h + 48, none, sizeof(none)) != 0)
		return import_fail(
			i->error, -ENOTSUP,
			"its log is not empty, and is not replayed here: attach the image "
			"once to what has written it, or qemu-img check -r all");
	return 0;
}

/* ---- the region table ---- */

static int take_region(struct import *i, const uint8_t *e, struct region *bat,
		       struct region *metadata)
{
	const struct region r = { le64(e + 16), le32(e + 24) };
	struct region *to = NULL;

	if (memcmp(e, region_bat, GUID_LEN) == 0)
		to = bat;
	else if (memcmp(e, region_metadata, GUID_LEN) == 0)
		to = metadata;
	else if (le32(e + 28) & 1)
		return import_fail(i->error, -ENOTSUP,
				   "it needs a region that is not known here: a newer format");
	if (!to)
		return 0;
	if (to->len)
		return import_fail(i->error, -EINVAL, "its region table has a region twice");
	if (r.offset < MIB1 || !r.len)
		return import_fail(
			i->error, -EINVAL,
			"its region table: a region at byte %llu: 1 MiB or more is right",
			(unsigned long long)r.offset);
	*to = r;
	return import_within(i, r.offset, r.len, "a region");
}

static int take_regions(struct import *i, const uint8_t *table, struct region *bat,
			struct region *metadata)
{
	uint32_t n = le32(table + 8);
	int r = 0;

	if (n > REGION_ENTRIES_MAX)
		return import_fail(i->error, -EINVAL,
				   "its region table has %u entries: 2047 at most "
				   "are right",
				   n);
	for (uint32_t k = 0; k < n && r == 0; k++)
		r = take_region(i, table + 16 + 32UL * k, bat, metadata);
	if (r == 0 && (!bat->len || !metadata->len))
		r = import_fail(i->error, -EINVAL, "its region table lacks %s",
				bat->len ? "the metadata" : "the block table");
	return r;
}

static int find_regions(struct import *i, struct region *bat, struct region *metadata)
{
	uint8_t *table = malloc(KIB64);
	int r = table ? 0 : -ENOMEM;

	for (uint64_t at = 3 * KIB64; at <= 4 * KIB64 && r == 0; at += KIB64) {
		r = import_read(i, table, KIB64, at, "its region table");
		if (r < 0 || memcmp(table, "regi", 4) != 0 ||
		    crc32c_but(table, KIB64, 4) != le32(table + 4))
			continue;
		r = take_regions(i, table, bat, metadata);
		free(table);
		return r;
	}
	free(table);
	return r < 0 ? r :
		       import_fail(i->error, -EINVAL,
				   "neither of its two region tables has a right checksum");
}

/* ---- metadata ---- */

static int take_item(struct import *i, const uint8_t *e, const struct region *m,
		     struct parameters *p)
{
	static const uint8_t *const ids[] = { item_parameters, item_size, item_sector };
	static const uint32_t lens[] = { 8, 8, 4 };
	uint32_t at = le32(e + 16), len = le32(e + 20), k = 0;
	uint8_t v[8] = { 0 };
	int r;

	while (k < 3 && memcmp(e, ids[k], GUID_LEN) != 0)
		k++;
	if (k == 3)
		return 0;
	if (len != lens[k] || at < KIB64 || at > m->len || len > m->len - at)
		return import_fail(
			i->error, -EINVAL,
			"its metadata: an item of %u bytes at %u: outside of the region, or "
			"of a wrong length",
			len, at);
	r = import_read(i, v, len, m->offset + at, "its metadata");
	p->seen |= 1U << k;
	if (k == 0) {
		p->block = le32(v);
		p->flags = le32(v + 4);
	} else if (k == 1) {
		p->size = le64(v);
	} else {
		p->sector = le32(v);
	}
	return r;
}

static int read_items(struct import *i, const uint8_t *table, const struct region *m,
		      struct parameters *p)
{
	uint16_t n = le16(table + 10);
	int r = 0;

	if (memcmp(table, "metadata", 8) != 0 || n > METADATA_ENTRIES_MAX)
		return import_fail(i->error, -EINVAL, "its metadata table is none");
	for (uint16_t k = 0; k < n && r == 0; k++)
		r = take_item(i, table + 32 + 32UL * k, m, p);
	if (r == 0 && p->seen != 7)
		r = import_fail(i->error, -EINVAL,
				"its metadata lack the disk's size, block size or sector size");
	return r;
}

static int read_metadata(struct import *i, const struct region *m, struct parameters *p)
{
	uint8_t *table = malloc(KIB64);
	int r = table ? import_within(i, m->offset, KIB64, "its metadata table") : -ENOMEM;

	if (r == 0)
		r = import_read(i, table, KIB64, m->offset, "its metadata table");
	if (r == 0)
		r = read_items(i, table, m, p);
	free(table);
	return r;
}

static int check_parameters(struct import *i, const struct parameters *p)
{
	if (p->block < MIB1 || p->block > BLOCK_MAX || p->block & (p->block - 1))
		return import_fail(i->error, -EINVAL,
				   "block size %u: a power of two from 1 to 256 MiB is right",
				   p->block);
	if (p->sector != 512 && p->sector != 4096)
		return import_fail(i->error, -EINVAL, "sectors of %u bytes: 512 or 4096 are right",
				   p->sector);
	if (!p->size || p->size % p->sector || p->size > SIZE_MAX_BYTES)
		return import_fail(i->error, -EINVAL,
				   "its size of %llu bytes: sectors up to 64 TiB are right",
				   (unsigned long long)p->size);
	if (p->flags & 2)
		return import_fail(i->error, -ENOTSUP,
				   "it is a differencing VHDX: merge it with its parent first");
	return 0;
}

int vhdx_open(struct import *i, struct import_file *f, struct import_error *e)
{
	struct region bat = { 0 }, metadata = { 0 };
	struct parameters p = { 0 };
	uint64_t blocks, entries;
	int r;

	*i = (struct import){ .file = f, .error = e };
	r = check_header(i);
	if (r == 0)
		r = find_regions(i, &bat, &metadata);
	if (r == 0)
		r = read_metadata(i, &metadata, &p);
	if (r == 0)
		r = check_parameters(i, &p);
	if (r < 0 || !p.block || !p.sector)
		return r;
	i->info = (struct import_info){ .size = p.size,
					.block = p.block,
					.kind = p.flags & 1 ? "fixed" : "dynamic" };
	i->u.vhdx.bat = bat.offset;
	i->u.vhdx.ratio = ((uint64_t)p.sector << 23) / p.block;
	blocks = (p.size + p.block - 1) / p.block;
	entries = blocks + (blocks - 1) / i->u.vhdx.ratio; /* bitmaps' among them */
	if (entries * 8 > bat.len)
		return import_fail(e, -EINVAL, "its block table has %u bytes, its disk needs %llu",
				   bat.len, (unsigned long long)entries * 8);
	return 0;
}

/* ---- the map ---- */

static int map_entry(struct import *i, struct import_run *run, uint64_t entry)
{
	struct extents_record e = { .kind = EXTENTS_ZERO, .len = i->info.block };
	uint64_t need = e.len < run->left ? e.len : run->left;
	int r = 0;

	switch (entry & 7) {
	case STATE_NOT_THERE:
	case STATE_UNDEFINED:
	case STATE_ZERO:
	case STATE_UNMAPPED:
		break;
	case STATE_FULL:
		e.kind = EXTENTS_DATA;
		e.offset = entry & ~(uint64_t)(MIB1 - 1);
		r = import_within(i, e.offset, need, "one of its blocks");
		break;
	default:
		return import_fail(i->error, -EINVAL, "a block's state %u: 0 to 3 or 6 is right",
				   (unsigned int)(entry & 7));
	}
	return r < 0 ? r : import_run_add(run, &e);
}

int vhdx_map(struct import *i, struct import_sink *s)
{
	uint64_t at = i->u.vhdx.bat, until_bitmap = i->u.vhdx.ratio;
	uint8_t table[4096];
	size_t have = 0, used = 0;
	struct import_run run;
	int r = 0;

	import_run_begin(&run, s, i->info.size);
	while (run.left && r == 0) {
		if (used == have) {
			r = import_read(i, table, sizeof(table), at, "its block table");
			at += have = sizeof(table);
			used = 0;
		}
		if (r == 0 && until_bitmap) {
			r = map_entry(i, &run, le64(table + used));
			until_bitmap--;
		} else {
			until_bitmap = i->u.vhdx.ratio;
		}
		used += 8;
	}
	return r < 0 ? r : import_run_end(&run);
}
