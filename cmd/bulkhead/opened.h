/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the host that are opened for a device later: whether that will do, before anything starts. */
#ifndef BULKHEAD_CMD_BULKHEAD_OPENED_H
#define BULKHEAD_CMD_BULKHEAD_OPENED_H

#include "lib/config/config.h"

/* 0, or a negative errno with what would be right. A device that needs none is fine. */
[[nodiscard]] int opened_check(const struct config_device *d, const char **ret_why);

#endif
