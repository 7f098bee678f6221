/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What image-import says lies where, as image-tool reads it: the first byte says how large the steps are, the rest
 * is the map. A piece lies within what was asked for and within its bounds; each is read from a file of which
 * the map knows nothing.
 */
#include "cmd/image-tool/piece.h"
#include "cmd/image-tool/source.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STEP 4096U
#define PIECES 16
#define FILE_BYTES 65536U

/* "b" 4096 times, by zlib */
static const uint8_t packed[] = { 0x78, 0x9c, 0xed, 0xc1, 0x81, 0x00, 0x00, 0x00, 0x00, 0x80,
				  0x10, 0xf8, 0xbf, 0xbc, 0x41, 0x01, 0x00, 0x00, 0x00 };

static uint8_t out[STEP * 256];
static struct unpacker unpacker;
static int image = -1, map = -1;

static void begin(void)
{
	image = memfd_create("image", MFD_CLOEXEC);
	map = memfd_create("map", MFD_CLOEXEC);
	require(image >= 0 && map >= 0 && ftruncate(image, FILE_BYTES) == 0);
	require(pwrite(image, packed, sizeof(packed), 512) == (ssize_t)sizeof(packed));
	require(unpacker_init(&unpacker) == 0);
}

static void judge(const struct piece *p, uint64_t asked)
{
	require(p->len > 0 && p->len <= asked);
	require(p->kind == PIECE_ZERO || p->kind == PIECE_DATA || p->kind == PIECE_ZLIB);
	require(p->kind == PIECE_ZERO ? p->fd == -1 : p->fd == image);
	require(p->at <= INT64_MAX - p->len);
	if (p->kind != PIECE_ZLIB)
		return;
	require(p->stored <= PIECE_STORED_MAX && p->unit <= PIECE_UNPACKED_MAX);
	require(p->skip + p->len <= p->unit);
}

static void walk(struct source *s, uint64_t step)
{
	uint64_t at = 0;

	for (int i = 0; i < PIECES && at < s->size; i++) {
		uint64_t asked = step < s->size - at ? step : s->size - at;
		struct piece p;

		if (source_piece(s, at, asked, &p) < 0)
			return;
		judge(&p, asked);
		(void)!piece_read(&p, &unpacker, out, p.len);
		at += p.len;
	}
	if (at == s->size)
		(void)!source_finish(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct source s;
	struct image_job job = { .verb = IMAGE_CONVERT, .n_nodes = 1 };

	if (image < 0)
		begin();
	if (!size)
		return 0;
	require(ftruncate(map, 0) == 0 && lseek(map, 0, SEEK_SET) == 0);
	require(pwrite(map, data + 1, size - 1, 0) == (ssize_t)(size - 1));
	job.nodes[0] = (struct image_node){ .role = ROLE_SOURCE,
					    .format = FORMAT_VMDK,
					    .fd = image,
					    .data_fd = map,
					    .mapped = true,
					    .readonly = true,
					    .name = "image" };
	if (source_open(&s, &job, ROLE_SOURCE, SOURCE_READ) == 0)
		walk(&s, (data[0] + 1U) * STEP);
	source_close(&s);
	return 0;
}
