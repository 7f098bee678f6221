/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-blk may still ask of the kernel once it faces the guest; blk_declared is the whole. */
#ifndef BULKHEAD_DEV_BLK_POLICY_H
#define BULKHEAD_DEV_BLK_POLICY_H

#include "cmd/dev-blk/blk.h"
#include "lib/kinds/kind.h"

enum {
	BLK_FD_VHOST_USER = 4,
	BLK_FD_IMAGE,
	BLK_FD_BACKING,
	BLK_FD_DATA = BLK_FD_BACKING + BLK_BACKING_MAX,
	BLK_FD_BOUND, /* how far the image may grow */
};

#define BLK_POOL_THREADS 4U
#define BLK_BOUND_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

extern const struct sandbox_policy blk_policy;
/* of the thread that punches holes */
extern const struct sandbox_policy blk_puncher_policy;
/* of the threads that do everything, where there is no io_uring */
extern const struct sandbox_policy blk_pool_policy;
extern const struct declared_process blk_declared;
/* of the thread that has a format's metadata, while it opens the image and afterwards */
extern const struct sandbox_policy blk_opening_policy, blk_volume_policy;
extern const struct device_kind blk_kind; /* kind.c */

#endif
