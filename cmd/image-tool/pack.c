/* SPDX-License-Identifier: Apache-2.0 */
/* Compresses clusters of a qcow2 image; see pack.h. */
#include "cmd/image-tool/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define WINDOW (-12) /* raw deflate, 4 KiB: qcow2's */
#define MEM_LEVEL 9

struct packer {
	z_stream deflate;
	ZSTD_CCtx *zstd;
};

struct packer *packer_new(enum image_compression how)
{
	struct packer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	if (how == COMPRESSION_ZSTD)
		p->zstd = ZSTD_createCCtx();
	else if (deflateInit2(&p->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW, MEM_LEVEL,
			      Z_DEFAULT_STRATEGY) != Z_OK)
		how = COMPRESSION_ZSTD; /* without a context, as below */
	if (how == COMPRESSION_ZSTD && !p->zstd) {
		free(p);
		return NULL;
	}
	return p;
}

static int pack_deflate(z_stream *z, const void *in, uint32_t len, void *out, uint32_t *ret_len)
{
	if (deflateReset(z) != Z_OK)
		return -EINVAL;
	z->next_in = (Bytef *)(uintptr_t)in;
	z->avail_in = len;
	z->next_out = out;
	z->avail_out = len - 1;
	*ret_len = deflate(z, Z_FINISH) == Z_STREAM_END ? (uint32_t)z->total_out : 0;
	return 0;
}

int pack(struct packer *p, enum image_compression how, const void *in, uint32_t len, void *out,
	 uint32_t *ret_len)
{
	size_t n;

	if (how == COMPRESSION_ZLIB)
		return pack_deflate(&p->deflate, in, len, out, ret_len);
	n = ZSTD_compressCCtx(p->zstd, out, len - 1, in, len, ZSTD_CLEVEL_DEFAULT);
	*ret_len = ZSTD_isError(n) ? 0 : (uint32_t)n;
	return 0;
}
