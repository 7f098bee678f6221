/* SPDX-License-Identifier: Apache-2.0 */
/* What image-tool does, one function for each verb of `bulkhead image`: they return its exit status, 0 or
 * after a line. */
#ifndef BULKHEAD_IMAGE_TOOL_TOOL_H
#define BULKHEAD_IMAGE_TOOL_TOOL_H

#include "lib/imagefile/job.h"

struct pool;
struct qcow2_create_options;

int run_create(const struct image_job *job, struct pool *pool);
int run_info(const struct image_job *job, struct pool *pool);
int run_check(const struct image_job *job, struct pool *pool);
int run_convert(const struct image_job *job, struct pool *pool);
int run_resize(const struct image_job *job, struct pool *pool);
int run_snapshot(const struct image_job *job, struct pool *pool);
int run_map(const struct image_job *job, struct pool *pool);
int run_compare(const struct image_job *job, struct pool *pool);

/* The file that is made, or NULL. */
const struct image_node *tool_target(const struct image_job *job);
void create_options(const struct image_job *job, uint64_t size, struct qcow2_create_options *ret);

#endif
