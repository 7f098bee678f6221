/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher's filter. A filter is inherited by all that a process starts, so that this one has what a
 * device's process needs from its first instruction to its last: to be set up by the launcher (jail_child
 * of lib/sandbox), to start, to confine itself and to serve. What the launcher itself does beside is in the
 * first block; the devices' own filters, which they enter as ever, leave their own few.
 */
#include "lib/declared/declared.h"

#include "lib/base/cleanup.h"
#include "lib/kinds/kind.h"
#include "lib/sandbox/forms.h"

#include <asm/prctl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <linux/vhost.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>

#include "lib/sandbox/jail.h"
#include "lib/sandbox/selinux.h"

#define PRCTL(option) SB_CALL_EQ(prctl, 0, (option))
#define FCNTL(command, value) SB_FORM(fcntl, SB_IS(1, (command)), SB_IS(2, (value)))
/* never code */
#define MMAP(flags)                                      \
	{                                                \
		.nr = __NR_mmap, .args = {               \
			{ SB_NO_BITS, 2, PROT_EXEC, 0 }, \
			{ SB_EQ, 3, (flags), 0 }         \
		}                                        \
	}
/* an int, whose upper half nobody fills */
#define AT_CWD                                                  \
	{                                                       \
		SB_MASKED_EQ, 0, (uint32_t)AT_FDCWD, UINT32_MAX \
	}

/* clang-format off */
static const struct sandbox_rule rules[] = {
	/* of everybody, and hot in a device */
	SB_CALL(epoll_wait),
	SB_CALL(read),
	SB_CALL(write),
	SB_FORM(io_uring_enter, SB_IS(3, 0), SB_IS(4, 0)),
	SB_FORM(io_uring_enter, SB_IS(3, IORING_ENTER_GETEVENTS), SB_IS(4, 0)),
	SB_RECVMSG,
	SB_SENDMSG,
	SB_RECVMMSG,
	SB_SENDMMSG,
	SB_PPOLL,
	SB_CALL(close),
	SB_FORM(accept4, SB_IS(1, 0), SB_IS(3, SOCK_CLOEXEC | SOCK_NONBLOCK)),
	SB_FORM(shutdown, SB_IS(1, SHUT_WR)),
	SB_CLOCK_MONOTONIC,
	SB_CLOCK_REALTIME, /* a PC's RTC */
	SB_RECV_PEEK,	   /* a TPM's response */

	/* the launcher: channels, a process, its ids and whether it runs; or its end */
	SB_FORM(socketpair, SB_IS(0, AF_UNIX), SB_IS(1, SOCK_STREAM | SOCK_CLOEXEC), SB_IS(2, 0)),
	SB_FORM(socketpair, SB_IS(0, AF_UNIX), SB_IS(1, SOCK_SEQPACKET | SOCK_CLOEXEC), SB_IS(2, 0)),
	SB_CALL(clone3), /* what it makes is in memory, out of a filter's sight */
	SB_FORM(openat, SB_IS(2, O_WRONLY | O_CLOEXEC)), /* below /proc, all that there is */
	SB_FORM(openat, SB_IS(2, O_RDONLY | O_CLOEXEC)),
	SB_FORM(sendto, SB_IS(3, MSG_NOSIGNAL), SB_IS(4, 0)),
	SB_FORM(recvfrom, SB_IS(3, 0), SB_IS(4, 0)),
	SB_FORM(pidfd_send_signal, SB_IS(1, SIGKILL), SB_IS(2, 0), SB_IS(3, 0)),

	/* the new process until its program runs: lib/sandbox/jail_child.c */
	SB_RECV,
	SB_CALL(setresgid),
	SB_CALL(setresuid),
	SB_FORM(mount, SB_IS(0, 0), SB_IS(3, MS_REC | MS_PRIVATE), SB_IS(4, 0)),
	SB_CALL_EQ(fsopen, 1, FSOPEN_CLOEXEC),
	SB_CALL_EQ(fsconfig, 1, FSCONFIG_SET_STRING),
	SB_CALL_EQ(fsconfig, 1, FSCONFIG_CMD_CREATE),
	SB_FORM(fsmount, SB_IS(1, FSMOUNT_CLOEXEC),
		SB_IS(2, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)),
	SB_CALL_EQ(move_mount, 4, MOVE_MOUNT_F_EMPTY_PATH),
	SB_CALL(fchdir),
	SB_CALL(pivot_root),
	SB_CALL_EQ(umount2, 1, MNT_DETACH),
	SB_CALL(chdir),
	SB_CALL_EQ(unshare, 0, CLONE_NEWCGROUP),
	SB_CALL_EQ(umask, 0, 0777),
	SB_CALL(sethostname),
	SB_CALL(setdomainname),
	SB_FORM(keyctl, SB_IS(0, KEYCTL_JOIN_SESSION_KEYRING), SB_IS(1, 0)),
	SB_CALL(setsid),
	SB_CALL(rt_sigaction),
	SB_CALL(rt_sigprocmask),
	FCNTL(F_DUPFD_CLOEXEC, JAIL_MAX_FDS),
	SB_CALL_EQ(close_range, 2, CLOSE_RANGE_CLOEXEC),
	SB_CALL(dup2),
	PRCTL(PR_CAP_AMBIENT),
	PRCTL(PR_CAPBSET_READ),
	PRCTL(PR_CAPBSET_DROP),
	PRCTL(PR_SET_SECUREBITS),
	PRCTL(PR_SET_DUMPABLE),
	PRCTL(PR_SET_NO_NEW_PRIVS),
	PRCTL(PR_GET_NO_NEW_PRIVS),
	SB_FORM(prctl, SB_IS(0, PR_SET_PDEATHSIG), SB_IS(1, SIGKILL)),
	SB_CALL(capget),
	SB_CALL(capset),
	SB_CALL_EQ(execveat, 4, AT_EMPTY_PATH),

	/* its program, until it has confined itself: the C library */
	SB_CALL(brk),
	SB_CALL_EQ(arch_prctl, 0, ARCH_SET_FS),
	SB_CALL(set_tid_address),
	SB_CALL(set_robust_list),
	SB_CALL(rseq),
	SB_CALL(readlink), /* of /proc/self/exe, which is not there */
	SB_CALL(access),   /* of /etc/suid-debug, likewise: after an exec that gave a label */
	SB_FORM(getrandom, SB_IS(2, 0)),
	SB_FORM(getrandom, SB_IS(2, GRND_NONBLOCK)),
	SB_CALL_EQ(mprotect, 2, PROT_READ),
	MMAP(MAP_PRIVATE | MAP_ANONYMOUS),
	/* a thread */
	MMAP(MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK),
	SB_CALL_EQ(mprotect, 2, PROT_READ | PROT_WRITE),
	SB_FUTEX,

	/* and its own preparations */
	SB_CALL(fstat),
	SB_CALL_EQ(newfstatat, 3, AT_EMPTY_PATH),
	SB_CALL_EQ(fcntl, 1, F_GETFD),
	SB_CALL_EQ(fcntl, 1, F_GETFL),
	FCNTL(F_SETFD, FD_CLOEXEC),
	SB_SET_NONBLOCK,
	FCNTL(F_SETFL, O_DIRECT),
	SB_GET_SEALS,
	SB_CALL_EQ(fcntl, 1, F_ADD_SEALS),
	SB_CALL_EQ(fcntl, 1, F_OFD_GETLK), /* of the launcher itself: who changes a disk's image */
	SB_CALL_EQ(close_range, 2, 0),
	SB_CALL_EQ(epoll_create1, 0, EPOLL_CLOEXEC),
	SB_EPOLL_CTL,
	SB_TIMERFD_CREATE,
	SB_TIMERFD_SETTIME,
	SB_EVENTFD,
	SB_CALL_EQ(eventfd2, 1, EFD_CLOEXEC | EFD_SEMAPHORE),
	SB_CALL_EQ(memfd_create, 1, MFD_CLOEXEC | MFD_ALLOW_SEALING),
	SB_CALL_EQ(memfd_create, 1, MFD_CLOEXEC), /* the filter of a thread */
	SB_CALL(pread64),
	SB_CALL(preadv), /* a disk's pool, where there is no io_uring */
	SB_CALL(pwritev),
	SB_CALL(fdatasync),
	SB_CALL(ftruncate),
	MMAP(MAP_SHARED),
	MMAP(MAP_SHARED | MAP_POPULATE),
	MMAP(MAP_PRIVATE), /* what firmware is told */
	SB_CALL(munmap),
	SB_CALL(mlock), /* keys: lib/tls/arena.c */
	SB_CALL(sysinfo), /* the C library's sort, at libssl's start */
	SB_CALL_EQ(madvise, 2, MADV_DONTDUMP),
	SB_IOCTL(BLKGETSIZE64),
	SB_IOCTL(BLKPBSZGET),
	SB_IOCTL(VHOST_SET_OWNER), /* once, by a process that is to have its rings served */
	SB_IOCTL(VHOST_GET_FEATURES),
	SB_IOCTL(VHOST_SET_FEATURES),
	SB_IOCTL(VHOST_SET_MEM_TABLE),
	SB_IOCTL(VHOST_SET_VRING_NUM),
	SB_IOCTL(VHOST_SET_VRING_BASE),
	SB_IOCTL(VHOST_SET_VRING_ADDR),
	SB_IOCTL(VHOST_SET_VRING_KICK),
	SB_IOCTL(VHOST_SET_VRING_CALL),
	SB_IOCTL(VHOST_SET_VRING_ERR),
	SB_IOCTL(VHOST_NET_SET_BACKEND),
	SB_IOCTL(VHOST_GET_VRING_BASE),
	SB_IOCTL(TUNSETOFFLOAD), /* of its tap */
	SB_IOCTL(TUNSETQUEUE),
	SB_CALL_EQ(fallocate, 1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
	SB_CALL(io_uring_setup), /* closed to all but its image before the guest is heard */
	SB_CALL(io_uring_register),
	SB_FORM(openat, AT_CWD, SB_IS(2, O_RDONLY | O_CLOEXEC | O_DIRECTORY)),
	SB_CALL(getdents64),
	SB_CALL(getpid),
	SB_CALL_EQ(prlimit64, 0, 0),
	SB_CALL(landlock_create_ruleset),
	SB_CALL(landlock_restrict_self),
	SB_CALL(seccomp),

	/* the end */
	SB_CALL(exit_group),
};
/* clang-format on */

static const struct sandbox_policy policy = {
	.name = "launcher",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	/* at least those of whatever it starts, which lowers them to its own */
	.limits = {
		.nofile = 1024,
		.nproc = 64,
		.as = SB_UNSET, /* a device's, which it inherits: `space` below */
		.fsize = SB_UNSET,
		.memlock = SB_UNSET,
	},
	.inherited = true,
	.capabilities = 1U << CAP_SETUID | 1U << CAP_SETGID, /* what ids a new process has */
};

static const struct fd_row fds[] = {
	{ LAUNCHER_FD_SUPERVISOR, FD_SOCKET, false, "its requests, and the answers" },
	{ LAUNCHER_FD_PROC, FD_ANY, false, "/proc, for a new process's ids and label" },
	{ LAUNCHER_FD_GROUP, FD_ANY, true, "the VM's control group" },
};

static const struct declared_held held[] = {
	{ "anon_inode:[pidfd]", 0, "the processes that it may start again" },
	{ "pidfd:", 0, "the processes that it may start again" },
	{ "socket:", 3 * KIND_LINKS_MAX + 1,
	  "streams of network cards, and where clients of a vsock connect, for the next processes of theirs" },
	{ "/dev/net/tun", KIND_LINK_FDS_MAX, "taps of network cards, likewise" },
};

static const struct declared_gain gains[] = {
	{ "the executables and images of one VM's devices", NULL,
	  "what they are started with, again or when one is attached; it has read bounded messages alone" },
	{ "the streams and taps of network cards", NULL,
	  "a dev-net or net-relay that is started again goes on with its own, and one that is attached gets what its "
	  "user's command sent; to their other ends it is as hostile" },
	{ "the socket that a vsock's clients connect to", NULL,
	  "a dev-vsock that is started again goes on with it; they talk to a guest, whoever it is" },
	{ "new processes", NULL,
	  "in the ids of that VM only, with a filter that none of them can leave; the VM's "
	  "limits hold them" },
	{ "a new note of how far an image may grow", NULL,
	  "once each time that its user's command has made the image larger and shown its file, open for "
	  "both; what a disk's own process writes moves no bound" },
	{ "what anybody may read below /proc", NULL,
	  "a new process gets its ids there; nothing there is its to write but its children's" },
};

const struct declared_process launcher_declared = {
	.name = "launcher",
	.program = "supervisor",
	.job = "starts a device's process: one that has died, or that is attached",
	.hostile = "requests of the supervisor, one bounded message each",
	.place = DECLARED_LAUNCHER,
	.domain = SELINUX_LAUNCHER,
	.policy = &policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.given_from = LAUNCHER_FD_GIVEN,
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.space = DECLARED_DEVICE_SPACE,
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
