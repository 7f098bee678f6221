/* SPDX-License-Identifier: Apache-2.0 */
/* A run of bytes of a disk; see piece.h. */
#include "cmd/image-tool/piece.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define RAW_DEFLATE (-MAX_WBITS)

int unpacker_init(struct unpacker *u)
{
	*u = (struct unpacker){ .stored = malloc(PIECE_STORED_MAX),
				.unpacked = malloc(PIECE_UNPACKED_MAX),
				.zstd = ZSTD_createDCtx() };
	return u->stored && u->unpacked && u->zstd ? 0 : -ENOMEM;
}

/* Zeroes behind the end of the file. *ret_got: what is no such. */
static int read_all(int fd, uint8_t *out, uint64_t len, uint64_t offset, uint64_t *ret_got)
{
	uint64_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, out + got, len - got, (off_t)(offset + got));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		got += n > 0 ? (uint64_t)n : 0;
	}
	memset(out + got, 0, len - got);
	*ret_got = got;
	return 0;
}

/* What is stored may be followed by anything: qcow2 counts it in sectors. */
static int inflate_all(const struct piece *p, const uint8_t *in, uint64_t n_in, uint8_t *out)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in,
		       .avail_in = (uInt)n_in,
		       .next_out = out,
		       .avail_out = p->unit };
	int r = inflateInit2(&z, p->kind == PIECE_DEFLATE ? RAW_DEFLATE : MAX_WBITS);

	if (r != Z_OK)
		return -ENOMEM;
	r = inflate(&z, Z_FINISH);
	(void)inflateEnd(&z);
	/* Z_BUF_ERROR: all of out is full, and the end mark was not reached yet */
	return (r == Z_STREAM_END || r == Z_BUF_ERROR) && z.avail_out == 0 ? 0 : -EILSEQ;
}

static int unzstd_all(const struct piece *p, struct unpacker *u, uint64_t n_in, uint8_t *out)
{
	ZSTD_inBuffer in = { u->stored, n_in, 0 };
	ZSTD_outBuffer to = { out, p->unit, 0 };

	(void)ZSTD_DCtx_reset(u->zstd, ZSTD_reset_session_only);
	while (to.pos < to.size) {
		size_t before = in.pos + to.pos;
		size_t r = ZSTD_decompressStream(u->zstd, &to, &in);

		if (ZSTD_isError(r) || (to.pos < to.size && in.pos + to.pos == before))
			return -EILSEQ;
	}
	return 0;
}

static int unpack(const struct piece *p, struct unpacker *u, uint8_t *out)
{
	uint64_t got = 0;
	int r;

	if (p->stored > PIECE_STORED_MAX || p->unit > PIECE_UNPACKED_MAX)
		return -EILSEQ;
	r = read_all(p->fd, u->stored, p->stored, p->at, &got);
	if (r < 0)
		return r;
	return p->kind == PIECE_ZSTD ? unzstd_all(p, u, got, out) :
				       inflate_all(p, u->stored, got, out);
}

int piece_read(const struct piece *p, struct unpacker *u, void *out, uint64_t len)
{
	bool whole = p->skip == 0 && len == p->unit;
	uint64_t got = 0;
	int r;

	if (p->kind == PIECE_ZERO) {
		memset(out, 0, len);
		return 0;
	}
	if (p->kind == PIECE_DATA)
		return read_all(p->fd, out, len, p->at, &got);
	r = unpack(p, u, whole ? out : u->unpacked);
	if (r < 0 || whole)
		return r;
	if ((uint64_t)p->skip + len > p->unit)
		return -EINVAL;
	memcpy(out, u->unpacked + p->skip, len);
	return 0;
}
