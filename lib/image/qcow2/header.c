/* SPDX-License-Identifier: Apache-2.0 */
/* The fixed part of a header; see header.h. */
#include "lib/image/qcow2/header.h"

#include "lib/base/checked.h"
#include "lib/base/cleanup.h"
#include "lib/image/qcow2/format.h"

static void decode_v2(const uint8_t *b, struct qcow2_header *h)
{
	*h = (struct qcow2_header){
		.version = get_be32(b + 4),
		.backing_offset = get_be64(b + 8),
		.backing_len = get_be32(b + 16),
		.cluster_bits = get_be32(b + 20),
		.size = get_be64(b + H_SIZE),
		.crypt_method = get_be32(b + 32),
		.l1_size = get_be32(b + H_L1_SIZE),
		.l1_offset = get_be64(b + H_L1_OFFSET),
		.reftable_offset = get_be64(b + H_REFTABLE_OFFSET),
		.reftable_clusters = get_be32(b + H_REFTABLE_CLUSTERS),
		.n_snapshots = get_be32(b + H_N_SNAPSHOTS),
		.snapshots_offset = get_be64(b + H_SNAPSHOTS_OFFSET),
		.refcount_order = 4,
		.header_len = HEADER_V2,
	};
}

static int decode_v3(const uint8_t *b, size_t len, struct qcow2_header *h, struct volume_error *e)
{
	if (len < HEADER_V3)
		return volume_fail(e, -EINVAL, "the image ends within its qcow2 header");
	h->incompatible = get_be64(b + H_INCOMPATIBLE);
	h->compatible = get_be64(b + 80);
	h->autoclear = get_be64(b + H_AUTOCLEAR);
	h->refcount_order = get_be32(b + 96);
	h->header_len = get_be32(b + 100);
	if (h->header_len < HEADER_V3 || h->header_len % 8 || h->header_len > HEADER_MAX ||
	    h->header_len > len)
		return volume_fail(e, -EINVAL,
				   "header_length is %u: it must be a multiple of 8 from %u to %u",
				   h->header_len, HEADER_V3, HEADER_MAX);
	if (h->header_len > HEADER_V3)
		h->compression = b[HEADER_V3];
	return 0;
}

static int check_encryption(const struct qcow2_header *h, struct volume_error *e)
{
	if (!h->crypt_method)
		return 0;
	return volume_fail(e, -ENOTSUP, "the image is encrypted (%s), which is not supported",
			   h->crypt_method == 1 ? "AES" :
			   h->crypt_method == 2 ? "LUKS" :
						  "an unknown method");
}

static int check_compression(const struct qcow2_header *h, struct volume_error *e)
{
	bool bit = h->incompatible & INCOMPATIBLE_COMPRESSION;

	if (h->compression > QCOW2_ZSTD)
		return volume_fail(e, -ENOTSUP, "unknown compression_type %u: 0 is zlib, 1 is zstd",
				   h->compression);
	if (bit != (h->compression != QCOW2_ZLIB))
		return volume_fail(
			e, -EINVAL,
			"compression_type is %u while the feature bit that goes with it is %s",
			h->compression, bit ? "set" : "not set");
	return 0;
}

uint64_t header_l1_needed(uint64_t size, uint32_t cluster_bits, bool extended_l2)
{
	unsigned int shift = 2 * cluster_bits - (extended_l2 ? 4 : 3);

	return (size >> shift) + (size & (BIT(shift) - 1) ? 1 : 0);
}

static int check_sizes(const struct qcow2_header *h, struct volume_error *e)
{
	bool extended = h->incompatible & INCOMPATIBLE_EXTENDED_L2;

	if (h->cluster_bits < MIN_CLUSTER_BITS || h->cluster_bits > MAX_CLUSTER_BITS)
		return volume_fail(e, -EINVAL, "cluster_bits is %u: it must be from %u to %u",
				   h->cluster_bits, MIN_CLUSTER_BITS, MAX_CLUSTER_BITS);
	if (extended && h->cluster_bits < 14)
		return volume_fail(e, -EINVAL,
				   "extended L2 entries need clusters of 16 KiB at least");
	if (h->refcount_order > MAX_REFCOUNT_ORDER)
		return volume_fail(e, -EINVAL, "refcount_order is %u: it must be at most %u",
				   h->refcount_order, MAX_REFCOUNT_ORDER);
	if (h->header_len > BIT(h->cluster_bits))
		return volume_fail(e, -EINVAL, "the header is longer than a cluster");
	if (h->size > INT64_MAX)
		return volume_fail(e, -EINVAL, "the disk's size is over 8 EiB");
	if (header_l1_needed(h->size, h->cluster_bits, extended) > MAX_L1_BYTES / 8)
		return volume_fail(e, -EINVAL,
				   "the disk's size needs an L1 table of more than 32 MiB");
	if (h->l1_size > MAX_L1_BYTES / 8)
		return volume_fail(e, -EINVAL, "the L1 table has more than 32 MiB");
	if (h->l1_size < header_l1_needed(h->size, h->cluster_bits, extended))
		return volume_fail(e, -EINVAL, "the L1 table is too small for the disk's size");
	return 0;
}

static int check_place(const struct qcow2_header *h, const char *what, uint64_t offset,
		       uint64_t len, struct volume_error *e)
{
	if (!len)
		return 0;
	if (offset & (BIT(h->cluster_bits) - 1))
		return volume_fail(e, -EINVAL, "the %s does not begin at a cluster", what);
	if (offset == 0 || !range_within(offset, len, BIT(56)))
		return volume_fail(e, -EINVAL, "the %s lies where none can be", what);
	return 0;
}

static int check_tables(const struct qcow2_header *h, struct volume_error *e)
{
	uint64_t reftable_len = (uint64_t)h->reftable_clusters << h->cluster_bits;
	int r;

	if (!h->reftable_clusters)
		return volume_fail(e, -EINVAL, "the image has no refcount table");
	if (reftable_len > MAX_REFTABLE_BYTES)
		return volume_fail(e, -EINVAL, "the refcount table has more than 8 MiB");
	if (h->n_snapshots > MAX_SNAPSHOTS)
		return volume_fail(e, -EINVAL, "the image has more than %u snapshots",
				   MAX_SNAPSHOTS);
	r = check_place(h, "L1 table", h->l1_offset, (uint64_t)h->l1_size * 8, e);
	if (r == 0)
		r = check_place(h, "refcount table", h->reftable_offset, reftable_len, e);
	if (r == 0)
		r = check_place(h, "snapshot table", h->snapshots_offset, h->n_snapshots, e);
	return r;
}

static int check_backing(const struct qcow2_header *h, struct volume_error *e)
{
	if (!h->backing_offset)
		return 0;
	if (h->backing_len > MAX_BACKING_NAME)
		return volume_fail(e, -EINVAL, "the backing file's name has over %u bytes",
				   MAX_BACKING_NAME);
	if (h->backing_offset < h->header_len ||
	    !range_within(h->backing_offset, h->backing_len, BIT(h->cluster_bits)))
		return volume_fail(e, -EINVAL,
				   "the backing file's name lies outside the first cluster");
	return 0;
}

int header_decode(const uint8_t *bytes, size_t len, struct qcow2_header *ret,
		  struct volume_error *e)
{
	struct qcow2_header h;
	int r = 0;

	if (len < HEADER_V2 || get_be32(bytes) != QCOW2_MAGIC)
		return volume_fail(e, -EINVAL,
				   "not a qcow2 image: it does not begin with QFI\\xfb");
	decode_v2(bytes, &h);
	if (h.version != 2 && h.version != 3)
		return volume_fail(e, -ENOTSUP, "qcow2 version %u is not supported: 2 and 3 are",
				   h.version);
	if (h.version == 3)
		r = decode_v3(bytes, len, &h, e);
	if (r == 0)
		r = check_encryption(&h, e);
	if (r == 0)
		r = check_sizes(&h, e);
	if (r == 0)
		r = check_tables(&h, e);
	if (r == 0)
		r = check_backing(&h, e);
	if (r == 0)
		*ret = h;
	return r;
}

static int read_backing(struct store *file, const struct qcow2_header *h,
			char backing[QCOW2_NAME_MAX], struct volume_error *e)
{
	ssize_t r;

	memset(backing, 0, QCOW2_NAME_MAX);
	if (!h->backing_offset || !h->backing_len)
		return 0;
	r = store_read(file, backing, h->backing_len, h->backing_offset);
	if (r < 0)
		return volume_fail(e, (int)r, "cannot read the backing file's name: %s",
				   strerror((int)-r));
	return 0;
}

int header_read(struct store *file, struct qcow2_header *ret, struct qcow2_extensions *ret_ext,
		char backing[QCOW2_NAME_MAX], struct volume_error *e)
{
	_cleanup_(freep) uint8_t *bytes = calloc(1, BIT(16));
	size_t len = BIT(16);
	struct qcow2_header h = { 0 };
	ssize_t got;
	int r;

	if (!bytes)
		return -ENOMEM;
	got = store_read(file, bytes, len, 0);
	if (got < 0)
		return volume_fail(e, (int)got, "cannot read the header: %s", strerror((int)-got));
	r = header_decode(bytes, (size_t)got, &h, e);
	if (r < 0)
		return r;
	if (len > BIT(h.cluster_bits))
		len = BIT(h.cluster_bits);
	*ret = h;
	r = extensions_decode(bytes, len, ret, ret_ext, e);
	if (r == 0)
		r = check_compression(ret, e);
	return r < 0 || !backing ? r : read_backing(file, ret, backing, e);
}

int qcow2_read_info(struct store *file, struct qcow2_info *ret, struct volume_error *e)
{
	struct qcow2_header h = { 0 };
	struct qcow2_extensions x = { 0 };
	char backing[QCOW2_NAME_MAX];
	int r;

	r = header_read(file, &h, &x, backing, e);
	if (r < 0)
		return r;
	*ret = (struct qcow2_info){
		.version = h.version,
		.size = h.size,
		.cluster_size = (uint32_t)BIT(h.cluster_bits),
		.refcount_bits = (uint32_t)BIT(h.refcount_order),
		.compression = h.compression,
		.n_snapshots = h.n_snapshots,
		.lazy_refcounts = h.compatible & COMPATIBLE_LAZY,
		.extended_l2 = h.incompatible & INCOMPATIBLE_EXTENDED_L2,
		.dirty = h.incompatible & INCOMPATIBLE_DIRTY,
		.corrupt = h.incompatible & INCOMPATIBLE_CORRUPT,
		.data_file = h.incompatible & INCOMPATIBLE_DATA_FILE,
		.data_file_raw = h.autoclear & AUTOCLEAR_DATA_RAW,
		.bitmaps = (h.autoclear & AUTOCLEAR_BITMAPS) && x.n_bitmaps,
	};
	memcpy(ret->backing_file, backing, sizeof(backing));
	memcpy(ret->backing_format, x.backing_format, sizeof(x.backing_format));
	memcpy(ret->data_file_name, x.data_file, sizeof(x.data_file));
	return 0;
}
