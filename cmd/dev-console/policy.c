/* SPDX-License-Identifier: Apache-2.0 */
/* dev-console's sandbox policy: descriptors that it holds, and nothing that names anything else. */
#include "cmd/dev-console/policy.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/forms.h"

#include <fcntl.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	/* the loop */
	SB_CALL(epoll_wait),
	SB_EPOLL_CTL,
	SB_CALL(restart_syscall),
	/* eventfds and timers */
	SB_CALL(read),
	SB_CALL(write),
	/* the terminal's stream: calls that leave in the state page how much they moved */
	SB_RECVMMSG,
	SB_SENDMMSG,
	/* the channels, with descriptors */
	SB_RECVMSG,
	SB_SENDMSG,
	SB_PPOLL,
	SB_CALL(close),
	/* descriptors that arrive: their kind, made non-blocking */
	SB_CALL(fstat),
	SB_SET_NONBLOCK,
	SB_GET_SEALS,
	/* guest RAM */
	SB_MMAP_FILE,
	SB_CALL(munmap),
	/* the end */
	SB_CALL(exit_group),
};
/* clang-format on */

const struct sandbox_policy console_policy = {
	.name = "dev-console",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		.nofile = 128,
		.nproc = 1,
		.as = SB_UNSET, /* `space` below */
		.fsize = 0,
		.memlock = 0,
	},
};

static const struct fd_row fds[] = {
	{ FD_CONTROL, FD_SOCKET, false, "control channel" },
	{ CONSOLE_FD_VFIO_USER, FD_SOCKET, false, "vfio-user channel" },
	{ CONSOLE_FD_VHOST_USER, FD_SOCKET, false, "vhost-user channel" },
	{ CONSOLE_FD_STATE, FD_FILE, false, "the page that keeps its state" },
};

static const struct declared_held held[] = {
	{ "anon_inode:[eventpoll]", 1, "event loop" },
	{ "anon_inode:[timerfd]", 2, "a peer that takes nothing, and the pace of input" },
	{ "/memfd:inflight", 1, "which requests are in flight, for the process after this one" },
	{ "/memfd:uart", 1, "the page of registers that the vmm may read" },
	{ "socket:", 1, "the terminal's stream, one at a time" },
	{ "anon_inode:[eventfd]", 0, "kicks and calls of the queues, the UART's interrupt" },
};

static const struct declared_map maps[] = {
	{ "/guest-ram", true, "guest RAM in huge pages" },
	{ "/memfd:guest-ram", true, "guest RAM" },
	{ "/memfd:inflight", true, "which requests are in flight" },
	{ "/memfd:uart", true, "the page of registers" },
	{ "/memfd:" CONSOLE_STATE_NAME, true, "the page that keeps its state" },
};

static const struct declared_gain gains[] = {
	{ "guest RAM", "it is the guest's", NULL },
	{ "the stream to the terminal's relay", "through its console; the relay filters", NULL },
	{ "what its user types", "it is typed for the guest", NULL },
	{ "the page that keeps its state", NULL,
	  "bytes for its successor, which reads them as a guest's" },
	{ "the queues' and the UART's eventfds", "by its notify registers and interrupts", NULL },
	{ "the vfio-user and vhost-user channels", NULL,
	  "hostile replies to its vmm, which reads them as a guest's" },
	{ "the note of which requests are in flight", NULL,
	  "the process after this one finishes them; it reads the note as hostile" },
	{ "the control channel", NULL,
	  "a few typed messages to the supervisor, by its request table" },
};

const struct declared_process console_declared = {
	.name = "dev-console",
	.domain = "bulkhead_console_t",
	.job = "the UART and the virtio console",
	.hostile = "registers, virtqueues, vfio-user and vhost-user messages",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &console_policy,
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
