/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-scsi is; see policy.h. All that dev-blk may, as it has the same of a disk; and a page of its own. */
#include "cmd/dev-scsi/policy.h"

#include "lib/base/cleanup.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>

static const struct sandbox_rule rules[] = { DISK_DEVICE_CALLS };

const struct sandbox_policy scsi_policy = {
	.name = "dev-scsi",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = DISK_DEVICE_LIMITS,
};

static const struct declared_thread threads[] = { DISK_THREADS };

static const struct fd_row fds[] = {
	DISK_DEVICE_FDS(SCSI_FD_VHOST_USER),
	{ SCSI_FD_STATE, FD_FILE, false, "the page that keeps its state" },
};

static const struct declared_held held[] = { DISK_DEVICE_HELD };

static const struct declared_map maps[] = {
	DISK_DEVICE_MAPS,
	{ "/memfd:" SCSI_STATE_NAME, true, "the page that keeps its state" },
};

static const struct declared_gain gains[] = {
	DISK_DEVICE_GAINS,
	{ "the page that keeps its state", NULL,
	  "bytes for its successor, which reads them as a guest's" },
};

const struct declared_process scsi_declared = {
	.name = "dev-scsi",
	.domain = "bulkhead_scsi_t",
	.job = "one disk, behind an adapter of SCSI",
	.hostile = "virtqueues, SCSI commands, vhost-user messages, the image's bytes",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &scsi_policy,
	.threads = threads,
	.n_threads = ARRAY_SIZE(threads),
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.maps = maps,
	.n_maps = ARRAY_SIZE(maps),
	.space = DECLARED_DEVICE_SPACE,
	.fsize_of_image = true,
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
