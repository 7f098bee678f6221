/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing. */
#include "lib/image/qcow2/internal.h"

#include "lib/base/cleanup.h"

#include <stdlib.h>

static int table_read(struct qcow2 *q, struct table *t, const char *what, uint64_t offset,
		      uint64_t n, uint64_t cap, struct volume_error *e)
{
	ssize_t got;

	*t = (struct table){ .n = n, .cap = max_u64(n, cap) };
	t->at = calloc(t->cap + 1, 8);
	if (!t->at)
		return -ENOMEM;
	got = store_read(q->file, t->at, n * 8, offset);
	if (got < 0)
		return volume_fail(e, (int)got, "cannot read the %s: %s", what,
				   strerror((int)-got));
	if ((uint64_t)got < n * 8 && !q->tool && (uint64_t)got == 0 && n)
		return volume_fail(e, -EINVAL,
				   "the %s lies behind the end of the file, which was cut off",
				   what);
	for (uint64_t i = 0; i < n; i++)
		t->at[i] = be64toh(t->at[i]);
	return 0;
}

/* For as many blocks as the file can come to need, in whole clusters. */
static uint64_t reftable_cap(const struct qcow2 *q)
{
	uint64_t n = q->limit / refcounts_per_block(q) + 1;
	uint64_t most = MAX_REFTABLE_BYTES / 8, per_cluster = q->cluster_size / 8;

	n = (n + per_cluster - 1) / per_cluster * per_cluster;
	return n < most ? n : most;
}

int tables_load(struct qcow2 *q, struct volume_error *e)
{
	bool extended = q->subclusters > 1, grows = !q->volume.readonly;
	uint64_t l1_cap = header_l1_needed(q->max_size, q->cluster_bits, extended);
	uint64_t n = ((uint64_t)q->h.reftable_clusters << q->cluster_bits) / 8;
	int r;

	if (l1_cap > MAX_L1_BYTES / 8)
		return size_impossible(q, e);
	q->limit = bound_clusters(q, q->max_size);
	q->frontier = clusters_for(q, q->file->size) << q->cluster_bits;
	q->reserved = (struct reservation){ 0 };
	q->sized = 0;
	q->cursor = 0;
	r = table_read(q, &q->l1, "L1 table", q->h.l1_offset, q->h.l1_size, l1_cap, e);
	if (r == 0)
		r = table_read(q, &q->reftable, "refcount table", q->h.reftable_offset, n,
			       grows ? reftable_cap(q) : 0, e);
	if (r == 0)
		r = snapshots_spans(q, e);
	if (r == 0)
		r = overlap_open(q, e);
	if (r < 0)
		tables_unload(q);
	return r;
}

void tables_unload(struct qcow2 *q)
{
	free(q->l1.at);
	free(q->reftable.at);
	free(q->spans);
	q->l1 = q->reftable = (struct table){ 0 };
	q->spans = NULL;
	q->n_spans = 0;
	overlap_close(q);
}

int header_write(struct qcow2 *q, uint32_t at, const uint8_t *bytes, size_t len)
{
	int r = store_write(q->file, bytes, len, at);

	return r < 0 ? r : barrier(q);
}

void qcow2_free(struct qcow2 *q)
{
	tables_unload(q);
	decompressor_close(q);
	cache_close(&q->cache);
	free(q->bounce);
	free(q);
}

/* Frees that the first flush makes possible are written by it, too. */
static void q_close(struct volume *v)
{
	struct qcow2 *q = qcow2_of(v);

	if (!v->readonly && !q->failed)
		(void)!reserve_end(q);
	volume_close(v->backing);
	if (q->data != q->file)
		store_close(q->data);
	store_close(q->file);
	qcow2_free(q);
}

static int q_flush(struct volume *v)
{
	struct qcow2 *q = qcow2_of(v);

	if (v->readonly)
		return 0;
	return flush_all(q);
}

static int q_settle(struct volume *v)
{
	int r = v->readonly ? 0 : reserve_begin(qcow2_of(v));

	return r < 0 ? r : settle_all(qcow2_of(v));
}

static const struct volume_ops qcow2_ops = {
	.readv = qcow2_readv,
	.writev = qcow2_writev,
	.zero = qcow2_zero,
	.discard = qcow2_discard,
	.flush = q_flush,
	.settle = q_settle,
	.map = qcow2_map,
	.map_cached = qcow2_map_cached,
	.close = q_close,
};

static int check_files(const struct qcow2_header *h, const char *backing,
		       const struct qcow2_options *o, struct volume_error *e)
{
	bool data = h->incompatible & INCOMPATIBLE_DATA_FILE;

	if (!o->tool && h->backing_offset && !o->backing)
		return volume_fail(e, -EINVAL,
				   "the image has a backing file, \"%s\", and none was given",
				   backing);
	if (!h->backing_offset && o->backing)
		return volume_fail(e, -EINVAL, "a backing file was given, and the image has none");
	if (!o->tool && data && !o->data)
		return volume_fail(e, -EINVAL, "the image has a data file, and none was given");
	if (!data && o->data)
		return volume_fail(e, -EINVAL, "a data file was given, and the image has none");
	if (data && !o->readonly && o->data && o->data->readonly)
		return volume_fail(e, -EROFS, "the data file cannot be written");
	return 0;
}

static int check_state(const struct qcow2_header *h, const struct store *file,
		       const struct qcow2_options *o, struct volume_error *e)
{
	if (!o->readonly && file->readonly)
		return volume_fail(e, -EROFS, "the image cannot be written");
	if (h->incompatible & INCOMPATIBLE_CORRUPT && !o->readonly && !o->tool)
		return volume_fail(
			e, -EUCLEAN,
			"the image is marked corrupt: repair it first, or use it read-only");
	return 0;
}

static void set_geometry(struct qcow2 *q, const struct qcow2_options *o)
{
	const struct qcow2_header *h = &q->h;
	bool extended = h->incompatible & INCOMPATIBLE_EXTENDED_L2;

	q->external = h->incompatible & INCOMPATIBLE_DATA_FILE;
	q->raw_external = q->external && h->autoclear & AUTOCLEAR_DATA_RAW;
	q->tool = o->tool;
	q->cluster_bits = h->cluster_bits;
	q->cluster_size = BIT(h->cluster_bits);
	q->entry_bits = extended ? 4 : 3;
	q->subclusters = extended ? SUBCLUSTERS : 1;
	q->sub_bits = extended ? h->cluster_bits - 5 : h->cluster_bits;
	q->refcount_bits = (uint32_t)BIT(h->refcount_order);
	q->bounded = o->max_size;
	q->reserve_max = o->reserve_clusters ?
				 o->reserve_clusters :
				 min_u64(RESERVE_BYTES >> h->cluster_bits, RESERVE_MAX);
	q->reserve_below = REPAIR_MAX;
	q->max_size = max_u64(h->size, o->readonly ? 0 : o->max_size);
	q->volume = (struct volume){ .ops = &qcow2_ops,
				     .size = h->size & ~UINT64_C(511),
				     .cluster = (uint32_t)q->cluster_size,
				     .readonly = o->readonly };
}

static int allocate(struct qcow2 *q, const struct qcow2_options *o)
{
	uint32_t page_bits = q->cluster_bits < 12 ? q->cluster_bits : 12;
	int r = cache_open(&q->cache, page_bits,
			   o->cache_bytes ? o->cache_bytes : QCOW2_CACHE_BYTES);

	if (r < 0)
		return r;
	q->bounce = malloc(BOUNCE);
	return q->bounce ? decompressor_open(q) : -ENOMEM;
}

/* Bits that vouch for something that is not kept in step here. */
static int clear_autoclear(struct qcow2 *q)
{
	uint64_t known = q->external ? AUTOCLEAR_DATA_RAW : 0;
	uint8_t bytes[8];

	if (q->h.version < 3 || !(q->h.autoclear & ~known))
		return 0;
	q->h.autoclear &= known;
	put_be64(bytes, q->h.autoclear);
	return header_write(q, H_AUTOCLEAR, bytes, sizeof(bytes));
}

/* Refcounts of an image that was not closed are what they were at some time: they are made anew. */
static int make_clean(struct qcow2 *q, struct volume_error *e)
{
	int r;

	if (!(q->h.incompatible & INCOMPATIBLE_DIRTY))
		return 0;
	r = qcow2_check(&q->volume, QCOW2_REPAIR_ALL, NULL, NULL, NULL, e);
	if (r == 0 && q->h.incompatible & INCOMPATIBLE_DIRTY)
		return volume_fail(e, -EUCLEAN,
				   "the image was not closed and has errors: repair it first");
	return r;
}

static int set_up(struct qcow2 *q, const struct qcow2_options *o, struct volume_error *e)
{
	int r;

	set_geometry(q, o);
	r = allocate(q, o);
	if (r == 0 && !o->readonly && !o->tool)
		r = redo_open(q, o->redo, o->redo_bytes, e);
	if (r == 0)
		r = tables_load(q, e);
	if (r < 0 || q->volume.readonly || q->tool)
		return r;
	r = clear_autoclear(q);
	return r < 0 ? r : make_clean(q, e);
}

/* What was opened is the caller's as long as this has not worked. */
int qcow2_open(struct store *file, const struct qcow2_options *options, struct volume **ret,
	       struct volume_error *e)
{
	struct qcow2 *q = calloc(1, sizeof(*q));
	char backing[QCOW2_NAME_MAX];
	int r;

	if (!q)
		return volume_fail(e, -ENOMEM, "no memory");
	volume_fail(e, 0, "%s", "");
	q->file = file;
	r = header_read(file, &q->h, &q->ext, backing, e);
	if (r == 0)
		r = check_files(&q->h, backing, options, e);
	if (r == 0)
		r = check_state(&q->h, file, options, e);
	q->data = options->data ? options->data : file;
	if (r == 0)
		r = set_up(q, options, e);
	if (r < 0) {
		if (e && !e->text[0])
			(void)volume_fail(e, r, "cannot open the image: %s", strerror(-r));
		qcow2_free(q);
		return r;
	}
	q->volume.backing = options->backing;
	*ret = &q->volume;
	return 0;
}
