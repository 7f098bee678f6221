/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies a disk into a new image. The disk is cut into windows; what lies in one is found here, and a thread
 * of the pool reads it, leaves out what is zeroes, and writes the rest.
 */
#include "cmd/image-tool/build.h"
#include "cmd/image-tool/pack.h"
#include "cmd/image-tool/pool.h"
#include "cmd/image-tool/source.h"
#include "cmd/image-tool/tool.h"
#include "cmd/image-tool/zero.h"
#include "lib/image/qcow2/qcow2.h"
#include "lib/imagekit/process.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ZERO_BLOCK 4096U	     /* what is looked for in a raw target, as by qemu-img */
#define PROGRESS_EVERY (32ULL << 20) /* bytes */

struct convert {
	const struct image_job *job;
	const struct image_node *target;
	struct source source;
	struct store_fd file;
	struct build build; /* of a qcow2 target */
	bool qcow2;
	bool dense; /* what is not written is not zeroes */
};

/* ---- a thread's work ---- */

static int write_all(const struct convert *c, const void *bytes, uint64_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pwrite(c->file.fd, bytes, len, (off_t)offset);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EIO;
		bytes = (const uint8_t *)bytes + (n > 0 ? n : 0);
		offset += n > 0 ? (uint64_t)n : 0;
		len -= n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

static int write_raw(struct convert *c, struct pool_thread *t, const struct pool_task *task)
{
	uint64_t at = 0;
	int r = 0;

	while (at < task->len && r == 0) {
		bool zero = false;
		uint64_t n = c->dense ? task->len :
					zero_run(t->bytes + at, task->len - at, ZERO_BLOCK, &zero);

		if (!zero)
			r = write_all(c, t->bytes + at, n, task->offset + at);
		at += n;
	}
	return r;
}

static int write_clusters(struct convert *c, const uint8_t *bytes, uint64_t len, uint64_t index)
{
	uint32_t n = (uint32_t)(len / c->build.cluster);
	uint64_t offset = build_take(&c->build, n);
	int r = write_all(c, bytes, len, offset);

	for (uint32_t i = 0; i < n && r == 0; i++)
		r = build_set(&c->build, index + i, offset + (uint64_t)i * c->build.cluster);
	return r;
}

static int write_packed(struct convert *c, struct pool_thread *t, const uint8_t *bytes,
			uint64_t index)
{
	uint32_t cluster = c->build.cluster, len = 0;
	uint64_t offset;
	int r = pack(t->own, c->job->compression, bytes, cluster, t->scratch, &len);

	if (r < 0)
		return r;
	if (!len) /* it does not get smaller */
		return write_clusters(c, bytes, cluster, index);
	r = build_take_packed(&c->build, len, &offset);
	if (r == 0)
		r = write_all(c, t->scratch, len, offset);
	return r < 0 ? r : build_set_packed(&c->build, index, offset, len);
}

static int write_qcow2(struct convert *c, struct pool_thread *t, const struct pool_task *task)
{
	uint64_t cluster = c->build.cluster, at = 0;
	uint64_t len = (task->len + cluster - 1) & ~(cluster - 1);
	int r = 0;

	memset(t->bytes + task->len, 0, len - task->len);
	while (at < len && r == 0) {
		bool zero;
		uint64_t n = zero_run(t->bytes + at, len - at, cluster, &zero);
		uint64_t index = (task->offset + at) / cluster;

		if (!zero && !c->job->compress)
			r = write_clusters(c, t->bytes + at, n, index);
		for (uint64_t k = 0; !zero && c->job->compress && k < n && r == 0; k += cluster)
			r = write_packed(c, t, t->bytes + at + k, index + k / cluster);
		at += n;
	}
	return r;
}

static int work(void *owner, struct pool_thread *t, const struct pool_task *task,
		struct pool_error *e)
{
	struct convert *c = owner;
	int r = pool_read(t, task, e);

	if (r < 0)
		return r;
	r = c->qcow2 ? write_qcow2(c, t, task) : write_raw(c, t, task);
	e->name = c->target->name;
	e->what = "writing";
	return r;
}

/* ---- the target ---- */

static int make_qcow2(struct convert *c)
{
	struct qcow2_create_options o;
	struct volume_error e = { "" };
	int r;

	create_options(c->job, c->source.size, &o);
	r = qcow2_create(&c->file.store, &o, &e);
	if (r < 0)
		return *e.text ? image_fail(c->target->name, "%s", e.text) :
				 image_fail_errno(c->target->name, "creating", r);
	r = build_open(&c->build, &c->file);
	if (r < 0)
		return image_fail_errno(c->target->name, "creating", r);
	if (c->job->compress && c->build.refcount_order < 4)
		return image_fail(c->target->name,
				  "refcount_bits: what is compressed needs 16 at least");
	return 0;
}

static int make_raw(struct convert *c)
{
	int r = 0;

	c->dense = c->file.store.fixed;
	if (c->dense && c->file.store.size < c->source.size)
		return image_fail(c->target->name,
				  "it has %llu bytes, the disk has %llu: use a larger device",
				  (unsigned long long)c->file.store.size,
				  (unsigned long long)c->source.size);
	if (!c->dense)
		r = store_truncate(&c->file.store, c->source.size);
	return r < 0 ? image_fail_errno(c->target->name, "creating", r) : 0;
}

static int open_target(struct convert *c)
{
	int r;

	c->target = tool_target(c->job);
	if (!c->target)
		return image_fail(NULL, "no target was given");
	c->qcow2 = c->target->format == FORMAT_QCOW2;
	r = store_fd_open(&c->file, c->target->fd, STORE_TOOL);
	if (r < 0)
		return image_fail_errno(c->target->name, "opening", r);
	return c->qcow2 ? make_qcow2(c) : make_raw(c);
}

/* ---- the windows ---- */

static int fail_read(const struct convert *c, int r)
{
	return image_fail_errno(c->source.name, "reading where its data are", r);
}

/* The rest of the window in which offset lies. *ret_idle: nothing in it needs a thread. */
static int gather(struct convert *c, uint64_t offset, struct pool_task *task, bool *ret_idle)
{
	uint64_t end = (offset | (POOL_PIECE_MAX - 1)) + 1;
	bool idle = !c->dense;
	int r = 0;

	if (end > c->source.size)
		end = c->source.size;
	pool_task_init(task, offset);
	while (offset < end && r == 0) {
		struct piece p;

		r = source_piece(&c->source, offset, end - offset, &p);
		if (r < 0)
			return r;
		idle &= p.kind == PIECE_ZERO;
		offset += p.len;
		r = pool_task_add(task, &p);
	}
	*ret_idle = idle;
	return r;
}

/* Whole windows that are holes are passed over at once. */
static int skip_holes(struct convert *c, uint64_t *offset)
{
	struct piece p = { .kind = PIECE_ZERO };
	int r = 0;

	while (!c->dense && *offset < c->source.size && r == 0) {
		uint64_t left = c->source.size - *offset, whole;

		r = source_piece(&c->source, *offset, left, &p);
		if (r < 0 || p.kind != PIECE_ZERO)
			break;
		whole = p.len == left ? left : p.len & ~(uint64_t)(POOL_PIECE_MAX - 1);
		if (!whole)
			break;
		*offset += whole;
	}
	return r;
}

static int fail_pool(const struct pool *pool)
{
	const struct pool_error *e = &pool->error;

	if (e->error == -EILSEQ)
		return image_fail(e->name, "%s", e->what);
	return image_fail_errno(e->name, e->what, e->error);
}

static int copy(struct convert *c, struct pool *pool)
{
	uint64_t offset = 0, told = 0;
	struct pool_task task;
	bool idle;
	int r = 0;

	while (r == 0) {
		r = skip_holes(c, &offset);
		if (r < 0)
			return fail_read(c, r);
		if (offset >= c->source.size)
			break;
		r = gather(c, offset, &task, &idle);
		if (r < 0)
			return fail_read(c, r);
		offset += task.len;
		if (idle)
			pool_task_drop(&task);
		else
			r = pool_give(pool, &task);
		if (c->job->progress && offset - told >= PROGRESS_EVERY) {
			image_progress(offset, c->source.size);
			told = offset;
		}
	}
	r = pool_drain(pool);
	return r < 0 ? fail_pool(pool) : 0;
}

static int finish(struct convert *c)
{
	int r = source_finish(&c->source);

	if (r < 0)
		return fail_read(c, r);
	if (c->qcow2)
		r = build_finish(&c->build, &c->file.store);
	if (r == 0 && c->job->sync)
		r = store_flush(&c->file.store);
	if (r < 0)
		return image_fail_errno(c->target->name, "writing", r);
	if (c->job->progress)
		image_progress(c->source.size, c->source.size);
	return IMAGE_EXIT_OK;
}

int run_convert(const struct image_job *job, struct pool *pool)
{
	static struct convert c;
	int r;

	c.job = job;
	r = source_open(&c.source, job, ROLE_SOURCE, SOURCE_READ);
	if (r == 0)
		r = open_target(&c);
	if (r)
		return r;
	pool_use(pool, work, &c);
	r = copy(&c, pool);
	return r ? r : finish(&c);
}
