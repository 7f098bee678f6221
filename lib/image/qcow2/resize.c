/* SPDX-License-Identifier: Apache-2.0 */
/* Larger and smaller disks. */
#include "lib/image/qcow2/shadow.h"

#include "lib/base/cleanup.h"
#include "lib/base/units.h"

#define STEP GIB(1) /* a multiple of any cluster's size */

static int write_header(struct qcow2 *q, uint64_t size, uint64_t l1_size, uint64_t l1_offset)
{
	uint8_t b[H_L1_OFFSET + 8 - H_SIZE] = { 0 };
	int r;

	put_be64(b, size);
	put_be32(b + (H_L1_SIZE - H_SIZE), (uint32_t)l1_size);
	put_be64(b + (H_L1_OFFSET - H_SIZE), l1_offset);
	r = header_write(q, H_SIZE, b, sizeof(b));
	if (r < 0)
		return r;
	cache_change(&q->cache);
	q->h.size = size;
	q->h.l1_size = (uint32_t)l1_size;
	q->h.l1_offset = l1_offset;
	q->l1.n = l1_size;
	cache_changed(&q->cache);
	q->volume.size = size;
	return 0;
}

/* A longer L1 table in a new place; it is in force with the header. */
static int move_l1(struct qcow2 *q, uint64_t need, uint64_t *ret_offset)
{
	uint64_t n = clusters_for(q, need * 8), cluster;
	bool fresh;
	int r = alloc_contiguous(q, n, &cluster, &fresh);

	if (r == 0)
		r = commit(q);
	if (r == 0 && !fresh)
		r = store_zero(q->file, cluster << q->cluster_bits, n << q->cluster_bits);
	if (r < 0)
		return r;
	table_dirty(&q->l1, 0, need);
	r = table_write(q, &q->l1, cluster << q->cluster_bits);
	if (r == 0)
		r = barrier(q);
	if (r == 0)
		*ret_offset = cluster << q->cluster_bits;
	return r;
}

static int extend_l1(struct qcow2 *q, uint64_t size, uint64_t need)
{
	uint64_t old = q->h.l1_offset, n_old = clusters_for(q, (uint64_t)q->h.l1_size * 8), offset;
	int r = move_l1(q, need, &offset);

	if (r == 0)
		r = write_header(q, size, need, offset);
	if (r < 0) {
		q->failed = q->failed ? q->failed : r;
		return r;
	}
	return n_old ? free_later(q, cluster_of(q, old), n_old) : 0;
}

/* Behind its end, the last cluster may have anything; and the backing may be longer. */
static int zero_tail(struct qcow2 *q, uint64_t from, uint64_t to)
{
	uint64_t end = min_u64(to, (from + q->cluster_size - 1) & ~(q->cluster_size - 1));

	return end > from ? qcow2_zero(&q->volume, from, end - from, false) : 0;
}

/*
 * The guest's bytes are in a file of their own, which has the disk's size, as qemu-img makes it. What it has there already
 * is no byte of the disk; where it is a raw disk, it is read without the metadata.
 */
static int extend_data(struct qcow2 *q, uint64_t from, uint64_t to, struct volume_error *e)
{
	uint64_t there = q->external ? q->data->size : to;
	int r = 0;

	if (q->raw_external && min_u64(there, to) > from)
		r = zero_data_file(q, from, min_u64(there, to) - from);
	if (r < 0 || there >= to)
		return r;
	if (q->data->fixed)
		return volume_fail(
			e, -ENOSPC,
			"its data file is a block device of %llu bytes: make that larger first",
			(unsigned long long)there);
	r = store_truncate(q->data, to);
	return r < 0 ? r : store_flush(q->data);
}

/* The disk is smaller already: what its data file has behind it is its no more. */
static int cut_data(struct qcow2 *q, uint64_t size)
{
	if (!q->external || q->data->fixed || q->data->size <= size)
		return 0;
	return store_truncate(q->data, size);
}

/* A backing may be far longer, and an entry is written for each of its clusters. */
static int hide_backing(struct qcow2 *q, uint64_t from, uint64_t to, void (*step)(void))
{
	struct volume *backing = q->volume.backing;
	uint64_t end = backing ? min_u64(to, backing->size) : 0, n;
	int r = 0;

	for (uint64_t at = from; at < end && r == 0; at += n) {
		n = min_u64(end - at, STEP - at % STEP);
		r = qcow2_zero(&q->volume, at, n, true);
		if (step)
			step();
	}
	return r;
}

static int make_room(struct qcow2 *q, uint64_t size, struct volume_error *e)
{
	if (size <= q->max_size)
		return 0;
	if (q->bounded)
		return volume_fail(e, -EINVAL, "the disk was opened to grow to %llu bytes at most",
				   (unsigned long long)q->max_size);
	q->max_size = size;
	tables_unload(q);
	cache_clear(&q->cache);
	return tables_load(q, e);
}

static int grow(struct qcow2 *q, uint64_t size, void (*step)(void), struct volume_error *e)
{
	uint64_t need = header_l1_needed(size, q->cluster_bits, q->subclusters > 1);
	uint64_t old = q->volume.size;
	int r = reserve_release(q);

	if (r == 0)
		r = flush_all(q);
	if (r == 0)
		r = make_room(q, size, e);
	if (r == 0)
		r = extend_data(q, old, size, e);
	if (r == 0)
		r = zero_tail(q, old, size);
	if (r < 0)
		return r;
	if (need > q->h.l1_size)
		r = extend_l1(q, size, need);
	else
		r = write_header(q, size, q->h.l1_size, q->h.l1_offset);
	if (r == 0)
		r = hide_backing(q, old, size, step);
	return r < 0 ? r : flush_all(q);
}

static int shrink_to(struct qcow2 *q, uint64_t size, struct volume_error *e)
{
	const struct snaptable none = { 0 };
	_cleanup_(freep) uint64_t *l1 = NULL;
	int r;

	if (q->h.n_snapshots)
		return volume_fail(e, -ENOTSUP, "a disk with snapshots cannot be made smaller");
	r = flush_all(q);
	if (r == 0)
		r = walk_read_l1(q, q->h.l1_offset, q->h.l1_size, &l1);
	if (r < 0)
		return r;
	r = shadow_commit(
		q,
		&(struct shadow_state){
			.l1 = l1, .n_l1 = q->h.l1_size, .size = size, .snapshots = &none },
		e);
	return r < 0 ? r : cut_data(q, size);
}

int size_impossible(const struct qcow2 *q, struct volume_error *e)
{
	return volume_fail(e, -EINVAL,
			   "a disk of that size is not possible with clusters of %llu bytes",
			   (unsigned long long)q->cluster_size);
}

static int check_size(const struct qcow2 *q, uint64_t size, bool shrink, struct volume_error *e)
{
	if (q->volume.readonly)
		return volume_fail(e, -EROFS, "the image was opened read-only");
	if (!size || size > INT64_MAX - 511 ||
	    header_l1_needed(size, q->cluster_bits, q->subclusters > 1) > MAX_L1_BYTES / 8)
		return size_impossible(q, e);
	if (size + 511 < q->volume.size && !shrink)
		return volume_fail(e, -EINVAL,
				   "this would cut the disk's end off, which has to be asked for");
	return 0;
}

int qcow2_resize(struct volume *v, uint64_t size, bool shrink, void (*step)(void),
		 struct volume_error *e)
{
	struct qcow2 *q = qcow2_of(v);
	int r;

	(void)volume_fail(e, 0, "%s", "");
	r = check_size(q, size, shrink, e);
	if (r < 0)
		return r;
	size = (size + 511) & ~UINT64_C(511);
	if (size == v->size)
		return 0;
	r = size > v->size ? grow(q, size, step, e) : shrink_to(q, size, e);
	if (r < 0 && e && !e->text[0])
		(void)volume_fail(e, r, "cannot change the size: %s", strerror(-r));
	return r;
}
