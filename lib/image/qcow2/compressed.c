/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed clusters. All memory is allocated at opening: zlib gets it from an arena, as a process in
 * its sandbox may have no call for more, and zstd's one-shot interface needs none.
 */
#include "lib/image/qcow2/internal.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define ARENA (64U << 10) /* bytes: zlib's state and window have less than 48 KiB */

struct decompressor {
	z_stream zlib;
	ZSTD_DCtx *zstd;
	size_t arena_used;
	uint64_t host; /* of the cluster that is in out, 0: none */
	uint8_t *in;   /* two clusters and a sector: more the entry cannot say */
	uint8_t *out;  /* one cluster */
	_Alignas(16) uint8_t arena[ARENA];
};

static void *arena_alloc(void *opaque, unsigned int n, unsigned int size)
{
	struct decompressor *d = opaque;
	uint64_t bytes = ((uint64_t)n * size + 15) & ~UINT64_C(15);
	void *at = d->arena + d->arena_used;

	if (bytes > ARENA - d->arena_used)
		return NULL;
	d->arena_used += bytes;
	return at;
}

static void arena_free(void *opaque, void *at)
{
	(void)opaque;
	(void)at;
}

static bool open_codec(struct qcow2 *q, struct decompressor *d)
{
	if (q->h.compression == QCOW2_ZSTD) {
		d->zstd = ZSTD_createDCtx();
		return d->zstd;
	}
	d->zlib.zalloc = arena_alloc;
	d->zlib.zfree = arena_free;
	d->zlib.opaque = d;
	return inflateInit2(&d->zlib, -15) == Z_OK;
}

int decompressor_open(struct qcow2 *q)
{
	struct decompressor *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	q->decompressor = d;
	d->in = malloc(2 * q->cluster_size + 512);
	d->out = malloc(q->cluster_size);
	return d->in && d->out && open_codec(q, d) ? 0 : -ENOMEM;
}

void decompressor_close(struct qcow2 *q)
{
	struct decompressor *d = q->decompressor;

	if (!d)
		return;
	(void)ZSTD_freeDCtx(d->zstd);
	free(d->in);
	free(d->out);
	free(d);
	q->decompressor = NULL;
}

void decompressor_forget(struct qcow2 *q)
{
	q->decompressor->host = 0;
}

/* The stream may end before its sectors do, and need not end where the cluster does. */
static int run_zlib(struct qcow2 *q, struct decompressor *d, size_t len)
{
	int r;

	if (inflateReset(&d->zlib) != Z_OK)
		return -EIO;
	d->zlib.next_in = d->in;
	d->zlib.avail_in = (unsigned int)len;
	d->zlib.next_out = d->out;
	d->zlib.avail_out = (unsigned int)q->cluster_size;
	r = inflate(&d->zlib, Z_FINISH);
	return (r == Z_STREAM_END || r == Z_BUF_ERROR) && d->zlib.avail_out == 0 ? 0 : -EIO;
}

static int run_zstd(struct qcow2 *q, struct decompressor *d, size_t len)
{
	size_t in = 0, out = 0;

	while (out < q->cluster_size) {
		size_t frame = ZSTD_findFrameCompressedSize(d->in + in, len - in), got;

		if (ZSTD_isError(frame))
			return -EIO;
		got = ZSTD_decompressDCtx(d->zstd, d->out + out, q->cluster_size - out, d->in + in,
					  frame);
		if (ZSTD_isError(got) || !frame)
			return -EIO;
		in += frame;
		out += got;
	}
	return 0;
}

/* An error in the data is no reason to give the image up: it is that of one cluster. */
int decompress(struct qcow2 *q, const struct entry *en, const uint8_t **ret)
{
	struct decompressor *d = q->decompressor;
	ssize_t got;
	int r;

	if (d->host && d->host == en->host) {
		*ret = d->out;
		return 0;
	}
	d->host = 0;
	got = store_read(q->file, d->in, en->host_len, en->host);
	if (got < 0)
		return (int)got;
	if (got == 0)
		return -EIO;
	r = q->h.compression == QCOW2_ZSTD ? run_zstd(q, d, (size_t)got) :
					     run_zlib(q, d, (size_t)got);
	if (r < 0)
		return r;
	d->host = en->host;
	*ret = d->out;
	return 0;
}
