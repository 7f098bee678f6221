/* SPDX-License-Identifier: Apache-2.0 */
/* dev-firmware's sandbox policy; firmware_declared is the whole. */
#ifndef BULKHEAD_CMD_DEV_FIRMWARE_POLICY_H
#define BULKHEAD_CMD_DEV_FIRMWARE_POLICY_H

#include "lib/kinds/kind.h"

enum { FIRMWARE_FD_VFIO_USER = 4, FIRMWARE_FD_STATE, FIRMWARE_FD_ITEMS };

/* The file behind FIRMWARE_FD_STATE. */
#define FIRMWARE_STATE_NAME "firmware-state" /* as maps and audits show it */
#define FIRMWARE_STATE_SIZE UINT64_C(4096)   /* bytes */

extern const struct sandbox_policy firmware_policy;
extern const struct declared_process firmware_declared;
extern const struct device_kind firmware_kind; /* kind.c */

#endif
