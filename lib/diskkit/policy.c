/* SPDX-License-Identifier: Apache-2.0 */
/* The filters of the threads beside the main one; see policy.h. */
#include "lib/diskkit/policy.h"

#include "lib/base/cleanup.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule puncher_rules[] = {
	SB_CALL(read),  /* is there a hole to punch? */
	SB_CALL(write), /* it is done */
	SB_FORM(fallocate, SB_IS(0, DISK_FD_IMAGE),
		SB_IS(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)),
};
/* clang-format on */

const struct sandbox_policy disk_puncher_policy = {
	.name = "puncher",
	.rules = puncher_rules,
	.n_rules = ARRAY_SIZE(puncher_rules),
};

/* clang-format off */
static const struct sandbox_rule pool_rules[] = {
	SB_CALL(read),  /* is there something to do? */
	SB_CALL(write), /* it is done */
	SB_FORM(preadv, SB_IS(0, DISK_FD_IMAGE)),
	SB_FORM(pwritev, SB_IS(0, DISK_FD_IMAGE)),
	SB_FORM(fdatasync, SB_IS(0, DISK_FD_IMAGE)),
	SB_FORM(fallocate, SB_IS(0, DISK_FD_IMAGE),
		SB_IS(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)),
};
/* clang-format on */

const struct sandbox_policy disk_pool_policy = {
	.name = "pool",
	.rules = pool_rules,
	.n_rules = ARRAY_SIZE(pool_rules),
};

/* clang-format off */
#define VOLUME_CALLS                                                                         \
	SB_CALL(read), SB_CALL(write), /* is there something to do? it is done */           \
	SB_CALL(close), SB_CALL(preadv),                                                                     \
	SB_FORM(pwritev, SB_IS(0, DISK_FD_IMAGE)), SB_FORM(pwritev, SB_IS(0, DISK_FD_DATA)),   \
	SB_FORM(fdatasync, SB_IS(0, DISK_FD_IMAGE)),                                          \
	SB_FORM(fdatasync, SB_IS(0, DISK_FD_DATA)),                                           \
	SB_FORM(fallocate, SB_IS(0, DISK_FD_IMAGE),                                           \
		SB_IS(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)),                       \
	SB_FORM(fallocate, SB_IS(0, DISK_FD_DATA),                                            \
		SB_IS(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))

static const struct sandbox_rule volume_rules[] = { VOLUME_CALLS };

static const struct sandbox_rule opening_rules[] = {
	VOLUME_CALLS,
	/* caches and tables */
	SB_CALL(brk),
	SB_MMAP_HEAP,
	/* how far the files may grow: lower, once, and noted for the processes after this one */
	SB_FORM(prlimit64, SB_IS(0, 0), SB_IS(1, RLIMIT_FSIZE), SB_IS(3, 0)),
	SB_GET_SEALS,
	SB_FORM(pwritev, SB_IS(0, DISK_FD_BOUND)),
	SB_FORM(fcntl, SB_IS(0, DISK_FD_BOUND), SB_IS(1, F_ADD_SEALS), SB_IS(2, DISK_BOUND_SEALS)),
	SB_NARROW,
};
/* clang-format on */

const struct sandbox_policy disk_volume_policy = {
	.name = "volume",
	.rules = volume_rules,
	.n_rules = ARRAY_SIZE(volume_rules),
};

const struct sandbox_policy disk_opening_policy = {
	.name = "volume, opening",
	.rules = opening_rules,
	.n_rules = ARRAY_SIZE(opening_rules),
};
