/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-cdrom is; see policy.h. The image needs one call, io_uring_enter, whose ring is closed to all but reads of it. */
#include "cmd/dev-cdrom/policy.h"

#include "lib/base/cleanup.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	BLOCK_EVENTFD_CALLS,
	BLOCK_RECEIVED_FD_CALLS,
	BLOCK_GUEST_RAM_CALLS,
	DISK_RING_CALLS,
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy cdrom_policy = {
	.name = "dev-cdrom",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	/* tasks: the kernel's own workers of the ring count */
	.limits = { .nofile = 128, .nproc = 32, .as = SB_UNSET, .fsize = 0, .memlock = SB_UNSET },
};

static const struct declared_thread threads[] = {
	DISK_POOL,
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	BLOCK_VHOST_USER_FD(CDROM_FD_VHOST_USER),
	{ DISK_FD_IMAGE, FD_FILE, false, "image, to be read" },
	{ CDROM_FD_STATE, FD_FILE, false, "the page that keeps its state" },
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	BLOCK_VHOST_USER_HELD,
	DISK_RING_HELD,
	BLOCK_EVENTFD_HELD("kicks and calls of the queues"),
};

static const struct declared_map maps[] = {
	BLOCK_GUEST_RAM_MAPS,
	BLOCK_VHOST_USER_MAPS,
	DISK_RING_MAP,
	{ "/memfd:" CDROM_STATE_NAME, true, "the page that keeps its state" },
};

static const struct declared_gain gains[] = {
	BLOCK_GUEST_RAM_GAIN,
	{ "one image, to be read", "through its CD-ROM", NULL },
	{ "an io_uring", NULL,
	  "reads without a call each; registered for the one image and restricted to reads of it" },
	{ "the page that keeps its state", NULL,
	  "bytes for its successor, which reads them as a guest's" },
	BLOCK_EVENTFD_GAIN("the queues' eventfds"),
	BLOCK_VHOST_USER_GAIN("the vhost-user channel"),
	BLOCK_CONTROL_GAIN,
};

const struct declared_process cdrom_declared = {
	.name = "dev-cdrom",
	.domain = "bulkhead_cdrom_t",
	.job = "one CD-ROM",
	.hostile = "virtqueues, SCSI commands, vhost-user messages; the image's bytes pass unread",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &cdrom_policy,
	.threads = threads,
	.n_threads = ARRAY_SIZE(threads),
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.maps = maps,
	.n_maps = ARRAY_SIZE(maps),
	.space = DECLARED_DEVICE_SPACE,
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
