/* SPDX-License-Identifier: Apache-2.0 */
/* See qcow2_cuts.h. */
#include "qcow2_cuts.h"

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

static uint64_t any(struct cuts *c, uint64_t below)
{
	uint64_t z = c->state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return (z ^ (z >> 31)) % below;
}

static void note_moment(struct cuts *c)
{
	struct moment *m = &c->moment[c->n_moments++];

	*m = (struct moment){ .at = c->file.n_log, .size = c->v->size };
	m->disk = malloc(m->size);
	memcpy(m->disk, c->disk, m->size);
}

static int flush(struct cuts *c)
{
	int r = volume_flush(c->v);

	if (r == 0)
		note_moment(c);
	return r;
}

static int write_some(struct cuts *c, uint64_t at, uint64_t len)
{
	uint8_t value = (uint8_t)(1 + any(c, 255));

	memset(c->disk + at, value, len);
	return volume_write(c->v, c->disk + at, len, at);
}

static int discard_some(struct cuts *c, uint64_t at, uint64_t len)
{
	int r = volume_discard(c->v, at, len);

	return r < 0 ? r : volume_read(c->v, c->disk + at, len, at);
}

static int small_request(struct cuts *c)
{
	uint64_t sectors = c->v->size / SECTOR, at = any(c, sectors), n = 1 + any(c, 64);
	struct request *q = &c->request[c->n_requests++];

	if (any(c, 3) == 0)
		at &= ~(uint64_t)(c->v->cluster / SECTOR - 1);
	if (n > sectors - at)
		n = sectors - at;
	*q = (struct request){ .at = c->file.n_log, .from = at, .to = at + n };
	switch (any(c, 8)) {
	case 0:
		return discard_some(c, at * SECTOR, n * SECTOR);
	case 1:
		memset(c->disk + at * SECTOR, 0, n * SECTOR);
		return volume_zero(c->v, at * SECTOR, n * SECTOR, any(c, 2));
	case 2:
		return flush(c);
	default:
		return write_some(c, at * SECTOR, n * SECTOR);
	}
}

static int resize(struct cuts *c)
{
	uint64_t old = c->v->size, size = SECTOR * (64 + any(c, DISK_MAX / SECTOR - 64));
	int r = qcow2_resize(c->v, size, true, &why);

	if (r == 0 && size > old)
		memset(c->disk + old, 0, size - old);
	return r == -ENOTSUP ? 0 : r; /* a disk with snapshots is not shrunk */
}

static int snapshot(struct cuts *c)
{
	char name[32];
	int r;

	if (c->n_snapshots && any(c, 2)) {
		(void)snprintf(name, sizeof(name), "s%u", c->n_snapshots);
		if (any(c, 2))
			return qcow2_snapshot_apply(c->v, name, &why);
		c->n_snapshots--;
		return qcow2_snapshot_delete(c->v, name, &why);
	}
	(void)snprintf(name, sizeof(name), "s%u", c->n_snapshots + 1);
	r = qcow2_snapshot_create(c->v, name, 1, 2, &why);
	if (r == -ENOTSUP)
		return 0; /* narrow refcounts */
	c->n_snapshots++;
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

static int run(struct cuts *c, const struct cuts_options *o)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < o->n_requests; i++)
		r = o->tools && i % 64 == 63 ? large_request(c) : small_request(c);
	return r;
}

const char *cuts_record(struct cuts *c, const struct cuts_options *o)
{
	const struct qcow2_options options = { .cache_bytes = o->cache_bytes };
	int r;

	*c = (struct cuts){ .state = o->seed };
	memory_open(&c->file, FILE_MAX);
	c->moment = calloc(2 * o->n_requests + 4, sizeof(*c->moment));
	c->request = calloc(o->n_requests + 1, sizeof(*c->request));
	c->disk = calloc(1, DISK_MAX);
	r = qcow2_create(&c->file.store, &o->create, &why);
	if (r < 0)
		return wrong("create", r);
	c->file.logs = true;
	c->file.no_holes = o->no_holes;
	/* the log begins with what is there */
	c->log_base = malloc(c->file.store.size);
	c->log_base_size = c->file.store.size;
	memcpy(c->log_base, c->file.bytes, c->log_base_size);
	r = qcow2_open(&c->file.store, &options, &c->v, &why);
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
	free(c->moment);
	free(c->request);
	free(c->disk);
	free(c->log_base);
	memory_free(&c->file);
}

/* Any choice of the deeds since the last flush; in which order they arrive is the order of the log. */
static void lose_some(struct cuts *c, struct memory *image, size_t flushed, size_t at)
{
	for (size_t i = flushed; i < at; i++)
		if (any(c, 2))
			memory_do(image, &c->file.log[i], c->file.log[i].len);
}

static void tear(struct cuts *c, struct memory *image, size_t at)
{
	const struct deed *d = &c->file.log[at];

	if (d->kind == DEED_WRITE && d->len > SECTOR)
		memory_do(image, d, SECTOR * any(c, d->len / SECTOR));
}

static void start(const struct cuts *c, struct memory *m)
{
	memory_open(m, FILE_MAX);
	memcpy(m->bytes, c->log_base, c->log_base_size);
	m->store.size = c->log_base_size;
}

const char *cuts_for_each(struct cuts *c, bool lost,
			  const char *(*f)(struct cuts *c, struct memory *image, size_t at,
					   void *arg),
			  void *arg, size_t *ret_n)
{
	struct memory stable, image;
	const char *bad = NULL;
	size_t flushed = 0;

	start(c, &stable);
	start(c, &image);
	*ret_n = 0;
	for (size_t at = 0; !bad && at <= c->file.n_log; at++) {
		const struct deed *d = &c->file.log[at];

		memory_copy(&image, &stable);
		if (lost)
			lose_some(c, &image, flushed, at);
		else if (at < c->file.n_log)
			tear(c, &image, at);
		bad = f(c, &image, at, arg);
		(*ret_n)++;
		if (at == c->file.n_log)
			break;
		if (!lost) {
			memory_do(&stable, d, d->len);
		} else if (d->kind == DEED_FLUSH) {
			for (; flushed < at; flushed++)
				memory_do(&stable, &c->file.log[flushed], c->file.log[flushed].len);
		}
	}
	memory_free(&stable);
	memory_free(&image);
	return bad;
}

static const struct moment *last_moment(const struct cuts *c, size_t at)
{
	size_t i = c->n_moments - 1;

	while (c->moment[i].at > at)
		i--;
	return &c->moment[i];
}

/* Marks the sectors that requests between the moment and the cut may have changed. */
static bool mark_changed(const struct cuts *c, const struct moment *m, size_t at, uint8_t *changed)
{
	bool whole = false;

	for (size_t i = 0; i < c->n_requests; i++) {
		const struct request *q = &c->request[i];

		if (q->at < m->at || q->at > at)
			continue;
		whole |= q->whole;
		memset(changed + q->from, 1, q->to - q->from);
	}
	return whole;
}

static bool same(const uint8_t *got, const struct moment *m, uint64_t size, const uint8_t *changed)
{
	if (size != m->size)
		return false;
	for (uint64_t s = 0; s < size / SECTOR; s++)
		if (!changed[s] && memcmp(got + s * SECTOR, m->disk + s * SECTOR, SECTOR) != 0)
			return false;
	return true;
}

static const char *compare_disk(struct cuts *c, struct volume *v, size_t at)
{
	static uint8_t got[DISK_MAX], changed[DISK_MAX / SECTOR];
	const struct moment *m = last_moment(c, at);
	bool whole;
	int r = volume_read(v, got, v->size, 0);

	if (r < 0)
		return wrong("read", r);
	memset(changed, 0, sizeof(changed));
	whole = mark_changed(c, m, at, changed);
	if (same(got, m, v->size, changed))
		return NULL;
	if (whole && m + 1 < c->moment + c->n_moments && same(got, m + 1, v->size, changed))
		return NULL;
	return "what was flushed is not there";
}

/* The first error. */
static void keep_error(void *arg, const char *line)
{
	char *first = arg;

	if (!first[0] && !strncmp(line, "ERROR", 5))
		(void)snprintf(first, sizeof(what), "%s", line);
}

const char *cuts_check(struct cuts *c, struct memory *image, size_t at, bool compare)
{
	const struct qcow2_options options = { .readonly = true, .cache_bytes = 1 };
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
		bad = compare_disk(c, v, at);
	volume_close(v);
	return bad;
}
