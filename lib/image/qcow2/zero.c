/* SPDX-License-Identifier: Apache-2.0 */
/* Zeroes without data, and discards. */
#include "lib/image/qcow2/internal.h"

static const uint8_t zeroes[64U << 10]; /* never written, so that it takes no memory */

static int write_zeroes(struct qcow2 *q, uint64_t offset, uint64_t len)
{
	while (len) {
		const struct iovec iov = { .iov_base = (void *)(uintptr_t)zeroes,
					   .iov_len = min_u64(len, sizeof(zeroes)) };
		int r = qcow2_writev(&q->volume, &iov, 1, offset);

		if (r < 0)
			return r;
		offset += iov.iov_len;
		len -= iov.iov_len;
	}
	return 0;
}

/* Of a cluster's bytes [from, to), what is not behind the disk's end; all while the disk grows. */
static uint64_t within_disk(const struct qcow2 *q, uint64_t guest, uint64_t from, uint64_t to)
{
	if (guest + from < q->volume.size && guest + to > q->volume.size)
		to = q->volume.size - guest;
	return to - from;
}

int zero_data_file(struct qcow2 *q, uint64_t offset, uint64_t len)
{
	int r = q->data->fixed ? -EOPNOTSUPP : store_punch(q->data, offset, len);

	return r == -EOPNOTSUPP ? store_zero(q->data, offset, len) : r;
}

/* Subclusters [from, to) of the cluster at guest, in bytes. */
static int zero_subs(struct qcow2 *q, uint64_t guest, uint64_t from, uint64_t to, bool may_unmap)
{
	uint32_t subs = subs_in(q, 0, from, to);
	struct entry old = { 0 }, en;
	int r = l2_own(q, guest);

	if (r == 0)
		r = l2_entry(q, guest, &old);
	if (r < 0)
		return r;
	if (old.compressed && subs != all_subs(q))
		return write_zeroes(q, guest + from, within_disk(q, guest, from, to));
	if (q->raw_external)
		r = zero_data_file(q, guest + from, within_disk(q, guest, from, to));
	if (r < 0)
		return r;
	en = old;
	if (subs == all_subs(q) && !q->raw_external && (may_unmap || old.compressed || !old.copied))
		en = (struct entry){ 0 };
	en.alloc &= ~subs;
	en.zero |= subs;
	r = l2_set(q, guest, &en);
	return r < 0 || (en.has_host && !old.compressed) ? r : entry_release(q, &old);
}

static int make_empty(struct qcow2 *q, uint64_t guest, bool zero)
{
	const struct entry en = { .zero = zero ? all_subs(q) : 0 };
	struct entry old;
	int r = l2_own(q, guest);

	if (r == 0)
		r = l2_entry(q, guest, &old);
	if (r == 0)
		r = l2_set(q, guest, &en);
	return r < 0 ? r : entry_release(q, &old);
}

static bool has_backing_at(const struct qcow2 *q, uint64_t guest)
{
	return q->volume.backing && guest < q->volume.backing->size;
}

/* Version 2 has no way to say zero. */
static int zero_v2(struct qcow2 *q, uint64_t offset, uint64_t len, bool may_unmap)
{
	uint64_t cluster = offset - in_cluster(q, offset);
	bool whole = offset == cluster &&
		     (len == q->cluster_size || offset + len == q->volume.size);

	if (whole && may_unmap && !has_backing_at(q, cluster))
		return make_empty(q, cluster, false);
	return write_zeroes(q, offset, len);
}

/* Within one cluster. */
static int zero_cluster(struct qcow2 *q, uint64_t offset, uint64_t len, bool may_unmap)
{
	uint64_t unit = BIT(q->sub_bits), guest = offset - in_cluster(q, offset);
	uint64_t from = offset - guest, to = from + len;
	uint64_t first = (from + unit - 1) & ~(unit - 1), end = to & ~(unit - 1);
	int r = 0;

	if (q->h.version < 3)
		return zero_v2(q, offset, len, may_unmap);
	if (offset + len == q->volume.size)
		end = (to + unit - 1) & ~(unit - 1);
	if (first >= end)
		return write_zeroes(q, offset, len);
	if (first > from)
		r = write_zeroes(q, offset, first - from);
	if (r == 0)
		r = zero_subs(q, guest, first, end, may_unmap);
	if (r == 0 && to > end)
		r = write_zeroes(q, guest + end, to - end);
	return r;
}

int qcow2_zero(struct volume *v, uint64_t offset, uint64_t len, bool may_unmap)
{
	struct qcow2 *q = qcow2_of(v);

	while (len) {
		struct extent x;
		int r = qcow2_map(v, offset, len, &x);

		if (r < 0)
			return r;
		if (q->failed)
			return q->failed;
		if (x.kind != EXTENT_ZERO &&
		    (x.kind != EXTENT_HOLE || has_backing_at(q, offset) || q->raw_external)) {
			x.len = min_u64(len, q->cluster_size - in_cluster(q, offset));
			r = zero_cluster(q, offset, x.len, may_unmap);
		}
		if (r < 0)
			return r;
		offset += x.len;
		len -= x.len;
	}
	return 0;
}

static int discard_cluster(struct qcow2 *q, uint64_t guest)
{
	uint64_t there = min_u64(q->cluster_size, q->volume.size - guest);
	int r;

	if (q->raw_external)
		return zero_subs(q, guest, 0, q->cluster_size, false);
	r = make_empty(q, guest, q->h.version >= 3 && q->volume.backing);
	if (r == 0 && q->external)
		(void)!store_punch(q->data, guest, there);
	return r;
}

/* Whether there is anything to give up in the cluster at guest; *ret_len: how far that goes. */
static int occupied(struct qcow2 *q, uint64_t guest, uint64_t len, bool *ret, uint64_t *ret_len)
{
	struct extent x;
	struct entry en = { 0 };
	int r = qcow2_map(&q->volume, guest, len, &x);

	if (r < 0)
		return r;
	*ret_len = x.len;
	*ret = x.kind == EXTENT_DATA || x.kind == EXTENT_COMPRESSED;
	if (q->subclusters > 1) {
		r = l2_entry(q, guest, &en);
		*ret = en.has_host || en.compressed;
	}
	if (*ret || q->subclusters > 1)
		*ret_len = q->cluster_size;
	return r;
}

/* What is of whole clusters. */
int qcow2_discard(struct volume *v, uint64_t offset, uint64_t len)
{
	struct qcow2 *q = qcow2_of(v);
	uint64_t end = offset + len;

	offset = (offset + q->cluster_size - 1) & ~(q->cluster_size - 1);
	if (end != v->size)
		end &= ~(q->cluster_size - 1);
	while (offset < end) {
		uint64_t here;
		bool there;
		int r = occupied(q, offset, end - offset, &there, &here);

		if (r == 0 && q->failed)
			r = q->failed;
		if (r == 0 && there)
			r = discard_cluster(q, offset);
		if (r < 0)
			return r;
		offset += here;
	}
	return 0;
}
