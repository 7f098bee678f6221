/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMDK images in one file: monolithicSparse and streamOptimized ("VMware Virtual Disk Format 1.1", sparse
 * extents). Little-endian; offsets in sectors.
 */
#include "cmd/image-import/import.h"

#include "cmd/image-import/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HEADER_LEN 512U
#define FLAG_ZEROED_GRAINS (1U << 2)
#define FLAG_COMPRESSED (1U << 16)
#define FLAG_MARKERS (1U << 17)
#define AT_END UINT64_MAX
#define DESCRIPTOR_MAX 20480U /* bytes that are read of it */
#define GRAIN_MIN 4096U
#define GRAIN_MAX EXTENTS_DEFLATED_MAX
#define MARKER_LEN 12U
#define SIZE_MAX_BYTES (64ULL << 40)

/* ---- the descriptor: lines of KEY=VALUE ---- */

/* The value behind `key=` at the beginning of a line, without quotes. */
static bool find_value(const char *text, const char *key, char *out, size_t cap)
{
	size_t len = strlen(key), n = 0;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) != 0 || line[len] != '=')
			continue;
		for (const char *c = line + len + 1; *c >= ' ' && *c <= '~' && n + 1 < cap; c++)
			if (*c != '"')
				out[n++] = *c;
		out[n] = '\0';
		return true;
	}
	return false;
}

static int check_descriptor(struct import *i, const char *text)
{
	char type[40], parent[40];

	if (!find_value(text, "createType", type, sizeof(type)))
		return import_fail(i->error, -EINVAL, "its descriptor has no createType");
	if (strcmp(type, "monolithicSparse") != 0 && strcmp(type, "streamOptimized") != 0)
		return import_fail(
			i->error, -ENOTSUP,
			"it is a VMDK of type %s: monolithicSparse and streamOptimized are "
			"read, which lie in one file",
			type);
	if (find_value(text, "parentCID", parent, sizeof(parent)) &&
	    strcmp(parent, "ffffffff") != 0 && strcmp(parent, "FFFFFFFF") != 0)
		return import_fail(i->error, -ENOTSUP,
				   "it is a VMDK that has a parent: merge it with that first");
	i->info.kind = *type == 'm' ? "monolithicSparse" : "streamOptimized";
	return 0;
}

static int read_descriptor(struct import *i, uint64_t offset, uint64_t len)
{
	static char text[DESCRIPTOR_MAX + 1];
	int r;

	if (!len)
		return import_fail(i->error, -ENOTSUP,
				   "it has no descriptor: it is one of several files of a disk");
	if (len > DESCRIPTOR_MAX)
		len = DESCRIPTOR_MAX;
	r = import_read(i, text, len, offset, "its descriptor");
	text[len] = '\0';
	return r < 0 ? r : check_descriptor(i, text);
}

/* ---- the header ---- */

static int check_magic(struct import *i, const uint8_t *h)
{
	if (memcmp(h, "# Disk DescriptorFile", 21) == 0)
		return read_descriptor(i, 0, i->file->size) < 0 ?
			       -ENOTSUP :
			       import_fail(i->error, -EINVAL,
					   "it is a descriptor alone: its data are in other files");
	if (memcmp(h, "COWD", 4) == 0)
		return import_fail(i->error, -ENOTSUP,
				   "it is a VMDK of ESX's old COWD kind: convert it to "
				   "monolithicSparse first");
	if (memcmp(h, "KDMV", 4) != 0)
		return import_fail(i->error, -EINVAL, "it is no VMDK image");
	if (le32(h + 4) < 1 || le32(h + 4) > 3)
		return import_fail(i->error, -ENOTSUP, "its version %u: 1 to 3 is right",
				   le32(h + 4));
	/* a file that went through a transfer as text has other ends of lines */
	if (le32(h + 8) & 1 && memcmp(h + 73, "\n \r\n", 4) != 0)
		return import_fail(i->error, -EINVAL,
				   "it was spoilt by a transfer as text: fetch it again");
	return 0;
}

/* One that was written without going back has what it did not know at first in a footer. */
static int read_footer(struct import *i, uint8_t h[HEADER_LEN])
{
	int r;

	if (i->file->size < 3 * IMPORT_SECTOR)
		return import_fail(i->error, -EINVAL, "it is truncated: its footer is missing");
	r = import_read(i, h, HEADER_LEN, i->file->size - 2 * IMPORT_SECTOR, "its footer");
	if (r < 0)
		return r;
	if (memcmp(h, "KDMV", 4) != 0 || le64(h + 56) == AT_END)
		return import_fail(i->error, -EINVAL, "it is truncated: its footer is missing");
	return 0;
}

static int check_layout(struct import *i, const uint8_t *h)
{
	uint64_t capacity = le64(h + 12), grain = le64(h + 20);
	uint32_t per_table = le32(h + 44), flags = le32(h + 8);

	if (!capacity || capacity > SIZE_MAX_BYTES / IMPORT_SECTOR)
		return import_fail(i->error, -EINVAL,
				   "its capacity of %llu sectors: up to 64 TiB is right",
				   (unsigned long long)capacity);
	if (grain < GRAIN_MIN / IMPORT_SECTOR || grain > GRAIN_MAX / IMPORT_SECTOR ||
	    grain & (grain - 1))
		return import_fail(i->error, -EINVAL,
				   "grains of %llu sectors: a power of two from 8 to 4096 is right",
				   (unsigned long long)grain);
	if (!per_table || per_table > 65536)
		return import_fail(
			i->error, -EINVAL,
			"grain tables of %u entries: 1 to 65536 is right (512 as a rule)",
			per_table);
	if (flags & FLAG_COMPRESSED && (!(flags & FLAG_MARKERS) || le16(h + 77) != 1))
		return import_fail(i->error, -ENOTSUP,
				   "its grains are compressed by algorithm %u: 1 (deflate), with "
				   "markers, is right",
				   le16(h + 77));
	return 0;
}

static int take_layout(struct import *i, const uint8_t *h)
{
	uint64_t covered, gd = le64(h + 56);
	uint32_t flags = le32(h + 8);

	i->info.size = le64(h + 12) * IMPORT_SECTOR;
	i->info.block = (uint32_t)le64(h + 20) * IMPORT_SECTOR;
	i->info.compressed = flags & FLAG_COMPRESSED;
	i->u.vmdk.per_table = le32(h + 44);
	i->u.vmdk.zeroed_grains = flags & FLAG_ZEROED_GRAINS;
	covered = (uint64_t)i->info.block * i->u.vmdk.per_table;
	i->u.vmdk.tables = (i->info.size + covered - 1) / covered;
	if (gd > i->file->size / IMPORT_SECTOR)
		return import_within(i, UINT64_MAX, 1, "its grain directory");
	i->u.vmdk.gd = gd * IMPORT_SECTOR;
	return import_within(i, i->u.vmdk.gd, i->u.vmdk.tables * 4, "its grain directory");
}

int vmdk_open(struct import *i, struct import_file *f, struct import_error *e)
{
	uint8_t h[HEADER_LEN];
	int r;

	*i = (struct import){ .file = f, .error = e };
	r = import_read(i, h, sizeof(h), 0, "its header");
	if (r == 0)
		r = check_magic(i, h);
	if (r < 0)
		return r;
	if (le64(h + 28) > f->size / IMPORT_SECTOR || le64(h + 36) > f->size / IMPORT_SECTOR)
		return import_within(i, UINT64_MAX, 1, "its descriptor");
	r = read_descriptor(i, le64(h + 28) * IMPORT_SECTOR,
			    le64(h + 28) ? le64(h + 36) * IMPORT_SECTOR : 0);
	if (r == 0 && le64(h + 56) == AT_END)
		r = read_footer(i, h);
	if (r == 0)
		r = check_layout(i, h);
	return r < 0 ? r : take_layout(i, h);
}

/* ---- the map ---- */

static int map_packed(struct import *i, struct import_run *run, uint64_t offset,
		      struct extents_record *e)
{
	uint8_t marker[MARKER_LEN];
	int r = import_within(i, offset, MARKER_LEN, "one of its grains");

	if (r == 0)
		r = import_read(i, marker, sizeof(marker), offset, "one of its grains");
	if (r < 0)
		return r;
	e->kind = EXTENTS_DEFLATED;
	e->stored = le32(marker + 8);
	e->offset = offset + MARKER_LEN;
	if (!e->stored || e->stored > 2 * EXTENTS_DEFLATED_MAX)
		return import_fail(i->error, -EINVAL,
				   "a compressed grain of %u bytes: 1 byte to 4 MiB is right",
				   e->stored);
	r = import_within(i, e->offset, e->stored, "one of its grains");
	return r < 0 ? r : import_run_add(run, e);
}

static int map_grain(struct import *i, struct import_run *run, uint32_t sector)
{
	struct extents_record e = { .kind = EXTENTS_ZERO, .len = i->info.block };
	uint64_t need = e.len < run->left ? e.len : run->left;
	uint64_t offset = (uint64_t)sector * IMPORT_SECTOR;
	int r;

	if (!sector || (sector == 1 && i->u.vmdk.zeroed_grains))
		return import_run_add(run, &e);
	if (i->info.compressed)
		return map_packed(i, run, offset, &e);
	e.kind = EXTENTS_DATA;
	e.offset = offset;
	r = import_within(i, offset, need, "one of its grains");
	return r < 0 ? r : import_run_add(run, &e);
}

static int map_table(struct import *i, struct import_run *run, uint32_t sector)
{
	uint64_t at = (uint64_t)sector * IMPORT_SECTOR;
	uint32_t left = i->u.vmdk.per_table;
	uint8_t table[2048];
	int r;

	if (!sector) {
		const struct extents_record e = { .kind = EXTENTS_ZERO,
						  .len = (uint64_t)left * i->info.block };

		return import_run_add(run, &e);
	}
	r = import_within(i, at, 4ULL * left, "one of its grain tables");
	while (left && run->left && r == 0) {
		uint32_t n = left < sizeof(table) / 4 ? left : sizeof(table) / 4;

		r = import_read(i, table, n * 4UL, at, "one of its grain tables");
		for (uint32_t k = 0; k < n && run->left && r == 0; k++)
			r = map_grain(i, run, le32(table + 4UL * k));
		at += n * 4ULL;
		left -= n;
	}
	return r;
}

int vmdk_map(struct import *i, struct import_sink *s)
{
	struct import_run run;
	uint8_t entry[4];
	int r = 0;

	import_run_begin(&run, s, i->info.size);
	for (uint64_t t = 0; t < i->u.vmdk.tables && r == 0; t++) {
		r = import_read(i, entry, sizeof(entry), i->u.vmdk.gd + 4 * t,
				"its grain directory");
		if (r == 0)
			r = map_table(i, &run, le32(entry));
	}
	return r < 0 ? r : import_run_end(&run);
}
