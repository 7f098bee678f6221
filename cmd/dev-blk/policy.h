/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-blk may still ask of the kernel once it faces the guest; blk_declared is the whole. */
#ifndef BULKHEAD_DEV_BLK_POLICY_H
#define BULKHEAD_DEV_BLK_POLICY_H

#include "cmd/dev-blk/blk.h"
#include "lib/diskkit/policy.h"
#include "lib/kinds/kind.h"

enum { BLK_FD_VHOST_USER = 4 };

extern const struct sandbox_policy blk_policy;
extern const struct declared_process blk_declared;
extern const struct device_kind blk_kind; /* kind.c */

#endif
