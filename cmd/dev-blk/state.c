/* SPDX-License-Identifier: Apache-2.0 */
/* A disk's own state, beside its rings and what its driver negotiated; see blk.h. No request is in flight. */
#include "cmd/dev-blk/blk.h"

#include "lib/base/cleanup.h"

struct blk_image {
	uint8_t writeback; /* the driver's choice */
};

static const struct state_field fields[] = { STATE_BOOL(struct blk_image, writeback) };

static const struct state_schema schema = {
	.name = "dev-blk",
	.version = 1,
	.size = sizeof(struct blk_image),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
};

static int reset(void *object)
{
	blk_disk_reset(&((struct blk *)object)->disk);
	return 0;
}

static void save(const void *object, void *image)
{
	((struct blk_image *)image)->writeback = ((const struct blk *)object)->disk.writeback;
}

static int load(void *object, const void *image, const char **ret_why)
{
	(void)ret_why;
	((struct blk *)object)->disk.writeback = ((const struct blk_image *)image)->writeback;
	return 0;
}

const struct state_ops blk_state = { "dev-blk", &schema, reset, NULL, save, load, NULL };
