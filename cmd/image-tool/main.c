/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image-tool: one job of `bulkhead image` on raw and qcow2 images.
 * Trust: images HOSTILE, what image-import writes HOSTILE, argv trusted.
 * Holds: 3 control, 4 output, 5 progress, 6 and up images.
 */
#include "lib/imagekit/json.h"
#include "cmd/image-tool/pack.h"
#include "cmd/image-tool/policy.h"
#include "cmd/image-tool/pool.h"
#include "cmd/image-tool/tool.h"
#include "lib/base/fd.h"
#include "lib/imagekit/process.h"

#include <errno.h>

static struct image_job job;
static struct pool pool;

static int (*const verbs[])(const struct image_job *job, struct pool *pool) = {
	[IMAGE_CREATE] = run_create, [IMAGE_INFO] = run_info,
	[IMAGE_CHECK] = run_check,   [IMAGE_CONVERT] = run_convert,
	[IMAGE_RESIZE] = run_resize, [IMAGE_SNAPSHOT] = run_snapshot,
	[IMAGE_MAP] = run_map,	     [IMAGE_COMPARE] = run_compare,
};

/* Threads and what they will need. */
static int prepare_pool(void)
{
	int r = pool_open(&pool, job.threads);

	for (unsigned int i = 0; i < pool.n && r == 0 && job.compress; i++) {
		pool.thread[i].own = packer_new(job.compression);
		r = pool.thread[i].own ? 0 : -ENOMEM;
	}
	return r;
}

static int prepare(void)
{
	int r = sandbox_trap_install(FD_CONTROL);

	json_object_seed(1); /* it would look for one in a file */
	if (r == 0 && job.verb == IMAGE_CONVERT)
		r = prepare_pool();
	return r < 0 ? image_fail_errno(NULL, "threads", r) : 0;
}

int main(int argc, char **argv)
{
	int status;

	if (image_process_open(argc, argv, &job) < 0) /* 1 words, close others */
		return IMAGE_EXIT_FAILED;
	if ((size_t)job.verb >= sizeof(verbs) / sizeof(verbs[0]))
		return image_fail(NULL, "the verb is not for image-tool");
	if (prepare()) /* 2 no hostile byte */
		return IMAGE_EXIT_FAILED;
	if (image_process_enter(&image_tool_policy) < 0) /* 3 no way back */
		return IMAGE_EXIT_FAILED;
	status = verbs[job.verb](&job, &pool); /* 4 hostile from here */
	return image_print_end() ? status : IMAGE_EXIT_FAILED;
}
