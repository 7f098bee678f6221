/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-blk may still ask of the kernel once it faces the guest; blk_declared is the whole. */
#ifndef BULKHEAD_DEV_BLK_POLICY_H
#define BULKHEAD_DEV_BLK_POLICY_H

#include "lib/kinds/kind.h"

#define BLK_POOL_THREADS 4U

enum { BLK_FD_VHOST_USER = 4, BLK_FD_IMAGE };

extern const struct sandbox_policy blk_policy;
/* of the thread that punches holes */
extern const struct sandbox_policy blk_puncher_policy;
/* of the threads that do everything, where there is no io_uring */
extern const struct sandbox_policy blk_pool_policy;
extern const struct declared_process blk_declared;
extern const struct device_kind blk_kind; /* kind.c */

#endif
