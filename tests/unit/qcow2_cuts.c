/* SPDX-License-Identifier: Apache-2.0 */
/* See qcow2_cuts.h. */
#include "qcow2_cuts.h"

#include "lib/image/qcow2/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (16U << 20)
#define DISK_MAX (6U << 20)
#define SECTOR 512U

static char what[300];
static struct volume_error why;

static const char *wrong(const char *step, int r)
{
	(void)snprintf(what, sizeof(what), "%s: %s: %s", step, strerror(-r), why.text);
	return what;
}

/* Another byte in each sector. One disk at a time is open. */
static struct volume *backing_of(bool has_one)
{
	static struct memory file;
	static struct volume_raw raw;

	if (!has_one)
		return NULL;
	if (!file.bytes) {
		memory_open(&file, DISK_MAX);
		file.store.size = DISK_MAX;
		file.store.readonly = true;
		for (uint64_t i = 0; i < DISK_MAX; i++)
			file.bytes[i] = (uint8_t)(i / SECTOR % 251 + 1);
	}
	return volume_raw_open(&raw, &file.store) == 0 ? &raw.volume : NULL;
}

static uint64_t any(struct cuts *c, uint64_t below)
{
	uint64_t z = c->state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return (z ^ (z >> 31)) % below;
}

static void keep_disk(const struct cuts *c, struct moment *m)
{
	free(m->disk);
	*m = (struct moment){ .at = c->file.n_log, .size = c->v->size };
	m->disk = malloc(m->size);
	memcpy(m->disk, c->disk, m->size);
}

static void note_moment(struct cuts *c)
{
	keep_disk(c, &c->moment[c->n_moments++]);
}

static int settle(struct cuts *c, bool keep)
{
	int r = volume_settle(c->v);

	if (r == 0 && keep) {
		note_moment(c);
		c->moment[c->n_moments - 1].settled = true;
	}
	return r;
}

static int flush(struct cuts *c)
{
	int r = volume_flush(c->v);

	if (r == 0)
		note_moment(c);
	return r;
}

static int write_some(struct cuts *c, struct request *q, uint64_t at, uint64_t len)
{
	q->value = (uint8_t)(1 + any(c, 255));
	memset(c->disk + at, q->value, len);
	return volume_write(c->v, c->disk + at, len, at);
}

static int discard_some(struct cuts *c, uint64_t at, uint64_t len)
{
	int r = volume_discard(c->v, at, len);

	return r < 0 ? r : volume_read(c->v, c->disk + at, len, at);
}

static int small_request(struct cuts *c, bool writes)
{
	uint64_t sectors = c->v->size / SECTOR, at = any(c, sectors), n = 1 + any(c, 64);
	struct request *q = &c->request[c->n_requests++];

	if (any(c, 3) == 0)
		at &= ~(uint64_t)(c->v->cluster / SECTOR - 1);
	if (n > sectors - at)
		n = sectors - at;
	*q = (struct request){ .at = c->file.n_log, .from = at, .to = at + n };
	switch (writes ? 2 + any(c, 16) : any(c, 8)) {
	case 0:
		q->any = true;
		return discard_some(c, at * SECTOR, n * SECTOR);
	case 1:
		memset(c->disk + at * SECTOR, 0, n * SECTOR);
		return volume_zero(c->v, at * SECTOR, n * SECTOR, any(c, 2));
	case 2:
		q->to = q->from;
		return flush(c);
	default:
		return write_some(c, q, at * SECTOR, n * SECTOR);
	}
}

static int resize(struct cuts *c)
{
	uint64_t old = c->v->size, size = SECTOR * (64 + any(c, DISK_MAX / SECTOR - 64));
	int r = qcow2_resize(c->v, size, true, NULL, &why);

	if (r == 0 && size > old)
		memset(c->disk + old, 0, size - old);
	return r == -ENOTSUP ? 0 : r; /* a disk with snapshots is not shrunk */
}

static int same_disk(struct cuts *c, const struct moment *m)
{
	uint8_t *got = malloc(c->v->size);
	int r = c->v->size == m->size ? volume_read(c->v, got, c->v->size, 0) : -EILSEQ;

	if (r == 0 && memcmp(got, m->disk, m->size) != 0)
		r = -EILSEQ;
	free(got);
	return r;
}

/* It has what the disk had when it was made. */
static int apply_snapshot(struct cuts *c, const char *name)
{
	int r = qcow2_snapshot_apply(c->v, name, &why);

	return r < 0 ? r : same_disk(c, &c->saved[c->n_snapshots]);
}

static int snapshot(struct cuts *c)
{
	char name[32];
	int r;

	if (c->n_snapshots && any(c, 2)) {
		(void)snprintf(name, sizeof(name), "s%u", c->n_snapshots);
		if (any(c, 2))
			return apply_snapshot(c, name);
		c->n_snapshots--;
		return qcow2_snapshot_delete(c->v, name, &why);
	}
	(void)snprintf(name, sizeof(name), "s%u", c->n_snapshots + 1);
	r = qcow2_snapshot_create(c->v, name, 1, 2, &why);
	if (r == -ENOTSUP)
		return 0; /* narrow refcounts */
	if (r == 0 && ++c->n_snapshots < MAX_SAVED)
		keep_disk(c, &c->saved[c->n_snapshots]);
	return r;
}

/* A moment before and one behind it. */
static int large_request(struct cuts *c)
{
	int r = flush(c);

	c->request[c->n_requests++] = (struct request){ .at = c->file.n_log, .whole = true };
	if (r == 0)
		r = any(c, 3) ? snapshot(c) : resize(c);
	if (r == 0)
		r = volume_read(c->v, c->disk, c->v->size, 0);
	return r < 0 ? r : flush(c);
}

/* A device settles before the first request. */
static int open_disk(struct cuts *c, const struct cuts_options *o)
{
	int r;

	c->options.backing = backing_of(o->backing);
	r = qcow2_open(&c->file.store, &c->options, &c->v, &why);
	return r == 0 && o->settles ? volume_settle(c->v) : r;
}

/* The process is gone, and another one goes on from the file. All is there that was settled. */
static int kill_and_open(struct cuts *c, const struct cuts_options *o)
{
	int r;

	qcow2_free(qcow2_of(c->v));
	c->v = NULL;
	r = open_disk(c, o);
	if (r < 0)
		return r;
	keep_disk(c, &c->saved[0]);
	return same_disk(c, &c->saved[0]);
}

static int one_request(struct cuts *c, const struct cuts_options *o, unsigned int i)
{
	int r = o->tools && i % 64 == 63 ? large_request(c) : small_request(c, o->writes);

	if (r == 0 && o->settles)
		r = settle(c, i % 8 == 0);
	if (r == 0 && o->kill_every && i % o->kill_every == o->kill_every - 1)
		r = kill_and_open(c, o);
	return r;
}

static int run(struct cuts *c, const struct cuts_options *o)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < o->n_requests; i++)
		r = one_request(c, o, i);
	return r;
}

const char *cuts_record(struct cuts *c, const struct cuts_options *o)
{
	int r;

	*c = (struct cuts){ .state = o->seed };
	c->options = (struct qcow2_options){ .cache_bytes = o->cache_bytes,
					     .reserve_clusters = o->reserve };
	if (o->redo) {
		c->options.redo = c->redo;
		c->options.redo_bytes = (1 + 2 * (size_t)o->redo) * 8;
	}
	memory_open(&c->file, FILE_MAX);
	memory_open(&c->data, DISK_MAX);
	memory_open(&c->data_then, DISK_MAX);
	if (o->data)
		c->options.data = &c->data.store;
	c->moment = calloc(3 * o->n_requests + 4, sizeof(*c->moment));
	c->request = calloc(o->n_requests + 1, sizeof(*c->request));
	c->disk = calloc(1, DISK_MAX);
	r = qcow2_create(&c->file.store, &o->create, &why);
	if (r < 0)
		return wrong("create", r);
	c->file.logs = c->data.logs = true;
	c->data.logs_to = &c->file;
	c->file.beside = c->options.redo;
	c->file.beside_len = c->options.redo_bytes;
	c->file.no_holes = c->data.no_holes = o->no_holes;
	/* the log begins with what is there */
	c->log_base = malloc(c->file.store.size);
	c->log_base_size = c->file.store.size;
	memcpy(c->log_base, c->file.bytes, c->log_base_size);
	r = open_disk(c, o);
	if (r == 0)
		r = volume_read(c->v, c->disk, c->v->size, 0);
	if (r < 0)
		return wrong("open", r);
	note_moment(c);
	r = run(c, o);
	if (r < 0)
		return wrong("request", r);
	volume_close(c->v);
	c->v = NULL;
	return NULL;
}

void cuts_free(struct cuts *c)
{
	for (size_t i = 0; i < c->n_moments; i++)
		free(c->moment[i].disk);
	for (size_t i = 0; i < MAX_SAVED; i++)
		free(c->saved[i].disk);
	free(c->moment);
	free(c->request);
	free(c->disk);
	free(c->log_base);
	memory_free(&c->file);
	memory_free(&c->data);
	memory_free(&c->data_then);
}

/* The two files of an image. */
struct files {
	struct memory *file, *data;
};

static void do_deed(const struct files *f, const struct deed *d, uint64_t len)
{
	memory_do(d->other ? f->data : f->file, d, len);
}

static void tear(struct cuts *c, const struct files *f, size_t at)
{
	const struct deed *d = &c->file.log[at];

	if (d->kind == DEED_WRITE && d->len > SECTOR)
		do_deed(f, d, SECTOR * any(c, d->len / SECTOR));
}

/*
 * Any choice of the deeds since the last flush of their file, or nearly all or nearly none of them; in which order they
 * arrive is the order of the log.
 */
static void lose_some(struct cuts *c, const struct files *f, const size_t flushed[2], size_t at)
{
	uint64_t kept = 1 + any(c, 3); /* of four */

	for (size_t i = min_u64(flushed[0], flushed[1]); i < at; i++) {
		const struct deed *d = &c->file.log[i];

		if (i < flushed[d->other])
			continue;
		if (any(c, 8) == 0)
			tear(c, f, i);
		else if (any(c, 4) < kept)
			do_deed(f, d, d->len);
	}
}

/* One file is flushed, by this deed: what was done to it is on stable storage. */
static void flush_one(const struct cuts *c, const struct files *stable, size_t flushed[2],
		      size_t at)
{
	const bool other = c->file.log[at].other;

	for (size_t *i = &flushed[other]; *i < at; (*i)++)
		if (c->file.log[*i].other == other)
			do_deed(stable, &c->file.log[*i], c->file.log[*i].len);
}

/* Before this deed, the one before it done. */
static void set_redo(struct cuts *c, size_t at)
{
	memset(c->redo_then, 0, sizeof(c->redo_then));
	if (c->lost || !c->options.redo)
		return;
	memcpy(c->redo_then, at < c->file.n_log ? c->file.log[at].beside : (uint8_t *)c->redo,
	       c->options.redo_bytes);
}

static void start(const struct cuts *c, struct memory *m)
{
	memory_open(m, FILE_MAX);
	memcpy(m->bytes, c->log_base, c->log_base_size);
	m->store.size = c->log_base_size;
}

/* As the cut at this deed leaves it. */
static void make_cut(struct cuts *c, const struct files *f, const struct files *stable,
		     const size_t flushed[2], size_t at)
{
	memory_copy(f->file, stable->file);
	memory_copy(f->data, stable->data);
	if (c->lost)
		lose_some(c, f, flushed, at);
	else if (at < c->file.n_log)
		tear(c, f, at);
	set_redo(c, at);
}

const char *cuts_for_each(struct cuts *c, bool lost,
			  const char *(*f)(struct cuts *c, struct memory *image, size_t at,
					   void *arg),
			  void *arg, size_t *ret_n)
{
	struct memory stable_file, stable_data, image;
	const struct files stable = { &stable_file, &stable_data }, cut = { &image, &c->data_then };
	const char *bad = NULL;
	size_t flushed[2] = { 0 };

	c->lost = lost;
	start(c, &stable_file);
	memory_open(&stable_data, DISK_MAX);
	start(c, &image);
	*ret_n = 0;
	for (size_t at = 0; !bad && at <= c->file.n_log; at++) {
		const struct deed *d = &c->file.log[at];

		make_cut(c, &cut, &stable, flushed, at);
		bad = f(c, &image, at, arg);
		(*ret_n)++;
		if (at == c->file.n_log)
			break;
		if (!lost)
			do_deed(&stable, d, d->len);
		else if (d->kind == DEED_FLUSH)
			flush_one(c, &stable, flushed, at);
	}
	memory_free(&stable_file);
	memory_free(&stable_data);
	memory_free(&image);
	return bad;
}

static const struct moment *last_moment(const struct cuts *c, size_t at, bool settled)
{
	size_t i = c->n_moments - 1;

	while (c->moment[i].at > at || (!settled && c->moment[i].settled))
		i--;
	return &c->moment[i];
}

/* What may be in a sector beside what it had: a bit for each value of its bytes, which are all the same. */
struct allowed {
	uint8_t bits[32];
};

static void allow(struct allowed *a, const struct request *q)
{
	for (uint64_t s = q->from; s < q->to; s++) {
		a[s].bits[q->value / 8] |= (uint8_t)(1U << q->value % 8);
		if (q->any)
			memset(&a[s], 0xff, sizeof(a[s]));
	}
}

static bool is_allowed(const struct allowed *a, const uint8_t *sector)
{
	return a->bits[sector[0] / 8] >> sector[0] % 8 & 1 &&
	       memcmp(sector, sector + 1, SECTOR - 1) == 0;
}

/* Of all requests between the moment and the cut. */
static bool mark_changed(const struct cuts *c, const struct moment *m, size_t at, struct allowed *a)
{
	bool whole = false;

	memset(a, 0, DISK_MAX / SECTOR * sizeof(*a));
	for (size_t i = 0; i < c->n_requests; i++) {
		const struct request *q = &c->request[i];

		if (q->at < m->at || q->at > at)
			continue;
		whole |= q->whole;
		allow(a, q);
	}
	return whole;
}

static bool same(const uint8_t *got, const struct moment *m, uint64_t size, const struct allowed *a)
{
	if (size != m->size)
		return false;
	for (uint64_t s = 0; s < size / SECTOR; s++)
		if (memcmp(got + s * SECTOR, m->disk + s * SECTOR, SECTOR) != 0 &&
		    !is_allowed(&a[s], got + s * SECTOR))
			return false;
	return true;
}

/* settled: with what was settled; else with what was flushed. */
static const char *compare_disk(struct cuts *c, struct volume *v, size_t at, bool settled)
{
	static uint8_t got[DISK_MAX];
	static struct allowed changed[DISK_MAX / SECTOR];
	const struct moment *m = last_moment(c, at, settled);
	bool whole;
	int r = volume_read(v, got, v->size, 0);

	if (r < 0)
		return wrong("read", r);
	whole = mark_changed(c, m, at, changed);
	if (same(got, m, v->size, changed))
		return NULL;
	if (whole && m + 1 < c->moment + c->n_moments && same(got, m + 1, v->size, changed))
		return NULL;
	return m->settled ? "what was settled is not there" : "what was flushed is not there";
}

/* The first error. */
static void keep_error(void *arg, const char *line)
{
	char *first = arg;

	if (!first[0] && !strncmp(line, "ERROR", 5))
		(void)snprintf(first, sizeof(what), "%s", line);
}

static struct store *data_then(struct cuts *c)
{
	return c->options.data ? &c->data_then.store : NULL;
}

const char *cuts_check(struct cuts *c, struct memory *image, size_t at, bool compare)
{
	const struct qcow2_options options = { .readonly = true,
					       .cache_bytes = 1,
					       .backing = backing_of(c->options.backing),
					       .data = data_then(c) };
	struct qcow2_check_result result;
	const char *bad = NULL;
	struct volume *v;
	int r = qcow2_open(&image->store, &options, &v, &why);

	if (r < 0)
		return wrong("open", r);
	what[0] = '\0';
	r = qcow2_check(v, QCOW2_REPAIR_NOTHING, keep_error, what, &result, &why);
	if (r < 0)
		bad = wrong("check", r);
	else if (result.corruptions)
		bad = what;
	else if (compare)
		bad = compare_disk(c, v, at, !c->lost && !c->options.redo);
	volume_close(v);
	return bad;
}

/* Leaks may be there only where nothing says that refcounts are to be made anew. */
static const char *check_recovered(struct cuts *c, struct volume *v, size_t at, bool leaks)
{
	struct qcow2_check_result result;
	int r;

	what[0] = '\0';
	r = qcow2_check(v, QCOW2_REPAIR_NOTHING, keep_error, what, &result, &why);
	if (r < 0)
		return wrong("check", r);
	if (result.corruptions)
		return what;
	if (result.leaks && !leaks)
		return "there are leaks";
	return compare_disk(c, v, at, !c->lost);
}

const char *cuts_recover(struct cuts *c, struct memory *image, size_t at, bool leaks)
{
	struct qcow2_options options = c->options;
	bool dirty = get_be64(image->bytes + H_INCOMPATIBLE) & INCOMPATIBLE_DIRTY;
	const char *bad;
	struct volume *v;
	int r;

	options.backing = backing_of(options.backing);
	options.data = data_then(c);
	if (options.redo)
		options.redo = c->redo_then;
	r = qcow2_open(&image->store, &options, &v, &why);
	if (r < 0)
		return wrong("open", r);
	bad = check_recovered(c, v, at, leaks && !dirty);
	c->n_dirty += dirty;
	volume_close(v);
	return bad;
}
