/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that storage-file is; lib/kinds/kind.h. Its options are those of a disk of the same name. */
#include "cmd/storage-file/policy.h"
#include "lib/base/cleanup.h"
#include "lib/storagekit/rates.h"
#include "lib/storagekit/server.h"

#define RING_THREADS 9 /* lib/image/uring.c: 8 and 1 */

static const char *const formats[] = { "raw", NULL };

static const char *const caches[] = { "writeback", "none", NULL };
static const char *const logical_sizes[] = { "512", "4096", NULL };

static const struct option options[] = {
	{ .name = "format",
	  .type = OPTION_CHOICE,
	  OPTION_FIELD(struct storage_file_options, format),
	  .choices = formats,
	  .flags = OPTION_REQUIRED },
	{ .name = "readonly",
	  .type = OPTION_ONOFF,
	  OPTION_FIELD(struct storage_file_options, readonly),
	  .max = 1,
	  .initial = "off" },
	{ .name = "cache",
	  .type = OPTION_CHOICE,
	  OPTION_FIELD(struct storage_file_options, cache),
	  .choices = caches,
	  .initial = "writeback" },
	{ .name = "logical_block_size",
	  .type = OPTION_CHOICE,
	  OPTION_FIELD(struct storage_file_options, logical),
	  .choices = logical_sizes,
	  .initial = "512" },
	STORAGE_RATE_OPTIONS(struct storage_file_options, rates, 0),
};

const struct device_kind storage_file_kind = {
	.word = "disk",
	.declared = &storage_file_declared,
	.number = KIND_BEHIND,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.file = { .fd = STORAGE_FILE_FD_IMAGE,
		  .noun = "image",
		  .readonly_at = offsetof(struct storage_file_options, readonly) },
	.storage_fd = STORAGE_FILE_FD_CHANNEL,
	.restartable = true,
	.memory =
		STORAGE_SLOTS * (uint64_t)STORAGE_DATA_MAX, /* its buffers, if all are used whole */
	.threads = 1,					    /* punches holes */
	.tasks_each_node = RING_THREADS,
};
_Static_assert(sizeof(struct storage_file_options) <= KIND_OPTIONS_BYTES, "room for them");
