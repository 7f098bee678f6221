/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing. First the bytes, then the entry that refers to them. What is not overwritten of a new
 * cluster (or subcluster) is filled with what was there, unless that is zeroes as the place is.
 */
#include "lib/image/iov.h"
#include "lib/image/qcow2/internal.h"

/* The bytes of the guest that go to one contiguous place. */
struct job {
	struct iovec vec[WINDOW + 2]; /* [0] and the last are for what is filled */
	size_t n_vec;		      /* without those */
	uint64_t guest, len;
	uint64_t fill_from, fill_to; /* what is written in all */
	uint64_t host;		     /* of fill_from */
	bool fresh;
};

static uint64_t down(uint64_t v, uint64_t unit)
{
	return v & ~(unit - 1);
}

static uint64_t up(uint64_t v, uint64_t unit)
{
	return down(v + unit - 1, unit);
}

uint32_t subs_in(const struct qcow2 *q, uint64_t cluster, uint64_t from, uint64_t to)
{
	uint64_t first = from > cluster ? (from - cluster) >> q->sub_bits : 0;
	uint64_t end = min_u64(to - cluster, q->cluster_size) >> q->sub_bits;

	return (uint32_t)((BIT(end) - 1) & ~(BIT(first) - 1));
}

bool reads_zero(struct qcow2 *q, const struct entry *en, uint64_t guest, uint64_t len)
{
	struct volume *backing = q->volume.backing;
	uint32_t subs = subs_in(q, down(guest, q->cluster_size), down(guest, BIT(q->sub_bits)),
				up(guest + len, BIT(q->sub_bits)));
	struct extent x;

	if (en->compressed || en->alloc & subs)
		return false;
	if ((en->zero & subs) == subs || !backing || guest >= backing->size)
		return true;
	return volume_map_cached(backing, guest, min_u64(len, backing->size - guest), &x) == 0 &&
	       x.len >= min_u64(len, backing->size - guest) &&
	       (x.kind == EXTENT_ZERO || (x.kind == EXTENT_HOLE && !backing->backing));
}

/* The disk may end within its last cluster. */
static int read_old(struct qcow2 *q, uint64_t guest, uint8_t *buf, uint64_t len)
{
	uint64_t there = guest < q->volume.size ? min_u64(len, q->volume.size - guest) : 0;
	const struct iovec iov = { .iov_base = buf, .iov_len = there };

	memset(buf + there, 0, len - there);
	return there ? qcow2_readv(&q->volume, &iov, 1, guest) : 0;
}

static int fill_in_chunks(struct qcow2 *q, uint64_t guest, uint64_t len, uint64_t host)
{
	while (len) {
		uint64_t n = min_u64(len, BOUNCE);
		int r = read_old(q, guest, q->bounce, n);

		if (r == 0)
			r = store_write(q->data, q->bounce, n, host);
		if (r < 0)
			return r;
		guest += n;
		host += n;
		len -= n;
	}
	return 0;
}

/* What lies on either side, with one read where little lies between; a bad sector there does not matter. */
static int read_sides(struct qcow2 *q, const struct job *j, uint64_t head, uint64_t tail,
		      uint8_t **ret_tail)
{
	uint64_t all = head + j->len + tail;
	int r;

	*ret_tail = q->bounce + head + j->len;
	if (head && tail && j->len <= head + tail && all <= BOUNCE &&
	    read_old(q, j->guest - head, q->bounce, all) == 0)
		return 0;
	*ret_tail = q->bounce + head;
	r = head ? read_old(q, j->guest - head, q->bounce, head) : 0;
	return r == 0 && tail ? read_old(q, j->guest + j->len, *ret_tail, tail) : r;
}

/* All in one write: what is filled on either side fits into the bounce buffer. */
static int write_at_once(struct qcow2 *q, struct job *j, uint64_t head, uint64_t tail)
{
	size_t first = head ? 0 : 1, end = j->n_vec + 1;
	uint8_t *behind;
	int r = read_sides(q, j, head, tail, &behind);

	if (r < 0)
		return r;
	j->vec[0] = (struct iovec){ .iov_base = q->bounce, .iov_len = head };
	j->vec[end] = (struct iovec){ .iov_base = behind, .iov_len = tail };
	if (tail)
		end++;
	return store_writev(q->data, j->vec + first, end - first,
			    j->host + (first ? j->guest - j->fill_from : 0));
}

static int write_in_parts(struct qcow2 *q, const struct job *j, uint64_t head, uint64_t tail)
{
	uint64_t at = j->host + (j->guest - j->fill_from);
	int r = fill_in_chunks(q, j->fill_from, head, j->host);

	if (r == 0)
		r = store_writev(q->data, j->vec + 1, j->n_vec, at);
	return r < 0 ? r : fill_in_chunks(q, j->guest + j->len, tail, at + j->len);
}

/* A data file is not to grow behind the disk's end, but by what is written there while that moves. */
static uint64_t last_byte(const struct qcow2 *q, const struct job *j)
{
	return q->external ? max_u64(min_u64(j->fill_to, q->volume.size), j->guest + j->len) :
			     j->fill_to;
}

/* An entry may refer to it before the bytes have arrived: it finds zeroes. See also set_entries. */
static bool is_ready(const struct qcow2 *q, const struct job *j)
{
	return j->fresh && j->host + (j->fill_to - j->fill_from) <= q->sized;
}

static int write_filled(struct qcow2 *q, struct job *j, const struct entry *first,
			const struct entry *last)
{
	uint64_t head = j->guest - j->fill_from, tail = last_byte(q, j) - (j->guest + j->len);
	int r = q->external ? 0 : overlap_check(q, j->host, j->fill_to - j->fill_from);

	if (r < 0)
		return r;
	if (j->fresh && head && reads_zero(q, first, j->fill_from, head))
		head = 0;
	if (j->fresh && tail && reads_zero(q, last, j->guest + j->len, tail))
		tail = 0;
	if (head + tail <= BOUNCE)
		r = write_at_once(q, j, head, tail);
	else
		r = write_in_parts(q, j, head, tail);
	if (!is_ready(q, j))
		q->unsynced = true; /* now: what was read for it may have flushed */
	return r;
}

/* A cluster that is the disk's own, but this part of it holds nothing yet. */
static int write_owned(struct qcow2 *q, struct job *j, struct entry *en)
{
	uint64_t unit = BIT(q->sub_bits), cluster = down(j->guest, q->cluster_size);
	uint64_t end = min_u64(j->guest + j->len, cluster + q->cluster_size);
	struct entry old = *en;
	uint32_t subs;
	int r;

	/* up to the first subcluster that does hold something */
	for (uint64_t at = up(j->guest + 1, unit); at < end; at += unit)
		if (en->alloc & subs_in(q, cluster, at, at + unit))
			end = at;
	j->len = end - j->guest;
	j->n_vec = iov_window(j->vec + 1, j->n_vec, 0, &j->len, j->vec + 1, WINDOW);
	j->fill_from = down(j->guest, unit);
	j->fill_to = up(end, unit);
	j->host = en->host + (j->fill_from - cluster);
	r = write_filled(q, j, &old, &old);
	if (r < 0)
		return r;
	subs = subs_in(q, cluster, j->fill_from, j->fill_to);
	en->alloc |= subs;
	en->zero &= ~subs;
	return l2_set(q, cluster, en);
}

static bool is_owned(const struct entry *en)
{
	return en->has_host && en->copied && !en->compressed;
}

/* How many clusters from guest on need a new place, as far as one page of the table tells. */
static int count_new(struct qcow2 *q, uint64_t guest, uint64_t len, uint64_t *ret_n)
{
	uint64_t cluster = down(guest, q->cluster_size), want, n = 0;
	struct entries e = { 0 };
	int r = l2_read(q, guest, &e);

	if (r < 0)
		return r;
	want = min_u64(e.n, clusters_for(q, guest + len - cluster));
	for (; n < want; n++) {
		struct entry en = { 0 };

		r = e.page ? entry_decode(q, e.page, e.index + (uint32_t)n,
					  cluster + (n << q->cluster_bits), &en) :
			     0;
		if (r < 0)
			return mark_corrupt(q);
		if (is_owned(&en))
			break;
	}
	*ret_n = n;
	return n ? 0 : -EIO;
}

static int find_place(struct qcow2 *q, uint64_t guest, uint64_t want, uint64_t *ret_host,
		      uint64_t *ret_n, bool *ret_fresh)
{
	uint64_t cluster;
	int r;

	if (q->external) { /* a data file's clusters lie where the guest's do */
		*ret_host = down(guest, q->cluster_size);
		*ret_n = want;
		*ret_fresh = false;
		return 0;
	}
	r = alloc_run(q, want, &cluster, ret_n, ret_fresh);
	if (r == 0)
		*ret_host = cluster << q->cluster_bits;
	return r;
}

/* Where the filling ends on a side: at the subcluster, or at the cluster if all of it must move. */
static uint64_t fill_unit(const struct qcow2 *q, const struct entry *old)
{
	return old->compressed || old->alloc ? q->cluster_size : BIT(q->sub_bits);
}

/* Where bytes are replaced, a power cut leaves the old ones or the new ones, and no zeroes. */
static bool replaces_zeroes(struct qcow2 *q, const struct job *j, const struct entry *old,
			    uint64_t cluster)
{
	uint64_t from = j->fill_from > cluster ? j->fill_from : cluster;

	return reads_zero(q, old, from, min_u64(j->fill_to, cluster + q->cluster_size) - from);
}

static int set_entries(struct qcow2 *q, const struct job *j, uint64_t host)
{
	uint64_t cluster = down(j->guest, q->cluster_size);

	for (; cluster < j->fill_to; cluster += q->cluster_size, host += q->cluster_size) {
		uint32_t subs = subs_in(q, cluster, j->fill_from, j->fill_to);
		struct entry old, en;
		int r = l2_entry(q, cluster, &old);

		en = (struct entry){ .has_host = true,
				     .copied = true,
				     .host = host,
				     .alloc = subs,
				     .zero = old.zero & ~subs };
		if (r == 0 && !replaces_zeroes(q, j, &old, cluster))
			q->unsynced = true;
		if (r == 0)
			r = l2_set(q, cluster, &en);
		if (r == 0)
			r = entry_release(q, &old);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_to(struct qcow2 *q, struct job *j, uint64_t host)
{
	uint64_t cluster = down(j->guest, q->cluster_size);
	struct entry first, last;
	int r = l2_entry(q, j->guest, &first);

	if (r == 0)
		r = l2_entry(q, j->guest + j->len - 1, &last);
	if (r < 0)
		return r;
	j->fill_from = down(j->guest, fill_unit(q, &first));
	j->fill_to = up(j->guest + j->len, fill_unit(q, &last));
	j->host = host + (j->fill_from - cluster);
	return write_filled(q, j, &first, &last);
}

static int write_new(struct qcow2 *q, struct job *j)
{
	uint64_t cluster = down(j->guest, q->cluster_size), want = 0, n = 0, host = 0;
	int r = count_new(q, j->guest, j->len, &want);

	if (r == 0)
		r = find_place(q, j->guest, want, &host, &n, &j->fresh);
	if (r < 0)
		return r;
	j->len = min_u64(j->len, cluster + (n << q->cluster_bits) - j->guest);
	j->n_vec = iov_window(j->vec + 1, j->n_vec, 0, &j->len, j->vec + 1, WINDOW);
	r = write_to(q, j, host);
	if (r == 0)
		return set_entries(q, j, host);
	if (!q->external && !q->failed) /* nothing refers to them */
		(void)!free_later(q, cluster_of(q, host), n);
	return r;
}

static int write_elsewhere(struct qcow2 *q, struct job *j)
{
	struct entry en = { 0 };
	int r = l2_own(q, j->guest);

	if (r == 0)
		r = l2_entry(q, j->guest, &en);
	if (r < 0)
		return r;
	return is_owned(&en) ? write_owned(q, j, &en) : write_new(q, j);
}

static int write_piece(struct qcow2 *q, struct job *j)
{
	struct extent x;
	int r = qcow2_map(&q->volume, j->guest, j->len, &x);

	if (r < 0)
		return r;
	if (x.kind != EXTENT_DATA || !x.writable)
		return write_elsewhere(q, j);
	j->len = x.len;
	j->n_vec = iov_window(j->vec + 1, j->n_vec, 0, &j->len, j->vec + 1, WINDOW);
	return store_writev(x.store, j->vec + 1, j->n_vec, x.offset);
}

int qcow2_writev(struct volume *v, const struct iovec *iov, size_t n_iov, uint64_t offset)
{
	struct qcow2 *q = qcow2_of(v);
	uint64_t len = iov_bytes(iov, n_iov);

	for (uint64_t done = 0; done < len;) {
		struct job j = { .guest = offset + done, .len = len - done };
		int r;

		if (q->failed)
			return q->failed;
		j.n_vec = iov_window(iov, n_iov, done, &j.len, j.vec + 1, WINDOW);
		r = write_piece(q, &j);
		if (r < 0)
			return r;
		done += j.len;
	}
	return 0;
}
