/* SPDX-License-Identifier: Apache-2.0 */
/* See snaptable.h. */
#include "lib/image/qcow2/snaptable.h"

#include "lib/base/checked.h"

#include <stdlib.h>

#define EXTRA 24U /* bytes that are written here: state size, disk size, instruction count */

struct row_sizes {
	uint32_t extra, id, name, len;
};

static struct row_sizes sizes_of(const uint8_t *fixed)
{
	struct row_sizes s = { .len = SNAPSHOT_FIXED,
			       .extra = get_be32(fixed + 36),
			       .id = get_be16(fixed + 12),
			       .name = get_be16(fixed + 14) };

	if (s.extra <= MAX_SNAPSHOT_EXTRA)
		s.len = (SNAPSHOT_FIXED + s.extra + s.id + s.name + 7) & ~7U;
	return s;
}

static int check_row(const struct qcow2 *q, const uint8_t *fixed, uint32_t i,
		     struct volume_error *e)
{
	uint64_t offset = get_be64(fixed), n = get_be32(fixed + 8);

	if (in_cluster(q, offset) || n > MAX_L1_BYTES / 8 ||
	    !range_within(offset, n * 8, BIT(56)) || (n && !offset))
		return volume_fail(e, -EINVAL, "snapshot %u: its L1 table lies where none can be",
				   i + 1);
	if (get_be32(fixed + 36) > MAX_SNAPSHOT_EXTRA)
		return volume_fail(e, -EINVAL, "snapshot %u: over %u bytes of extra data", i + 1,
				   MAX_SNAPSHOT_EXTRA);
	return 0;
}

static int read_row(struct qcow2 *q, uint64_t offset, uint32_t i, struct snaprow *ret,
		    struct volume_error *e)
{
	uint8_t fixed[SNAPSHOT_FIXED];
	struct row_sizes s;
	ssize_t got = store_read(q->file, fixed, sizeof(fixed), offset);
	int r;

	if (got < 0)
		return volume_fail(e, (int)got, "cannot read the snapshot table");
	if ((size_t)got < sizeof(fixed))
		return volume_fail(e, -EINVAL, "the snapshot table ends behind the file");
	r = check_row(q, fixed, i, e);
	if (r < 0)
		return r;
	s = sizes_of(fixed);
	ret->bytes = calloc(1, s.len);
	if (!ret->bytes)
		return -ENOMEM;
	ret->len = s.len;
	ret->l1_offset = get_be64(fixed);
	ret->l1_size = get_be32(fixed + 8);
	got = store_read(q->file, ret->bytes, s.len, offset);
	return got < 0 ? volume_fail(e, (int)got, "cannot read the snapshot table") : 0;
}

int snaptable_read(struct qcow2 *q, struct snaptable *ret, struct volume_error *e)
{
	uint64_t offset = q->h.snapshots_offset, end = offset + MAX_SNAPSHOT_TABLE_BYTES;
	struct snaptable t = { .n = q->h.n_snapshots };
	int r = 0;

	t.row = calloc((size_t)t.n + 1, sizeof(*t.row));
	if (!t.row)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < t.n; i++) {
		r = read_row(q, offset, i, &t.row[i], e);
		offset += t.row[i].len;
		if (r == 0 && offset > end)
			r = volume_fail(e, -EINVAL, "the snapshot table has more than 64 MiB");
	}
	if (r < 0)
		snaptable_free(&t);
	else
		*ret = t;
	return r;
}

void snaptable_free(struct snaptable *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		free(t->row[i].bytes);
	free(t->row);
	*t = (struct snaptable){ 0 };
}

uint64_t snaptable_bytes(const struct snaptable *t)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < t->n; i++)
		sum += t->row[i].len;
	return sum;
}

int snapshots_spans(struct qcow2 *q, struct volume_error *e)
{
	struct snaptable t;
	int r;

	if (!q->h.n_snapshots || q->volume.readonly)
		return 0;
	r = snaptable_read(q, &t, e);
	if (r < 0)
		return q->tool && r != -ENOMEM ? 0 : r;
	q->spans = calloc((size_t)t.n + 1, sizeof(*q->spans));
	for (uint32_t i = 0; q->spans && i < t.n; i++)
		q->spans[i] = (struct span){ t.row[i].l1_offset, (uint64_t)t.row[i].l1_size * 8 };
	if (q->spans) {
		q->spans[t.n] = (struct span){ q->h.snapshots_offset, snaptable_bytes(&t) };
		q->n_spans = (size_t)t.n + 1;
	}
	snaptable_free(&t);
	return q->spans ? 0 : -ENOMEM;
}

static void copy_text(char *to, size_t size, const uint8_t *from, size_t len)
{
	if (len > size - 1)
		len = size - 1;
	memset(to, 0, size);
	memcpy(to, from, len);
}

void snaprow_show(const struct snaprow *row, uint64_t disk_size, struct qcow2_snapshot *ret)
{
	const uint8_t *b = row->bytes, *extra = b + SNAPSHOT_FIXED;
	struct row_sizes s = sizes_of(b);

	*ret = (struct qcow2_snapshot){ .disk_size = disk_size,
					.vm_state_size = get_be32(b + 32),
					.date_s = get_be32(b + 16),
					.date_ns = get_be32(b + 20),
					.vm_clock_ns = get_be64(b + 24) };
	if (s.extra >= 8)
		ret->vm_state_size = get_be64(extra);
	if (s.extra >= 16)
		ret->disk_size = get_be64(extra + 8);
	copy_text(ret->id, sizeof(ret->id), extra + s.extra, s.id);
	copy_text(ret->name, sizeof(ret->name), extra + s.extra + s.id, s.name);
}

/* Without the NUL: the row has the length. */
static void put_text(uint8_t *to, const char *from)
{
	while (*from)
		*to++ = (uint8_t)*from++;
}

int snaprow_make(const char *id, const char *name, uint64_t l1_offset, uint32_t l1_size,
		 uint64_t disk_size, uint32_t date_s, uint32_t date_ns, struct snaprow *ret)
{
	size_t id_len = strlen(id), name_len = strlen(name);
	size_t len = (SNAPSHOT_FIXED + EXTRA + id_len + name_len + 7) & ~(size_t)7;
	uint8_t *b = calloc(1, len);

	if (!b)
		return -ENOMEM;
	put_be64(b, l1_offset);
	put_be32(b + 8, l1_size);
	put_be16(b + 12, (uint16_t)id_len);
	put_be16(b + 14, (uint16_t)name_len);
	put_be32(b + 16, date_s);
	put_be32(b + 20, date_ns);
	put_be32(b + 36, EXTRA);
	put_be64(b + SNAPSHOT_FIXED + 8, disk_size);
	put_be64(b + SNAPSHOT_FIXED + 16, UINT64_MAX); /* there is no count */
	put_text(b + SNAPSHOT_FIXED + EXTRA, id);
	put_text(b + SNAPSHOT_FIXED + EXTRA + id_len, name);
	*ret = (struct snaprow){
		.l1_offset = l1_offset, .l1_size = l1_size, .bytes = b, .len = (uint32_t)len
	};
	return 0;
}
