/* SPDX-License-Identifier: Apache-2.0 */
/* Persistent dirty bitmaps are not kept in step here, but while they are, their clusters are in use. */
#include "lib/image/qcow2/walk.h"

#include "lib/base/cleanup.h"

#include <stdlib.h>

#define MAX_BITMAPS 65535U
#define MAX_DIRECTORY (MAX_BITMAPS * UINT64_C(1024))
#define ROW 24U /* bytes before what varies */

static int walk_bitmap_table(struct walk *w, uint64_t offset, uint64_t n)
{
	_cleanup_(freep) uint64_t *at = NULL;
	int r;

	if (in_cluster(w->q, offset) || n > MAX_L1_BYTES / 8) {
		w->incomplete = true;
		walk_error(w, "a bitmap's table lies where none can be");
		return 0;
	}
	walk_ref(w, offset, n * 8, "a bitmap's table");
	r = walk_read_l1(w->q, offset, n, &at);
	for (uint64_t i = 0; r == 0 && i < n; i++)
		if (at[i] & OFFSET_MASK)
			walk_ref(w, at[i] & OFFSET_MASK, w->q->cluster_size, "a bitmap's cluster");
	return r;
}

static int walk_row(struct walk *w, const uint8_t *row, uint64_t left, uint64_t *ret_len)
{
	uint64_t len;

	if (left >= ROW) {
		len = ROW + (uint64_t)get_be16(row + 18) + get_be32(row + 20);
		len = (len + 7) & ~UINT64_C(7);
		*ret_len = len;
		if (len <= left)
			return walk_bitmap_table(w, get_be64(row), get_be32(row + 8));
	}
	w->incomplete = true;
	walk_error(w, "the directory of bitmaps ends too early");
	return -EBADMSG;
}

int walk_bitmaps(struct walk *w)
{
	const struct qcow2_extensions *x = &w->q->ext;
	_cleanup_(freep) uint8_t *rows = NULL;
	ssize_t got;
	int r = 0;

	if (!(w->q->h.autoclear & AUTOCLEAR_BITMAPS) || !x->n_bitmaps)
		return 0;
	if (in_cluster(w->q, x->bitmaps_offset) || x->bitmaps_len > MAX_DIRECTORY) {
		w->incomplete = true;
		walk_error(w, "the directory of bitmaps lies where none can be");
		return 0;
	}
	rows = calloc(1, x->bitmaps_len + 1);
	if (!rows)
		return -ENOMEM;
	walk_ref(w, x->bitmaps_offset, x->bitmaps_len, "directory of bitmaps");
	got = store_read(w->q->file, rows, x->bitmaps_len, x->bitmaps_offset);
	if (got < 0)
		return (int)got;
	for (uint64_t i = 0, at = 0, len = 0; r == 0 && i < x->n_bitmaps; i++, at += len)
		r = walk_row(w, rows + at, x->bitmaps_len - at, &len);
	return r == -EBADMSG ? 0 : r;
}
