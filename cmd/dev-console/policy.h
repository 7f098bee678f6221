/* SPDX-License-Identifier: Apache-2.0 */
/* dev-console's sandbox policy; console_declared is the whole. */
#ifndef BULKHEAD_CMD_DEV_CONSOLE_POLICY_H
#define BULKHEAD_CMD_DEV_CONSOLE_POLICY_H

#include "lib/kinds/kind.h"

enum { CONSOLE_FD_VFIO_USER = 4, CONSOLE_FD_VHOST_USER, CONSOLE_FD_STATE };

/* The file behind CONSOLE_FD_STATE. */
#define CONSOLE_STATE_NAME "console-state"	 /* as maps and audits show it */
#define CONSOLE_STATE_SIZE (UINT64_C(128) << 10) /* bytes */

extern const struct sandbox_policy console_policy;
extern const struct declared_process console_declared;
extern const struct device_kind console_kind; /* kind.c */

#endif
