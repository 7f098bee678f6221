/* SPDX-License-Identifier: Apache-2.0 */
/* Small images of the formats that are imported; see testimport.h. */
#include "tests/unit/testimport.h"

#include "cmd/image-import/crc32c.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIB1 (1U << 20)
#define KIB64 65536U

static int read_bytes(struct import_file *f, void *buf, size_t len, uint64_t offset)
{
	struct testimport *t = (struct testimport *)f;
	size_t there = offset < f->size ? (size_t)(f->size - offset) : 0;

	if (t->fails_after && ++t->reads >= t->fails_after)
		return -EIO;
	if (there > len)
		there = len;
	memcpy(buf, t->bytes + (there ? offset : 0), there);
	memset((uint8_t *)buf + there, 0, len - there);
	return 0;
}

static int put(struct import_sink *s, const struct extents_record *e)
{
	struct testimport *t =
		(struct testimport *)(void *)((char *)s - offsetof(struct testimport, sink));
	struct extents_record again;
	uint8_t wire[EXTENTS_WIRE_LEN];

	extents_encode(e, wire);
	if (extents_decode(wire, sizeof(wire), &again) < 0 || e->kind < EXTENTS_ZERO ||
	    e->kind > EXTENTS_DEFLATED)
		t->wild = true;
	if (e->kind == EXTENTS_DATA &&
	    (e->offset > t->file.size || e->len > t->file.size - e->offset))
		t->wild = true;
	if (e->kind == EXTENTS_DEFLATED &&
	    (e->offset > t->file.size || e->stored > t->file.size - e->offset))
		t->wild = true;
	t->mapped += e->len;
	t->data += e->kind == EXTENTS_ZERO ? 0 : e->len;
	t->records++;
	return 0;
}

/* ---- numbers ---- */

static void put_be(struct testimport *t, uint64_t at, uint64_t v, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		t->bytes[at + i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

static void put_le(struct testimport *t, uint64_t at, uint64_t v, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		t->bytes[at + i] = (uint8_t)(v >> 8 * i);
}

/* ---- VHD: blocks of 64 KiB, at 4 KiB and 128 KiB ---- */

#define VHD_BLOCK KIB64
#define VHD_SIZE (3ULL * VHD_BLOCK)

static uint64_t vhd_footer(const struct testimport *t)
{
	return t->file.size - 512;
}

static void make_vhd(struct testimport *t, bool dynamic)
{
	uint64_t at;

	t->file.size = dynamic ? 262144 + 512 : VHD_SIZE + 512;
	at = vhd_footer(t);
	memcpy(t->bytes + at, "conectix", 8);
	put_be(t, at + 12, 0x10000, 4);
	put_be(t, at + 16, dynamic ? 512 : UINT64_MAX, 8);
	memcpy(t->bytes + at + 28, "win ", 4);
	put_be(t, at + 40, VHD_SIZE, 8);
	put_be(t, at + 48, VHD_SIZE, 8);
	put_be(t, at + 60, dynamic ? 3 : 2, 4);
	if (!dynamic)
		return;
	memcpy(t->bytes + 512, "cxsparse", 8);
	put_be(t, 512 + 8, UINT64_MAX, 8);
	put_be(t, 512 + 16, 1536, 8);
	put_be(t, 512 + 28, 3, 4);
	put_be(t, 512 + 32, VHD_BLOCK, 4);
	put_be(t, 1536, 4096 / 512, 4);
	put_be(t, 1540, UINT32_MAX, 4);
	put_be(t, 1544, 131072 / 512, 4);
}

static void sum_vhd(struct testimport *t, uint64_t at, size_t len, size_t field)
{
	uint32_t sum = 0;

	if (at > t->file.size || len > t->file.size - at)
		return;
	put_be(t, at + field, 0, 4);
	for (size_t i = 0; i < len; i++)
		sum += t->bytes[at + i];
	put_be(t, at + field, ~sum, 4);
}

/* ---- VHDX: blocks of 1 MiB at 2 and 3 MiB; regions lie in the first ---- */

#define VHDX_BAT (MIB1)
#define VHDX_METADATA (MIB1 + 2 * KIB64)

static const uint8_t guids[5][16] = {
	{ 0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a,
	  8 },
	{ 6, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 5, 0xf, 0x88, 0x6e },
	{ 0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7,
	  0x6b },
	{ 0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4,
	  0xb8 },
	{ 0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 9, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab,
	  0x5f },
};

static void put_region(struct testimport *t, uint64_t at, const uint8_t *guid, uint64_t offset,
		       uint32_t len)
{
	memcpy(t->bytes + at, guid, 16);
	put_le(t, at + 16, offset, 8);
	put_le(t, at + 24, len, 4);
	put_le(t, at + 28, 1, 4);
}

static void put_item(struct testimport *t, unsigned int k, const uint8_t *guid, uint64_t value,
		     uint32_t len)
{
	uint64_t at = VHDX_METADATA + 32 + 32ULL * k;
	uint32_t offset = KIB64 + 16 * k;

	memcpy(t->bytes + at, guid, 16);
	put_le(t, at + 16, offset, 4);
	put_le(t, at + 20, len, 4);
	put_le(t, at + 24, 4, 4);
	put_le(t, VHDX_METADATA + offset, value, len);
}

static void make_vhdx(struct testimport *t)
{
	t->file.size = 4 * MIB1;
	memcpy(t->bytes, "vhdxfile", 8);
	for (uint64_t at = KIB64; at <= 2 * KIB64; at += KIB64) {
		memcpy(t->bytes + at, "head", 4);
		put_le(t, at + 8, at / KIB64, 8);
		put_le(t, at + 66, 1, 2);
	}
	for (uint64_t at = 3 * KIB64; at <= 4 * KIB64; at += KIB64) {
		memcpy(t->bytes + at, "regi", 4);
		put_le(t, at + 8, 2, 4);
		put_region(t, at + 16, guids[0], VHDX_BAT, KIB64);
		put_region(t, at + 48, guids[1], VHDX_METADATA, 2 * KIB64);
	}
	memcpy(t->bytes + VHDX_METADATA, "metadata", 8);
	put_le(t, VHDX_METADATA + 10, 3, 2);
	put_item(t, 0, guids[2], MIB1, 8);
	put_item(t, 1, guids[3], 3ULL * MIB1, 8);
	put_item(t, 2, guids[4], 512, 4);
	put_le(t, VHDX_BAT, 2 * MIB1 | 6, 8);
	put_le(t, VHDX_BAT + 16, 3 * MIB1 | 6, 8);
}

static void sum_vhdx(struct testimport *t)
{
	for (uint64_t at = KIB64; at <= 2 * KIB64; at += KIB64)
		put_le(t, at + 4, crc32c_but(t->bytes + at, 4096, 4), 4);
	for (uint64_t at = 3 * KIB64; at <= 4 * KIB64; at += KIB64)
		put_le(t, at + 4, crc32c_but(t->bytes + at, KIB64, 4), 4);
}

/* ---- VMDK: grains of 64 KiB at 128 KiB and 192 KiB ---- */

static const char descriptor[] = "# Disk DescriptorFile\nversion=1\nCID=12345678\n"
				 "parentCID=ffffffff\ncreateType=\"%s\"\n";

static void put_text(struct testimport *t, uint64_t at, bool stream)
{
	const char *type = stream ? "streamOptimized" : "monolithicSparse";
	size_t before = (size_t)(strchr(descriptor, '%') - descriptor);

	memcpy(t->bytes + at, descriptor, before);
	memcpy(t->bytes + at + before, type, strlen(type));
	memcpy(t->bytes + at + before + strlen(type), "\"\n", 2);
}

static void make_vmdk(struct testimport *t, bool stream)
{
	t->file.size = 4 * KIB64;
	memcpy(t->bytes, "KDMV", 4);
	put_le(t, 4, stream ? 3 : 1, 4);
	put_le(t, 8, stream ? 0x30001 : 7, 4);
	put_le(t, 12, 3 * 128, 8);
	put_le(t, 20, 128, 8);
	put_le(t, 28, 1, 8);
	put_le(t, 36, 20, 8);
	put_le(t, 44, 512, 4);
	put_le(t, 56, 21, 8);
	memcpy(t->bytes + 73, "\n \r\n", 4);
	put_le(t, 77, stream, 2);
	put_text(t, 512, stream);
	put_le(t, 21 * 512, 22, 4); /* one table */
	put_le(t, 22 * 512, 256, 4);
	put_le(t, 22 * 512 + 8, 384, 4);
	if (!stream)
		return;
	put_le(t, 256 * 512 + 8, 1000, 4); /* markers */
	put_le(t, 384 * 512 + 8, 1000, 4);
}

/* ---- all ---- */

void testimport_seal(struct testimport *t)
{
	if (t->kind == IMPORT_VHD_FIXED || t->kind == IMPORT_VHD_DYNAMIC)
		sum_vhd(t, vhd_footer(t), 512, 64);
	if (t->kind == IMPORT_VHD_DYNAMIC) {
		uint64_t at = 0;

		memcpy(&at, t->bytes + vhd_footer(t) + 16, 8);
		sum_vhd(t, be64toh(at), 1024, 36);
		sum_vhd(t, vhd_footer(t), 512, 64); /* they may overlap */
	}
	if (t->kind == IMPORT_VHDX)
		sum_vhdx(t);
}

void testimport_make(struct testimport *t, enum testimport_kind kind)
{
	*t = (struct testimport){ .file = { .read = read_bytes },
				  .kind = kind,
				  .bytes = calloc(1, TESTIMPORT_MAX),
				  .sink = { put } };
	if (!t->bytes)
		abort();
	if (kind == IMPORT_VHDX)
		make_vhdx(t);
	else if (kind == IMPORT_VHD_FIXED || kind == IMPORT_VHD_DYNAMIC)
		make_vhd(t, kind == IMPORT_VHD_DYNAMIC);
	else
		make_vmdk(t, kind == IMPORT_VMDK_STREAM);
	testimport_seal(t);
}

void testimport_free(struct testimport *t)
{
	free(t->bytes);
	t->bytes = NULL;
}

int testimport_run(struct testimport *t, struct import *i, struct import_error *e)
{
	static const struct {
		int (*open)(struct import *i, struct import_file *f, struct import_error *e);
		int (*map)(struct import *i, struct import_sink *s);
	} formats[N_TESTIMPORT] = {
		[IMPORT_VHD_FIXED] = { vhd_open, vhd_map },
		[IMPORT_VHD_DYNAMIC] = { vhd_open, vhd_map },
		[IMPORT_VHDX] = { vhdx_open, vhdx_map },
		[IMPORT_VMDK] = { vmdk_open, vmdk_map },
		[IMPORT_VMDK_STREAM] = { vmdk_open, vmdk_map },
	};
	int r;

	memset(e, 0, sizeof(*e));
	t->mapped = t->data = t->records = t->reads = 0;
	t->wild = false;
	r = formats[t->kind].open(i, &t->file, e);
	return r < 0 ? r : formats[t->kind].map(i, &t->sink);
}
