/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-blk may still ask of the kernel once it faces the guest; blk_declared is the whole. */
#ifndef BULKHEAD_DEV_BLK_POLICY_H
#define BULKHEAD_DEV_BLK_POLICY_H

#include "lib/declared/declared.h"

extern const struct sandbox_policy blk_policy;
/* of the thread that punches holes */
extern const struct sandbox_policy blk_puncher_policy;

#endif
