/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: each change of them is one step of shadow.h. */
#include "lib/image/qcow2/shadow.h"

#include "lib/base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>

#define NAME_MAX_BYTES 255U

static int begin(struct volume *v, struct snaptable *ret, struct volume_error *e)
{
	struct qcow2 *q = qcow2_of(v);
	int r;

	(void)volume_fail(e, 0, "%s", "");
	if (q->external)
		return volume_fail(e, -ENOTSUP, "an image with a data file has no snapshots");
	if (v->readonly)
		return volume_fail(e, -EROFS, "the image was opened read-only");
	r = flush_all(q);
	if (r < 0)
		return volume_fail(e, r, "cannot write the image: %s", strerror(-r));
	return snaptable_read(q, ret, e);
}

int qcow2_snapshot_list(struct volume *v, struct qcow2_snapshot **ret, size_t *ret_n,
			struct volume_error *e)
{
	struct qcow2 *q = qcow2_of(v);
	struct qcow2_snapshot *list;
	struct snaptable t = { 0 };
	int r = snaptable_read(q, &t, e);

	if (r < 0)
		return r;
	list = calloc((size_t)t.n + 1, sizeof(*list));
	for (uint32_t i = 0; list && i < t.n; i++)
		snaprow_show(&t.row[i], q->h.size, &list[i]);
	*ret_n = t.n;
	snaptable_free(&t);
	if (!list)
		return -ENOMEM;
	*ret = list;
	return 0;
}

/* Ids first, as a name may look like another's id. */
static bool find(const struct snaptable *t, const char *which, uint32_t *ret)
{
	struct qcow2_snapshot s;

	for (int names = 0; names < 2; names++)
		for (uint32_t i = 0; i < t->n; i++) {
			snaprow_show(&t->row[i], 0, &s);
			if (!strcmp(which, names ? s.name : s.id)) {
				*ret = i;
				return true;
			}
		}
	return false;
}

static void next_id(const struct snaptable *t, char ret[24])
{
	unsigned long long most = 0;
	struct qcow2_snapshot s;

	for (uint32_t i = 0; i < t->n; i++) {
		unsigned long long id;

		snaprow_show(&t->row[i], 0, &s);
		id = strtoull(s.id, NULL, 10);
		if (id > most && id < UINT64_MAX)
			most = id;
	}
	(void)snprintf(ret, 24, "%llu", most + 1);
}

static bool name_taken(const struct snaptable *t, const char *name)
{
	struct qcow2_snapshot s;

	for (uint32_t i = 0; i < t->n; i++) {
		snaprow_show(&t->row[i], 0, &s);
		if (!strcmp(s.name, name))
			return true;
	}
	return false;
}

static int check_name(const struct snaptable *t, const char *name, struct volume_error *e)
{
	if (!name[0] || strlen(name) > NAME_MAX_BYTES)
		return volume_fail(e, -EINVAL, "a snapshot's name has 1 to %u bytes",
				   NAME_MAX_BYTES);
	if (name_taken(t, name))
		return volume_fail(e, -EEXIST, "there is a snapshot of that name already");
	if (t->n >= MAX_SNAPSHOTS)
		return volume_fail(e, -ENOTSUP, "the image has %u snapshots, the most it can have",
				   MAX_SNAPSHOTS);
	return 0;
}

/* The tables of now become the snapshot's; the disk gets new ones. */
static int commit_with(struct qcow2 *q, const struct snaptable *t, struct volume_error *e)
{
	_cleanup_(freep) uint64_t *l1 = NULL;
	int r = walk_read_l1(q, q->h.l1_offset, q->h.l1_size, &l1);

	if (r < 0)
		return r;
	return shadow_commit(
		q,
		&(struct shadow_state){
			.l1 = l1, .n_l1 = q->h.l1_size, .size = q->h.size, .snapshots = t },
		e);
}

int qcow2_snapshot_create(struct volume *v, const char *name, uint32_t date_s, uint32_t date_ns,
			  struct volume_error *e)
{
	struct qcow2 *q = qcow2_of(v);
	struct snaptable t = { 0 };
	char id[24];
	int r = begin(v, &t, e);

	if (r < 0)
		return r;
	r = check_name(&t, name, e);
	next_id(&t, id);
	if (r == 0)
		r = snaprow_make(id, name, q->h.l1_offset, q->h.l1_size, q->h.size, date_s, date_ns,
				 &t.row[t.n]); /* there is room for one more */
	if (r == 0) {
		t.n++;
		r = commit_with(q, &t, e);
	}
	snaptable_free(&t);
	return r;
}

static int not_found(const char *which, struct volume_error *e)
{
	return volume_fail(e, -ENOENT, "no snapshot has the id or name \"%.200s\"", which);
}

int qcow2_snapshot_delete(struct volume *v, const char *which, struct volume_error *e)
{
	struct snaptable t = { 0 };
	uint32_t i;
	int r = begin(v, &t, e);

	if (r < 0)
		return r;
	if (t.row && find(&t, which, &i)) {
		free(t.row[i].bytes);
		memmove(&t.row[i], &t.row[i + 1], (t.n - i - 1) * sizeof(t.row[0]));
		t.n--;
		r = commit_with(qcow2_of(v), &t, e);
	} else {
		r = not_found(which, e);
	}
	snaptable_free(&t);
	return r;
}

static int apply(struct qcow2 *q, const struct snaptable *t, const struct snaprow *row,
		 struct volume_error *e)
{
	struct qcow2_snapshot s;
	_cleanup_(freep) uint64_t *l1 = NULL;
	uint64_t need, n;
	int r;

	snaprow_show(row, q->h.size, &s);
	need = header_l1_needed(s.disk_size, q->cluster_bits, q->subclusters > 1);
	if (s.disk_size > INT64_MAX || need > MAX_L1_BYTES / 8)
		return volume_fail(e, -EUCLEAN, "the snapshot's disk is too large");
	n = need > row->l1_size ? need : row->l1_size;
	l1 = calloc(n + 1, 8);
	if (!l1)
		return -ENOMEM;
	r = (int)(store_read(q->file, l1, (uint64_t)row->l1_size * 8, row->l1_offset) < 0 ? -EIO :
											    0);
	if (r < 0)
		return r;
	for (uint64_t i = 0; i < n; i++)
		l1[i] = be64toh(l1[i]);
	return shadow_commit(
		q,
		&(struct shadow_state){ .l1 = l1, .n_l1 = n, .size = s.disk_size, .snapshots = t },
		e);
}

int qcow2_snapshot_apply(struct volume *v, const char *which, struct volume_error *e)
{
	struct snaptable t = { 0 };
	uint32_t i;
	int r = begin(v, &t, e);

	if (r < 0)
		return r;
	r = find(&t, which, &i) ? apply(qcow2_of(v), &t, &t.row[i], e) : not_found(which, e);
	snaptable_free(&t);
	return r;
}
