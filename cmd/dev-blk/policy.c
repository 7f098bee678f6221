/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dev-blk is; see policy.h. The image needs two calls: io_uring_enter, whose ring is closed to all
 * but reads, writes and syncs, and in a thread of its own fallocate, which can do nothing but punch holes.
 */
#include "cmd/dev-blk/policy.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/forms.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	/* the loop */
	SB_CALL(epoll_wait),
	SB_EPOLL_CTL,
	/* the vhost-user and control channels; ppoll when one is full */
	SB_RECVMSG,
	SB_SENDMSG,
	SB_PPOLL,
	SB_CALL(close),
	/* kicks and interrupts */
	SB_CALL(read),
	SB_CALL(write),
	/* what a received descriptor is; kicks and interrupts never block */
	SB_CALL(fstat),
	SB_SET_NONBLOCK,
	/* guest memory */
	SB_GET_SEALS,
	SB_MMAP_FILE,
	SB_CALL(munmap),
	/* the image */
	SB_FORM(io_uring_enter, SB_IS(3, 0), SB_IS(4, 0)),
	SB_FORM(io_uring_enter, SB_IS(3, IORING_ENTER_GETEVENTS), SB_IS(4, 0)),
	SB_CALL(exit_group),
};
/* clang-format on */

const struct sandbox_policy blk_policy = {
	.name = "dev-blk",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	/* tasks: the kernel's own workers of the ring count. fsize is the image's, set by main. */
	.limits = { .nofile = 128, .nproc = 32, .as = SB_UNSET, .fsize = 0, .memlock = SB_UNSET },
};

/* clang-format off */
static const struct sandbox_rule puncher_rules[] = {
	SB_CALL(read),  /* is there a hole to punch? */
	SB_CALL(write), /* it is done */
	{ .nr = __NR_fallocate,
	  .args = { { SB_EQ, 0, BLK_FD_IMAGE, 0 },
		    { SB_EQ, 1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0 } } },
};
/* clang-format on */

const struct sandbox_policy blk_puncher_policy = {
	.name = "dev-blk:puncher",
	.rules = puncher_rules,
	.n_rules = ARRAY_SIZE(puncher_rules),
};

static const struct declared_thread threads[] = {
	{ "puncher", &blk_puncher_policy, NULL, false },
};

static const struct fd_row fds[] = {
	{ FD_CONTROL, FD_SOCKET, false, "control channel" },
	{ BLK_FD_VHOST_USER, FD_SOCKET, false, "vhost-user channel" },
	{ BLK_FD_IMAGE, FD_FILE, false, "image" },
};

static const struct declared_held held[] = {
	{ "anon_inode:[eventpoll]", 1, "event loop" },
	{ "/memfd:inflight", 1, "which requests are in flight, for the process after this one" },
	{ "anon_inode:[io_uring]", 1, "ring, restricted to the image" },
	{ "anon_inode:[eventfd]", 0, "kicks and calls of the queues, holes to punch and punched" },
};

static const struct declared_map maps[] = {
	{ "/guest-ram", true, "guest RAM in huge pages" },
	{ "/memfd:guest-ram", true, "guest RAM" },
	{ "/memfd:inflight", true, "which requests are in flight" },
	{ "anon_inode:[io_uring]", true, "the ring's queues" },
};

static const struct declared_gain gains[] = {
	{ "guest RAM", "it is the guest's", NULL },
	{ "one image, as the machine may use it", "through its disk", NULL },
	{ "an io_uring", NULL,
	  "reads and writes without a call each; registered for the one image and restricted to "
	  "read, write and flush on it" },
	{ "the queues' eventfds", "by its notify registers and interrupts", NULL },
	{ "the vhost-user channel", NULL,
	  "hostile replies to its vmm, which reads them as a guest's" },
	{ "the note of which requests are in flight", NULL,
	  "the process after this one finishes them; it reads the note as hostile" },
	{ "the control channel", NULL,
	  "a few typed messages to the supervisor, by its request table" },
};

const struct declared_process blk_declared = {
	.name = "dev-blk",
	.domain = "bulkhead_blk_t",
	.job = "one disk",
	.hostile = "virtqueues, vhost-user messages, the image's bytes",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &blk_policy,
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
