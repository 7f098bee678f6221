/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-rng may still ask of the kernel once it faces the guest. */
#include "cmd/dev-rng/policy.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/forms.h"

#include <fcntl.h>
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
	/* kicks, interrupts, the timer */
	SB_CALL(read),
	SB_CALL(write),
	SB_TIMERFD_SETTIME,
	/* what a received descriptor is; kicks and interrupts never block */
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
/* clang-format on */

const struct sandbox_policy rng_policy = {
	.name = "dev-rng",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 64, .nproc = 1, .as = SB_UNSET, .fsize = 0, .memlock = 0 },
};

static const struct fd_row fds[] = {
	{ FD_CONTROL, FD_SOCKET, false, "control channel" },
	{ RNG_FD_VHOST_USER, FD_SOCKET, false, "vhost-user channel" },
};

static const struct declared_held held[] = {
	{ "anon_inode:[eventpoll]", 1, "event loop" },
	{ "/memfd:inflight", 1, "which requests are in flight, for the process after this one" },
	{ "anon_inode:[timerfd]", 1, "refills of the rate's bucket" },
	{ "anon_inode:[eventfd]", 0, "kicks and calls of the queue" },
};

static const struct declared_map maps[] = {
	{ "/guest-ram", true, "guest RAM in huge pages" },
	{ "/memfd:guest-ram", true, "guest RAM" },
	{ "/memfd:inflight", true, "which requests are in flight" },
};

static const struct declared_gain gains[] = {
	{ "guest RAM", "it is the guest's", NULL },
	{ "random bytes of the host", "through its device, by rate", NULL },
	{ "the queue's eventfds", "by its notify registers and interrupts", NULL },
	{ "random bytes without the rate", NULL,
	  "getrandom is what the device is for; it costs CPU time, of which the process has no "
	  "more than its share" },
	{ "the vhost-user channel", NULL,
	  "hostile replies to its vmm, which reads them as a guest's" },
	{ "the note of which requests are in flight", NULL,
	  "the process after this one finishes them; it reads the note as hostile" },
	{ "the control channel", NULL,
	  "a few typed messages to the supervisor, by its request table" },
};

const struct declared_process rng_declared = {
	.name = "dev-rng",
	.domain = "bulkhead_rng_t",
	.job = "random numbers",
	.hostile = "the virtqueue, vhost-user messages",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &rng_policy,
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
