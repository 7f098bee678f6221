/* SPDX-License-Identifier: Apache-2.0 */
/* Empty images: header, refcount table, refcount blocks and L1 table, one after the other. */
#include "lib/image/qcow2/internal.h"

#include "lib/base/cleanup.h"

#include <stdlib.h>

#define HEADER_LEN 112U /* of version 3, with the compression type */

struct layout {
	uint32_t cluster_bits, refcount_order;
	uint64_t n_reftable, n_blocks, n_l1; /* clusters */
	uint64_t l1_size;		     /* entries */
};

static const struct {
	uint8_t type, bit;
	const char *name;
} features[] = {
	{ 0, 0, "dirty bit" },
	{ 0, 1, "corrupt bit" },
	{ 0, 2, "external data file" },
	{ 0, 3, "compression type" },
	{ 0, 4, "extended L2 entries" },
	{ 1, 0, "lazy refcounts" },
	{ 2, 0, "bitmaps" },
	{ 2, 1, "raw external data" },
};

static bool is_power(uint64_t v)
{
	return v && !(v & (v - 1));
}

static void set_defaults(struct qcow2_create_options *o)
{
	if (!o->version)
		o->version = 3;
	if (!o->cluster_size)
		o->cluster_size = 64U << 10;
	if (!o->refcount_bits)
		o->refcount_bits = 16;
	o->size = (o->size + 511) & ~UINT64_C(511);
}

static int check_v2(const struct qcow2_create_options *o, struct volume_error *e)
{
	if (o->version != 2)
		return 0;
	if (o->refcount_bits != 16)
		return volume_fail(e, -EINVAL, "refcount_bits other than 16 need version 3");
	if (o->lazy_refcounts || o->extended_l2 || o->compression || o->data_file)
		return volume_fail(e, -EINVAL, "%s version 3",
				   o->lazy_refcounts ? "lazy_refcounts need" :
				   o->extended_l2    ? "extended_l2 needs" :
				   o->compression    ? "compression_type zstd needs" :
						       "a data_file needs");
	return 0;
}

static int check_numbers(const struct qcow2_create_options *o, struct volume_error *e)
{
	if (o->version != 2 && o->version != 3)
		return volume_fail(e, -EINVAL, "version %u: it must be 2 or 3", o->version);
	if (!is_power(o->cluster_size) || o->cluster_size < BIT(MIN_CLUSTER_BITS) ||
	    o->cluster_size > BIT(MAX_CLUSTER_BITS))
		return volume_fail(e, -EINVAL,
				   "cluster_size %u: it must be a power of two from 512 to 2M",
				   o->cluster_size);
	if (!is_power(o->refcount_bits) || o->refcount_bits > 64)
		return volume_fail(e, -EINVAL,
				   "refcount_bits %u: it must be 1, 2, 4, 8, 16, 32 or 64",
				   o->refcount_bits);
	if (o->extended_l2 && o->cluster_size < 16384)
		return volume_fail(e, -EINVAL, "extended_l2 needs a cluster_size of 16k at least");
	if (o->compression > QCOW2_ZSTD)
		return volume_fail(e, -EINVAL, "compression_type: it must be zlib or zstd");
	return 0;
}

static int check_names(const struct qcow2_create_options *o, struct volume_error *e)
{
	if (o->backing_file && (!o->backing_file[0] || strlen(o->backing_file) > MAX_BACKING_NAME))
		return volume_fail(e, -EINVAL, "the backing file's name must have 1 to %u bytes",
				   MAX_BACKING_NAME);
	if (o->backing_format && !o->backing_file)
		return volume_fail(e, -EINVAL, "a backing format needs a backing file");
	if (o->backing_file && o->preallocation)
		return volume_fail(e, -EINVAL,
				   "preallocation and a backing file do not go together");
	if (o->data_file_raw && !o->data_file)
		return volume_fail(e, -EINVAL, "data_file_raw needs a data_file");
	if (o->data_file_raw && o->backing_file)
		return volume_fail(e, -EINVAL,
				   "data_file_raw and a backing file do not go together");
	return 0;
}

static int plan(const struct qcow2_create_options *o, struct layout *l, struct volume_error *e)
{
	uint64_t cluster = o->cluster_size, per_block = cluster * 8 / o->refcount_bits, before;

	*l = (struct layout){ .cluster_bits = (uint32_t)__builtin_ctz(o->cluster_size),
			      .refcount_order = (uint32_t)__builtin_ctz(o->refcount_bits) };
	if (o->size > INT64_MAX - 511 ||
	    header_l1_needed(o->size, l->cluster_bits, o->extended_l2) > MAX_L1_BYTES / 8)
		return volume_fail(e, -EINVAL,
				   "a disk of that size is not possible with clusters of %u bytes",
				   o->cluster_size);
	l->l1_size = header_l1_needed(o->size, l->cluster_bits, o->extended_l2);
	l->n_l1 = divide_up(l->l1_size * 8, cluster);
	do {
		before = l->n_blocks;
		l->n_blocks = divide_up(1 + l->n_reftable + l->n_blocks + l->n_l1, per_block);
		l->n_reftable = divide_up(l->n_blocks * 8, cluster);
	} while (l->n_blocks != before);
	return 0;
}

static void put_fixed(uint8_t *b, const struct qcow2_create_options *o, const struct layout *l)
{
	uint64_t reftable = BIT(l->cluster_bits);
	uint64_t l1 = (1 + l->n_reftable + l->n_blocks) << l->cluster_bits;

	put_be32(b, QCOW2_MAGIC);
	put_be32(b + 4, o->version);
	put_be32(b + 20, l->cluster_bits);
	put_be64(b + H_SIZE, o->size);
	put_be32(b + H_L1_SIZE, (uint32_t)l->l1_size);
	put_be64(b + H_L1_OFFSET, l1);
	put_be64(b + H_REFTABLE_OFFSET, reftable);
	put_be32(b + H_REFTABLE_CLUSTERS, (uint32_t)l->n_reftable);
	if (o->version < 3)
		return;
	put_be64(b + H_INCOMPATIBLE, (o->data_file ? INCOMPATIBLE_DATA_FILE : 0) |
					     (o->compression ? INCOMPATIBLE_COMPRESSION : 0) |
					     (o->extended_l2 ? INCOMPATIBLE_EXTENDED_L2 : 0));
	put_be64(b + 80, o->lazy_refcounts ? COMPATIBLE_LAZY : 0);
	put_be64(b + H_AUTOCLEAR, o->data_file_raw ? AUTOCLEAR_DATA_RAW : 0);
	put_be32(b + 96, l->refcount_order);
	put_be32(b + 100, HEADER_LEN);
	b[HEADER_V3] = (uint8_t)o->compression;
}

/* Appends an extension if there is room for it and what must follow. */
static bool put_extension(uint8_t *b, size_t *at, size_t end, uint32_t type, const void *data,
			  size_t len)
{
	size_t padded = (len + 7) & ~(size_t)7;

	if (*at + 8 + padded > end)
		return false;
	put_be32(b + *at, type);
	put_be32(b + *at + 4, (uint32_t)len);
	memcpy(b + *at + 8, data, len);
	*at += 8 + padded;
	return true;
}

static void put_features(uint8_t *b, size_t *at, size_t end)
{
	uint8_t rows[ARRAY_SIZE(features)][48] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		rows[i][0] = features[i].type;
		rows[i][1] = features[i].bit;
		memcpy(rows[i] + 2, features[i].name, strlen(features[i].name));
	}
	(void)!put_extension(b, at, end, EXT_FEATURE_NAMES, rows, sizeof(rows));
}

static bool put_name(uint8_t *b, size_t *at, size_t end, uint32_t type, const char *name)
{
	return !name || put_extension(b, at, end, type, name, strlen(name));
}

/* b: the first cluster, zeroes. */
static int put_header(uint8_t *b, const struct qcow2_create_options *o, const struct layout *l,
		      struct volume_error *e)
{
	size_t cluster = BIT(l->cluster_bits), name = o->backing_file ? strlen(o->backing_file) : 0;
	size_t at = o->version < 3 ? HEADER_V2 : HEADER_LEN, end = cluster - name - 8;

	put_fixed(b, o, l);
	if (name + 8 + at > cluster ||
	    !put_name(b, &at, end, EXT_BACKING_FORMAT, o->backing_format) ||
	    !put_name(b, &at, end, EXT_DATA_FILE, o->data_file))
		return volume_fail(e, -EINVAL, "the names of files do not fit into a cluster");
	if (o->version >= 3)
		put_features(b, &at, end);
	at += 8; /* the end of extensions is zeroes */
	if (name) {
		put_be64(b + 8, at);
		put_be32(b + 16, (uint32_t)name);
		memcpy(b + at, o->backing_file, name);
	}
	return 0;
}

static int write_reftable(struct store *file, const struct layout *l, uint8_t *b)
{
	uint64_t per_cluster = BIT(l->cluster_bits) / 8, done = 0;
	int r = 0;

	for (uint64_t c = 0; r == 0 && c < l->n_reftable; c++) {
		memset(b, 0, BIT(l->cluster_bits));
		for (uint64_t i = 0; i < per_cluster && done < l->n_blocks; i++, done++)
			put_be64(b + i * 8, (1 + l->n_reftable + done) << l->cluster_bits);
		r = store_write(file, b, BIT(l->cluster_bits), (1 + c) << l->cluster_bits);
	}
	return r;
}

static int write_blocks(struct store *file, const struct layout *l, uint8_t *b)
{
	uint32_t bits = (uint32_t)BIT(l->refcount_order);
	uint64_t per_block = BIT(l->cluster_bits) * 8 / bits, done = 0;
	uint64_t used = 1 + l->n_reftable + l->n_blocks + l->n_l1;
	int r = 0;

	for (uint64_t c = 0; r == 0 && c < l->n_blocks; c++) {
		memset(b, 0, BIT(l->cluster_bits));
		for (uint64_t i = 0; i < per_block && done < used; i++, done++)
			refcount_put(b, i, bits, 1);
		r = store_write(file, b, BIT(l->cluster_bits),
				(1 + l->n_reftable + c) << l->cluster_bits);
	}
	return r;
}

/* The header comes last: before, it is not an image. header and b: a cluster each. */
static int write_with(struct store *file, const struct qcow2_create_options *o,
		      const struct layout *l, uint8_t *header, uint8_t *b, struct volume_error *e)
{
	uint64_t cluster = BIT(l->cluster_bits), l1 = 1 + l->n_reftable + l->n_blocks;
	int r = put_header(header, o, l, e);

	if (r == 0)
		r = write_reftable(file, l, b);
	if (r == 0)
		r = write_blocks(file, l, b);
	if (r == 0)
		r = store_zero(file, l1 << l->cluster_bits, l->n_l1 << l->cluster_bits);
	if (r == 0)
		r = store_flush(file);
	if (r == 0)
		r = store_write(file, header, cluster, 0);
	return r < 0 ? r : store_flush(file);
}

static int write_all(struct store *file, const struct qcow2_create_options *o,
		     const struct layout *l, struct volume_error *e)
{
	uint8_t *both = calloc(2, BIT(l->cluster_bits));
	int r;

	if (!both)
		return -ENOMEM;
	r = write_with(file, o, l, both, both + BIT(l->cluster_bits), e);
	free(both);
	return r;
}

int qcow2_create(struct store *file, const struct qcow2_create_options *options,
		 struct volume_error *e)
{
	struct qcow2_create_options o = *options;
	struct layout l;
	int r;

	(void)volume_fail(e, 0, "%s", "");
	set_defaults(&o);
	r = check_numbers(&o, e);
	if (r == 0)
		r = check_v2(&o, e);
	if (r == 0)
		r = check_names(&o, e);
	if (r == 0)
		r = plan(&o, &l, e);
	if (r == 0)
		r = write_all(file, &o, &l, e);
	if (r == 0 && o.preallocation == QCOW2_PREALLOCATE_METADATA)
		r = preallocate(file);
	if (r < 0 && e && !e->text[0])
		(void)volume_fail(e, r, "cannot write the image: %s", strerror(-r));
	return r;
}
