/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-dice may still ask of the kernel once it faces the guest. */
#include "lib/base/cleanup.h"
#include "lib/sandbox/forms.h"
#include "tests/toy-device/dice.h"

#include <fcntl.h>
#include <sys/syscall.h>

static const struct sandbox_rule rules[] = {
	/* the loop */
	SB_CALL(epoll_wait),
	SB_EPOLL_CTL,
	/* the vhost-user and control channels; ppoll when one is full */
	SB_RECVMSG,
	SB_SENDMSG,
	SB_PPOLL,
	SB_CALL(close),
	/* kicks and interrupts; what a received descriptor is */
	SB_CALL(read),
	SB_CALL(write),
	SB_CALL(fstat),
	SB_SET_NONBLOCK,
	/* guest memory */
	SB_GET_SEALS,
	SB_MMAP_FILE,
	SB_CALL(munmap),
	/* what it is for */
	SB_FORM(getrandom, SB_IS(2, 0)),
	SB_CALL(exit_group),
};

const struct sandbox_policy dice_policy = {
	.name = "dev-dice",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 64, .nproc = 1, .as = SB_UNSET, .fsize = 0, .memlock = 0 },
};

static const struct fd_row fds[] = {
	{ FD_CONTROL, FD_SOCKET, false, "control channel" },
	{ DICE_FD_VHOST_USER, FD_SOCKET, false, "vhost-user channel" },
};

static const struct declared_held held[] = {
	{ "anon_inode:[eventpoll]", 1, "event loop" },
	{ "/memfd:inflight", 1, "which requests are in flight, for the process after this one" },
	{ "anon_inode:[eventfd]", 0, "kicks and calls of the queue" },
};

static const struct declared_map maps[] = {
	{ "/guest-ram", true, "guest RAM in huge pages" },
	{ "/memfd:guest-ram", true, "guest RAM" },
	{ "/memfd:inflight", true, "which requests are in flight" },
};

static const struct declared_gain gains[] = {
	{ "guest RAM", "it is the guest's", NULL },
	{ "the queue's eventfds", "by its notify registers and interrupts", NULL },
	{ "the vhost-user channel", NULL,
	  "hostile replies to its vmm, which reads them as a guest's" },
	{ "the control channel", NULL,
	  "a few typed messages to the supervisor, by its request table" },
};

const struct declared_process dice_declared = {
	.name = "dev-dice",
	.job = "throws of dice",
	.hostile = "the virtqueue, vhost-user messages",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &dice_policy,
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
