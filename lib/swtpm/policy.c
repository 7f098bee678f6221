/* SPDX-License-Identifier: Apache-2.0 */
/* The filter and the limits of an swtpm, from its program's first instruction on: measured with swtpm 0.7.1 and glibc 2.36. */
#include "lib/swtpm/internal.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/forms.h"

#include <linux/landlock.h>

/* Code is a library's file, and never writable. */
#define MAP_OF(prot, flags) SB_FORM(mmap, SB_IS(2, prot), SB_IS(3, flags))

/* clang-format off */
static const struct sandbox_rule rules[] = {
	/* commands */
	SB_CALL(poll),
	SB_CALL(read),
	SB_CALL(write),
	SB_CALL(writev),
	SB_RECVMSG,
	SB_FORM(recvmsg, SB_IS(2, 0)),
	SB_SENDMSG,
	SB_CALL(clock_gettime),
	SB_CALL(getrandom),
	SB_FUTEX,

	/* files: the names that there are in its root */
	SB_CALL(openat),
	SB_CALL(close),
	SB_CALL(fstat),
	SB_CALL(newfstatat),
	SB_CALL(lseek),
	SB_CALL(pread64),
	SB_CALL(fchmod),
	SB_CALL(fsync),
	SB_CALL(ftruncate),
	SB_CALL(rename),
	SB_CALL(unlink),
	SB_CALL(access),
	SB_FORM(fcntl, SB_IS(1, F_SETLK)),
	SB_FORM(fcntl, SB_IS(1, F_GETFL)),
	SB_FORM(fcntl, SB_IS(1, F_GETFD)),
	SB_FORM(fcntl, SB_IS(1, F_SETFD)),

	/* its program and libraries; memory */
	SB_FORM(execveat, SB_IS(0, SWTPM_FD_PROGRAM), SB_IS(4, AT_EMPTY_PATH)),
	SB_CALL(brk),
	MAP_OF(PROT_READ, MAP_PRIVATE),
	MAP_OF(PROT_READ, MAP_PRIVATE | MAP_DENYWRITE),
	MAP_OF(PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE),
	MAP_OF(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE),
	MAP_OF(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_DENYWRITE),
	MAP_OF(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE),
	MAP_OF(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS),
	MAP_OF(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS),
	MAP_OF(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE),
	SB_CALL_EQ(mprotect, 2, PROT_READ),
	SB_CALL_EQ(mprotect, 2, PROT_READ | PROT_WRITE),
	SB_CALL_EQ(mprotect, 2, PROT_NONE),
	SB_CALL(munmap),
	SB_CALL(mremap),
	SB_CALL(madvise),

	/* the C library's and GLib's beginning */
	SB_CALL(arch_prctl),
	SB_CALL(set_tid_address),
	SB_CALL(set_robust_list),
	SB_CALL(rseq),
	SB_FORM(prlimit64, SB_IS(0, 0), SB_IS(2, 0)), /* asks */
	SB_CALL(sysinfo),
	SB_CALL(sched_getaffinity),
	SB_CALL(uname),
	SB_CALL(getpid),
	SB_CALL(getuid),
	SB_CALL(geteuid),
	SB_CALL(getgid),
	SB_CALL(getegid),
	SB_CALL(umask),
	SB_CALL(pipe2),
	SB_CALL(rt_sigaction),
	SB_CALL(rt_sigprocmask),
	SB_CALL(rt_sigreturn),
	SB_CALL(exit_group),
};
/* clang-format on */

const struct sandbox_policy swtpm_policy = {
	.name = "swtpm",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = SWTPM_NOFILE,
		    .nproc = SB_UNSET, /* it has no call that starts any */
		    .as = MIB(256),
		    .fsize = MIB(1),
		    .memlock = 0 },
	.beneath = { .rights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
			       LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE |
			       LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE },
};
