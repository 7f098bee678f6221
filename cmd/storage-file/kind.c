/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that storage-file is; lib/kinds/kind.h. Its options are those of a disk of the same name. */
#include "cmd/storage-file/policy.h"
#include "lib/base/cleanup.h"
#include "lib/storagekit/rates.h"
#include "lib/storagekit/server.h"

static const struct option options[] = {
	DISK_OPTIONS(struct storage_file_options, image),
	STORAGE_RATE_OPTIONS(struct storage_file_options, rates, 0),
};

const struct device_kind storage_file_kind = {
	.word = "disk",
	.declared = &storage_file_declared,
	.number = KIND_BEHIND,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.file = { .fd = DISK_FD_IMAGE,
		  .noun = "image",
		  .readonly_at = offsetof(struct storage_file_options, image.readonly) },
	.state = { DISK_BOUND(NULL), DISK_REDO(NULL) }, /* the disk says whether they are wanted */
	.storage_fd = STORAGE_FILE_FD_CHANNEL,
	.restartable = true,
	/* its buffers, if all are used whole, and the image's redo log */
	.memory = STORAGE_SLOTS * (uint64_t)STORAGE_DATA_MAX + DISK_REDO_BYTES,
	.threads = 1, /* punches holes */
	.tasks_each_node = DISK_RING_TASKS,
};
_Static_assert(sizeof(struct storage_file_options) <= KIND_OPTIONS_BYTES, "room for them");
