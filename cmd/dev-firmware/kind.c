/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that dev-firmware is; lib/kinds/kind.h. */
#include "cmd/dev-firmware/policy.h"

const struct device_kind firmware_kind = {
	.word = "firmware",
	.declared = &firmware_declared,
	.number = KIND_FIRMWARE,
	.registers_fd = FIRMWARE_FD_VFIO_USER,
	.items_fd = FIRMWARE_FD_ITEMS,
	.state = { { .fd = FIRMWARE_FD_STATE,
		     .name = FIRMWARE_STATE_NAME,
		     .size = FIRMWARE_STATE_SIZE } },
	.restartable = true,
};
