/* SPDX-License-Identifier: Apache-2.0 */
/* dev-console's sandbox policy. */
#ifndef BULKHEAD_CMD_DEV_CONSOLE_POLICY_H
#define BULKHEAD_CMD_DEV_CONSOLE_POLICY_H

#include "lib/sandbox/sandbox.h"

extern const struct sandbox_policy console_policy;

#endif
