/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-flash may do, and the numbers of its descriptors. */
#ifndef BULKHEAD_CMD_DEV_FLASH_POLICY_H
#define BULKHEAD_CMD_DEV_FLASH_POLICY_H

#include "lib/kinds/kind.h"

#define FLASH_STATE_NAME "flash-state" /* as maps and audits show it */
#define FLASH_STATE_SIZE 4096U	       /* bytes */

enum { FLASH_FD_VFIO_USER = 4, FLASH_FD_STATE, FLASH_FD_VIEW, FLASH_FD_FILE };

struct flash_options {
	bool readonly; /* never: nobody can say it */
};

extern const struct sandbox_policy flash_policy;
extern const struct declared_process flash_declared;
extern const struct device_kind flash_kind;

#endif
