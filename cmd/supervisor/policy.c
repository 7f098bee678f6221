/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's own filter. Everything is started and open; what is left is to listen, to pass
 * messages on, and to end processes that it has descriptors of. No path, no process id, no new
 * process, no new name.
 */
#include "cmd/supervisor/vm.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"
#include "lib/sandbox/sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	SB_RECVMSG,
	SB_SENDMSG,
	SB_CALL(poll),
	SB_PPOLL,
	SB_CALL(read),                       /* signalfd, timerfd */
	SB_CALL_EQ(write, 0, 2),             /* lines for the user */
	SB_CALL(close),
	SB_FORM(waitid, SB_IS(0, P_PIDFD), SB_IS(3, WEXITED), SB_IS(4, 0)),
	SB_FORM(waitid, SB_IS(0, P_PIDFD), SB_IS(3, WEXITED | WNOHANG), SB_IS(4, 0)),
	SB_FORM(pidfd_send_signal, SB_IS(1, SIGKILL), SB_IS(2, 0), SB_IS(3, 0)),
	SB_TIMERFD_SETTIME,
	SB_FORM(shutdown, SB_IS(1, SHUT_WR)),
	SB_FORM(accept4, SB_IS(1, 0), SB_IS(3, SOCK_CLOEXEC | SOCK_NONBLOCK)), /* clients */
	SB_FORM(getsockopt, SB_IS(1, SOL_SOCKET), SB_IS(2, SO_PEERCRED)), /* who they are */
	/* a console for one */
	SB_FORM(socketpair, SB_IS(0, AF_UNIX), SB_IS(1, SOCK_STREAM | SOCK_CLOEXEC), SB_IS(2, 0)),
	SB_CALL_EQ(dup2, 1, 2),              /* a detached VM lets go of standard error */
	SB_CLOCK_MONOTONIC,              /* where the vDSO has no clock */
	SB_CALL(brk),                        /* names of refused calls */
	SB_MMAP_HEAP,
	SB_CALL(munmap),
	SB_CALL(exit_group),
};
/* clang-format on */

const struct sandbox_policy supervisor_policy = {
	.name = "supervisor",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		/* each has a channel and a pidfd; what clients attach has files */
		.nofile = 64 + 2 * VM_MAX_PARTS + VM_MAX_CLIENTS * (KIND_FILES_MAX - 1),
		.nproc = 0,
		.as = 64 << 20,
		.fsize = SB_UNSET, /* standard error may be a file */
		.memlock = 0,
	},
	.has_children = true,
};

#define LINK(n)                                                                        \
	{                                                                              \
		SUPERVISOR_FD_LINKS + (n), FD_LINK, true, "what a device is joined to" \
	}

#define LINKS(n)                                                                            \
	LINK(n), LINK((n) + 1), LINK((n) + 2), LINK((n) + 3), LINK((n) + 4), LINK((n) + 5), \
		LINK((n) + 6), LINK((n) + 7)

/* clang-format off */
static const struct fd_row fds[] = {
	{ SUPERVISOR_FD_FRONT, FD_SOCKET, true, "the command's channel" },
	{ SUPERVISOR_FD_STREAM, FD_SOCKET, true, "the console's stream" },
	{ SUPERVISOR_FD_SEED, FD_FILE, true, "a disk that the command has made" },
	LINKS(0), LINKS(8), LINKS(16), LINKS(24), LINKS(32), LINKS(40), LINKS(48), LINKS(56),
};
/* clang-format on */

_Static_assert(KIND_LINK_FDS_MAX == 64, "a row each");

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	{ "anon_inode:[signalfd]", 1, "signals of its user" },
	{ "anon_inode:[timerfd]", 2, "patience at the end, and before a device is started again" },
	{ "anon_inode:[pidfd]", 0, "its VM's processes" },
	{ "pidfd:", 0, "its VM's processes" },
	{ "socket:", 0,
	  "control channels, the launcher, the listening sockets, clients, the claims on its ids" },
	{ "cgroup:memory.events", 1, "memory.events of its control group, read-only" },
};

static const struct declared_gain gains[] = {
	{ "the control channels and process descriptors of one VM", NULL,
	  "it can end that VM, and press its power button; no guest RAM, no image's byte" },
	{ "the channel to its launcher", NULL,
	  "which device that has died or has a larger image is to be started again, or which kind with which options is to be new, "
	  "with one descriptor of its own; the launcher says how often, and takes no other file than one "
	  "that is open for reading, or for both, and for a disk of a server a socket alone, "
	  "for a network card a socket or a tap" },
	{ "the image of a device that is being attached, or what it is joined to, or its channel to a dialer and its keys, or the image of a disk that becomes larger",
	  NULL,
	  "its user's command sent it, as it is or is to be served to the guest; it goes on to the launcher at once" },
	{ "the listening sockets and clients", NULL,
	  "answers to the user's own commands, which read them as hostile" },
	{ "standard error", NULL, "lines for its user, until the VM is detached" },
};

const struct declared_process supervisor_declared = {
	.name = "supervisor",
	.domain = SELINUX_SUPERVISOR,
	.job = "starts, watches and ends one VM",
	.hostile = "messages of every other process, of clients",
	.place = DECLARED_SUPERVISOR,
	.policy = &supervisor_policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};

/* ---- the keeper ---- */

#define REMOVE_DIR_IN(dir)                            \
	{                                             \
		.nr = __NR_unlinkat, .args = {        \
			{ SB_EQ, 0, (dir), 0 },       \
			{ SB_EQ, 2, AT_REMOVEDIR, 0 } \
		}                                     \
	}

/* clang-format off */
static const struct sandbox_rule keeper_rules[] = {
	SB_FORM(wait4, SB_IS(2, 0), SB_IS(3, 0)),
	SB_CALL_EQ(write, 0, KEEPER_FD_KILL),
	SB_CALL_EQ(write, 0, KEEPER_FD_KILL_NETWORK),
	REMOVE_DIR_IN(KEEPER_FD_PLACE),
	REMOVE_DIR_IN(KEEPER_FD_ALL),
	REMOVE_DIR_IN(KEEPER_FD_VM),
	SB_FORM(clock_nanosleep, SB_IS(0, CLOCK_MONOTONIC), SB_IS(1, 0)), /* the kernel may need a moment to let the last task go */
	SB_CALL(exit_group),
};
/* clang-format on */

static const struct sandbox_policy keeper_policy = {
	.name = "keeper",
	.rules = keeper_rules,
	.n_rules = ARRAY_SIZE(keeper_rules),
	.limits = {
		.nofile = KEEPER_FD_KILL_NETWORK + 2, /* one for entering Landlock */
		.nproc = 0,
		.as = SB_UNSET,
		.fsize = SB_UNSET,
		.memlock = 0,
	},
	.beneath = { .fd = KEEPER_FD_PLACE, .rights = LANDLOCK_ACCESS_FS_REMOVE_DIR },
};

static const struct fd_row keeper_fds[] = {
	{ KEEPER_FD_PLACE, FD_ANY, false, "where the VM's control group is" },
	{ KEEPER_FD_ALL, FD_ANY, false, "the group of all VMs" },
	{ KEEPER_FD_VM, FD_ANY, false, "the VM's group" },
	{ KEEPER_FD_KILL, FD_ANY, false, "cgroup.kill of its processes" },
	{ KEEPER_FD_KILL_NETWORK, FD_ANY, false,
	  "cgroup.kill of the programs that are its network" },
};

static const struct declared_gain keeper_gains[] = {
	{ "the directories of one VM's control group", NULL,
	  "it can end that VM and remove empty groups; nobody speaks to it" },
	{ "the file system user id of those directories' owner, where root started the VM", NULL,
	  "needed to remove them, and taken only where Landlock leaves it nothing else below one "
	  "directory; its filter has no call that opens a file" },
};

const struct declared_process keeper_declared = {
	.name = "keeper",
	.program = "supervisor",
	.job = "removes one VM's control group when the supervisor has ended",
	.hostile = "nothing",
	.place = DECLARED_USER,
	.policy = &keeper_policy,
	.fds = keeper_fds,
	.n_fds = ARRAY_SIZE(keeper_fds),
	.gains = keeper_gains,
	.n_gains = ARRAY_SIZE(keeper_gains),
};
