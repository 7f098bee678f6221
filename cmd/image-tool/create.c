/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead image create: an empty raw or qcow2 image. */
#include "cmd/image-tool/source.h"
#include "cmd/image-tool/tool.h"
#include "lib/image/qcow2/qcow2.h"
#include "lib/imagekit/process.h"

#include <fcntl.h>

const struct image_node *tool_target(const struct image_job *job)
{
	for (size_t i = 0; i < job->n_nodes; i++)
		if (job->nodes[i].role == ROLE_TARGET)
			return &job->nodes[i];
	return NULL;
}

void create_options(const struct image_job *job, uint64_t size, struct qcow2_create_options *ret)
{
	*ret = (struct qcow2_create_options){
		.size = size,
		.version = job->compat == COMPAT_0_10 ? 2 : 3,
		.cluster_size = (uint32_t)job->cluster_size,
		.refcount_bits = job->refcount_bits,
		.lazy_refcounts = job->lazy_refcounts,
		.extended_l2 = job->extended_l2,
		.compression = job->compression == COMPRESSION_ZSTD ? QCOW2_ZSTD : QCOW2_ZLIB,
		.backing_file = job->backing_name,
		.backing_format = job->backing_format,
		.preallocation = job->prealloc == PREALLOC_OFF ? QCOW2_PREALLOCATE_OFF :
								 QCOW2_PREALLOCATE_METADATA,
	};
}

static int settle_size(const struct image_job *job, uint64_t *ret)
{
	static struct source base;
	int r = 0;

	*ret = job->size;
	if (job->size_how != SIZE_BASE)
		return 0;
	r = source_open(&base, job, ROLE_OTHER, SOURCE_TOOL);
	if (r == 0)
		*ret = base.size;
	source_close(&base);
	return r;
}

static int reserve(struct store_fd *file, uint64_t size)
{
	return fallocate(file->fd, 0, 0, (off_t)size) < 0 ? -errno : 0;
}

static int create_raw(const struct image_job *job, const struct image_node *n,
		      struct store_fd *file, uint64_t size)
{
	int r;

	if (job->backing_name)
		return image_fail(n->name, "a raw image has nothing that backs it");
	if (job->prealloc == PREALLOC_METADATA)
		return image_fail(n->name, "preallocation: a raw image knows off, falloc and full");
	r = store_truncate(&file->store, size);
	if (r == 0 && job->prealloc == PREALLOC_FALLOC)
		r = reserve(file, size);
	if (r == 0 && job->prealloc == PREALLOC_FULL)
		r = store_zero(&file->store, 0, size);
	return r < 0 ? image_fail_errno(n->name, "creating", r) : 0;
}

static int create_qcow2(const struct image_job *job, const struct image_node *n,
			struct store_fd *file, uint64_t size)
{
	struct qcow2_create_options o;
	struct volume_error e = { "" };
	int r;

	create_options(job, size, &o);
	r = qcow2_create(&file->store, &o, &e);
	if (r < 0 && *e.text)
		return image_fail(n->name, "%s", e.text);
	/* every cluster has its place by now, and reads as zeroes */
	if (r == 0 && job->prealloc >= PREALLOC_FALLOC)
		r = reserve(file, file->store.size);
	return r < 0 ? image_fail_errno(n->name, "creating", r) : 0;
}

int run_create(const struct image_job *job, struct pool *pool)
{
	const struct image_node *n = tool_target(job);
	struct store_fd file;
	uint64_t size = 0;
	int r;

	(void)pool;
	if (!n)
		return image_fail(NULL, "no target was given");
	r = settle_size(job, &size);
	if (r)
		return r;
	r = store_fd_open(&file, n->fd, STORE_TOOL);
	if (r < 0)
		return image_fail_errno(n->name, "opening", r);
	r = n->format == FORMAT_QCOW2 ? create_qcow2(job, n, &file, size) :
					create_raw(job, n, &file, size);
	if (r)
		return r;
	r = job->sync ? store_flush(&file.store) : 0;
	return r < 0 ? image_fail_errno(n->name, "writing", r) : IMAGE_EXIT_OK;
}
