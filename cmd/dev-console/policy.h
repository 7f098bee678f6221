/* SPDX-License-Identifier: Apache-2.0 */
/* dev-console's sandbox policy; console_declared is the whole. */
#ifndef BULKHEAD_CMD_DEV_CONSOLE_POLICY_H
#define BULKHEAD_CMD_DEV_CONSOLE_POLICY_H

#include "lib/declared/declared.h"

extern const struct sandbox_policy console_policy;

#endif
