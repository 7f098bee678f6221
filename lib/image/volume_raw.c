/* SPDX-License-Identifier: Apache-2.0 */
/* Raw disks as volumes; see volume.h. */
#include "lib/image/volume.h"

#define SECTOR 512U

static struct volume_raw *raw_of(struct volume *v)
{
	return (struct volume_raw *)v; /* its first member */
}
_Static_assert(offsetof(struct volume_raw, volume) == 0, "raw_of");

static int raw_readv(struct volume *v, const struct iovec *iov, size_t n_iov, uint64_t offset)
{
	ssize_t r = store_readv(raw_of(v)->store, iov, n_iov, offset);

	return r < 0 ? (int)r : 0;
}

static int raw_writev(struct volume *v, const struct iovec *iov, size_t n_iov, uint64_t offset)
{
	return store_writev(raw_of(v)->store, iov, n_iov, offset);
}

static int raw_punch(struct volume_raw *raw, uint64_t offset, uint64_t len)
{
	int r;

	if (raw->no_punch || raw->store->fixed)
		return -EOPNOTSUPP;
	r = store_punch(raw->store, offset, len);
	raw->no_punch = r == -EOPNOTSUPP;
	return r;
}

static int raw_zero(struct volume *v, uint64_t offset, uint64_t len, bool may_unmap)
{
	int r = may_unmap ? raw_punch(raw_of(v), offset, len) : -EOPNOTSUPP;

	return r == -EOPNOTSUPP ? store_zero(raw_of(v)->store, offset, len) : r;
}

static int raw_discard(struct volume *v, uint64_t offset, uint64_t len)
{
	int r = store_punch(raw_of(v)->store, offset, len);

	return r == -EOPNOTSUPP ? 0 : r;
}

static int raw_flush(struct volume *v)
{
	return store_flush(raw_of(v)->store);
}

static int raw_map_cached(struct volume *v, uint64_t offset, uint64_t len, struct extent *ret)
{
	*ret = (struct extent){ .kind = EXTENT_DATA,
				.writable = !v->readonly,
				.store = raw_of(v)->store,
				.offset = offset,
				.len = len };
	return 0;
}

static int raw_map(struct volume *v, uint64_t offset, uint64_t len, struct extent *ret)
{
	uint64_t here;
	bool data;
	int r = store_map(raw_of(v)->store, offset, len, &data, &here);

	if (r < 0)
		return r;
	if (data)
		return raw_map_cached(v, offset, here, ret);
	*ret = (struct extent){ .kind = EXTENT_ZERO, .len = here };
	return 0;
}

static void raw_close(struct volume *v)
{
	store_close(raw_of(v)->store);
	raw_of(v)->store = NULL;
}

static const struct volume_ops raw_ops = {
	.readv = raw_readv,
	.writev = raw_writev,
	.zero = raw_zero,
	.discard = raw_discard,
	.flush = raw_flush,
	.map = raw_map,
	.map_cached = raw_map_cached,
	.close = raw_close,
};

int volume_raw_open(struct volume_raw *raw, struct store *store)
{
	uint64_t size = store->size & ~(uint64_t)(SECTOR - 1);

	if (!size)
		return -ENODATA;
	*raw = (struct volume_raw){
		.volume = { .ops = &raw_ops,
			    .size = size,
			    .cluster = SECTOR,
			    .readonly = store->readonly },
		.store = store,
	};
	return 0;
}
