/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that dev-flash is; lib/kinds/kind.h. */
#include "cmd/dev-flash/policy.h"
#include "lib/base/cleanup.h"
#include "lib/fwcfg/flash.h"

static const struct kind_files beside[] = {
	{ .word = "template", .noun = "template", .most = 1, .only_read = true, .commands = true },
};

/* Which sizes are right the supervisor knows, by that of the firmware. */
static uint64_t unit(const void *options, unsigned int i)
{
	(void)options, (void)i;
	return 1;
}

const struct device_kind flash_kind = {
	.word = "firmware-vars",
	.declared = &flash_declared,
	.number = KIND_MANY,
	.most = 1,
	.help = "made of its template where it is not there",
	.file = { .fd = FLASH_FD_FILE,
		  .noun = "file",
		  .readonly_at = offsetof(struct flash_options, readonly),
		  .more = beside,
		  .n_more = ARRAY_SIZE(beside),
		  .unit = unit },
	.flash_fd = FLASH_FD_VFIO_USER,
	.view_fd = FLASH_FD_VIEW,
	.state = { { .fd = FLASH_FD_STATE, .name = FLASH_STATE_NAME, .size = FLASH_STATE_SIZE } },
	.restartable = true,
	/* what the guest reads, and what the file has */
	.memory = 2 * FLASH_SIZE_MAX + FLASH_LOG_LEN(FLASH_SIZE_MAX),
};
