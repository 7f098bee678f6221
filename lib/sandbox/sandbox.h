/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox, the jailed process's half. The supervisor's half is lib/sandbox/jail.h.
 *
 * sandbox_enter checks that the jail is closed (no capability in any set, no_new_privs, empty
 * root, pid 1), then makes the process non-dumpable, sets its resource limits, enters a Landlock
 * domain that allows nothing, and installs its seccomp filter. Anything missing is an error, and the caller must exit: there is no fallback
 * that runs unconfined. Landlock alone is taken as far as the kernel has it (lib/sandbox/guarantee.h
 * says how far): all of its rights on paths, TCP ports, and the scopes of signals and abstract
 * sockets.
 *
 * A policy is data beside each process's main. Its system calls are an allowlist; everything
 * else traps, the trap handler tells the supervisor the number over the control channel
 * (CTL_DENIED) and dies by a call that the filter answers with KILL_PROCESS. The refused call never
 * runs, and the handler cannot be replaced: no policy allows rt_sigaction. A call of another
 * architecture (i386, x32) kills at once.
 *
 * Two calls are allowed by every filter, named or not, and counted: sendmsg on the control channel
 * with MSG_NOSIGNAL (the handler's report), and restart_syscall, which the kernel itself makes after a stop to go on
 * with a call that was allowed already.
 */
#ifndef BULKHEAD_SANDBOX_SANDBOX_H
#define BULKHEAD_SANDBOX_SANDBOX_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum sandbox_cmp {
	SB_NONE = 0,
	SB_EQ,	      /* argument == value */
	SB_MASKED_EQ, /* (argument & mask) == value */
	SB_NO_BITS,   /* (argument & value) == 0 */
	SB_OWN_PID,   /* argument == the process's id, as it sees itself */
};

struct sandbox_arg {
	enum sandbox_cmp cmp;
	unsigned int index; /* 0 to 5 */
	uint64_t value;
	uint64_t mask;
};

#define SANDBOX_MAX_ARGS 3

/* One allowed call. Several rows of one number allow any of them (ioctl requests). */
struct sandbox_rule {
	int nr;					   /* __NR_... */
	struct sandbox_arg args[SANDBOX_MAX_ARGS]; /* all must hold; ends at SB_NONE */
};

/* clang-format off */
#define SB_CALL(name) { .nr = __NR_##name }
#define SB_CALL_EQ(name, i, v) { .nr = __NR_##name, .args = { { SB_EQ, (i), (v), 0 } } }
#define SB_CALL_OWN_PID(name, i) { .nr = __NR_##name, .args = { { SB_OWN_PID, (i), 0, 0 } } }
#define SB_IOCTL(request) { .nr = __NR_ioctl, .args = { { SB_EQ, 1, (uint32_t)(request), 0 } } }
/* clang-format on */

/* Hard limits, set as soft and hard alike; SB_UNSET leaves one alone. CORE is always 0. */
#define SB_UNSET ((uint64_t)-1)

struct sandbox_limits {
	uint64_t nofile;  /* descriptor numbers */
	uint64_t nproc;	  /* tasks of this uid in this user namespace */
	uint64_t as;	  /* bytes of address space */
	uint64_t fsize;	  /* bytes a file may grow to by this process */
	uint64_t memlock; /* bytes */
};

/* What Landlock leaves: rights (LANDLOCK_ACCESS_FS_*) below a directory; 0: nothing. */
struct sandbox_beneath {
	int fd;
	uint64_t rights;
};

/* To open a device file for both, and ask it whatever it knows. What a kernel does not restrict is not asked of it. */
#define SANDBOX_OPEN_DEVICE \
	(1ULL << 1 | 1ULL << 2 | 1ULL << 15) /* WRITE_FILE, READ_FILE, IOCTL_DEV */

struct sandbox_policy {
	const char *name;		  /* "dev-blk", "vmm", "vmm:vcpu" */
	const struct sandbox_rule *rules; /* the hot ones first: the filter looks in this order */
	size_t n_rules;
	struct sandbox_limits limits;
	bool has_children; /* that it signals: Landlock's scopes were entered before they were made */
	/*
	 * Starts processes, which inherit its filter and Landlock domain and set themselves up in them. What it
	 * refuses is answered with a trap, which kills here, and has those processes' own handler tell of it;
	 * and it has no paths in its Landlock domain, which nobody could change its root in.
	 */
	bool inherited;
	bool connects; /* to addresses that its filter names: Landlock keeps no port from it */
	uint64_t capabilities; /* that are left, a bit each: in a user namespace of the VM's own, or of who hears nobody */
	struct sandbox_beneath beneath; /* outside a jail only */
};

/* A filter, ready to be loaded: what threads are started with. */
struct sandbox_filter {
	unsigned short len; /* instructions */
	struct sock_filter code[1024];
};

/*
 * The policy's filter. control_fd is that of sandbox_enter: what is not allowed traps; or -1, as of
 * sandbox_confine_self: it kills at once. Allocates nothing. 0; -EINVAL: a row that compares what
 * there is not, or that takes the trap handler's place; -E2BIG: too long.
 */
[[nodiscard]] int sandbox_make_filter(const struct sandbox_policy *p, int control_fd,
				      struct sandbox_filter *ret);

/* Distinct system calls that the policy's filter allows. */
[[nodiscard]] size_t sandbox_count_calls(const struct sandbox_policy *p);

/*
 * Confines the calling process for ever. control_fd is where the trap handler reports. Threads
 * that exist already are covered neither by the filter nor by Landlock (each enters its own with
 * sandbox_enter_thread); the rest applies to the whole process.
 * 0, or a negative errno with *ret_what (may be NULL) naming what could not be had, for example
 * "an empty root".
 */
[[nodiscard]] int sandbox_enter(const struct sandbox_policy *p, int control_fd,
				const char **ret_what);

/* A filter for other threads. The trap handler must be there already (sandbox_trap_install); -EINVAL
 * otherwise. */
[[nodiscard]] int sandbox_prepare_thread(const struct sandbox_policy *p,
					 struct sandbox_filter *ret);
/* Landlock and the filter, for the calling thread alone. Allocates nothing. */
[[nodiscard]] int sandbox_enter_thread(const struct sandbox_filter *f);
/* A second one on top of it, which allows less; the first must allow to load it (SB_NARROW of forms.h). */
[[nodiscard]] int sandbox_narrow_thread(const struct sandbox_filter *f);
/* Installs the trap handler early, and sees to it that threads share one heap: before there are any.
 * sandbox_enter does both itself otherwise. */
[[nodiscard]] int sandbox_trap_install(int control_fd);

/*
 * For processes that live outside a jail (the supervisor once it has started everything, its launcher,
 * the command while it relays): drops every capability but the policy's, sets no_new_privs, makes the process
 * non-dumpable, sets the limits, enters a Landlock domain that allows nothing, and installs the
 * filter. There is nobody to report to, so a call that is not allowed kills at once (SIGSYS). As
 * sandbox_enter.
 */
[[nodiscard]] int sandbox_confine_self(const struct sandbox_policy *p, const char **ret_what);

/*
 * Puts signals to, and abstract sockets of, every process out of reach that is not this one or made
 * by it from now on, where the kernel has Landlock's scopes: for a process whose policy has
 * children, before it makes them. It takes no_new_privs or CAP_SYS_ADMIN in the own user
 * namespace. Who may connect to this process is not changed.
 */
[[nodiscard]] int sandbox_scope_self(void);

/* The version of the kernel's Landlock, or 0. */
int sandbox_landlock_abi(void);

/* The name of a system call, or "unknown", cut at cap bytes. Allocates and frees. */
void sandbox_call_name(int nr, char *out, size_t cap);

#endif
