/* SPDX-License-Identifier: Apache-2.0 */
/* L2 entries, from and to bytes. */
#include "lib/image/qcow2/internal.h"

/* Another thread may be writing it: what it gets then, it throws away. */
static uint64_t load(const uint8_t *page, size_t at)
{
	return be64toh(
		__atomic_load_n((const uint64_t *)(const void *)page + at, __ATOMIC_RELAXED));
}

static void store(uint8_t *page, size_t at, uint64_t v)
{
	__atomic_store_n((uint64_t *)(void *)page + at, htobe64(v), __ATOMIC_RELAXED);
}

static int decode_compressed(const struct qcow2 *q, uint64_t v, uint64_t bitmap, struct entry *ret)
{
	unsigned int shift = 62 - (q->cluster_bits - 8);
	uint64_t offset = v & (BIT(shift) - 1);
	uint64_t sectors = ((v & (BIT(62) - 1)) >> shift) + 1;

	if (q->external || bitmap)
		return -EIO;
	*ret = (struct entry){ .compressed = true,
			       .host = offset,
			       .host_len = sectors * 512 - (offset & 511) };
	return 0;
}

static int decode_extended(uint64_t v, uint64_t bitmap, struct entry *ret)
{
	ret->alloc = (uint32_t)bitmap;
	ret->zero = (uint32_t)(bitmap >> 32);
	return v & ENTRY_ZERO || ret->alloc & ret->zero || (ret->alloc && !ret->has_host) ? -EIO :
											    0;
}

static int decode_plain(const struct qcow2 *q, uint64_t v, struct entry *ret)
{
	if (v & ENTRY_ZERO && q->h.version < 3)
		return -EIO;
	ret->zero = v & ENTRY_ZERO ? 1 : 0;
	ret->alloc = ret->has_host && !ret->zero;
	return 0;
}

int entry_decode(const struct qcow2 *q, const uint8_t *page, uint32_t index, uint64_t guest,
		 struct entry *ret)
{
	bool extended = q->subclusters > 1;
	uint64_t v = load(page, extended ? (size_t)index * 2 : index);
	uint64_t bitmap = extended ? load(page, (size_t)index * 2 + 1) : 0;
	struct entry en = { .host = v & OFFSET_MASK, .copied = v & ENTRY_COPIED };
	int r;

	if (v & ENTRY_COMPRESSED)
		return decode_compressed(q, v, bitmap, ret);
	en.has_host = en.host || (q->external && en.copied);
	if (in_cluster(q, en.host) || (q->raw_external && en.has_host && en.host != guest))
		return -EIO;
	r = extended ? decode_extended(v, bitmap, &en) : decode_plain(q, v, &en);
	if (r == 0)
		*ret = en;
	return r;
}

void entry_encode(const struct qcow2 *q, uint8_t *page, uint32_t index, const struct entry *en)
{
	uint64_t v = en->has_host ? en->host | (en->copied ? ENTRY_COPIED : 0) : 0;

	if (q->subclusters == 1) {
		store(page, index, v | (en->zero ? ENTRY_ZERO : 0));
		return;
	}
	store(page, (size_t)index * 2, v);
	store(page, (size_t)index * 2 + 1, (uint64_t)en->zero << 32 | en->alloc);
}
