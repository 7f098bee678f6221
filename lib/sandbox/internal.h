/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lib/sandbox share. */
#ifndef BULKHEAD_SANDBOX_INTERNAL_H
#define BULKHEAD_SANDBOX_INTERNAL_H

#include "lib/sandbox/jail.h"
#include "lib/sandbox/sandbox.h"

#include <stdbool.h>
#include <sys/syscall.h>

/*
 * The call that the trap handler dies by, answered with KILL_PROCESS. No kernel since 2.6 has had
 * it, so that a policy can have no use for it. (restart_syscall would not do: the kernel makes it
 * by itself when a stopped process goes on.)
 */
#define SANDBOX_DEATH_CALL __NR_create_module

/* One heap for all threads, for ever: before the first other thread, and before a limit of address
 * space is set. */
void heap_settle(void);

/* The descriptor that the trap handler reports on, or -1 before sandbox_trap_install. */
int trap_control_fd(void);

/*
 * Puts the calling thread, for ever, into a Landlock domain that allows nothing of what is named:
 * as much of it as this kernel knows, which may be nothing. The caller has no_new_privs or
 * CAP_SYS_ADMIN in its user namespace. Scopes: signals to, and abstract sockets of, processes
 * outside this domain and those made inside it.
 */
enum landlock_what { LANDLOCK_PATHS = 1, LANDLOCK_PORTS = 2, LANDLOCK_SCOPES = 4 };
#define LANDLOCK_ALL (LANDLOCK_PATHS | LANDLOCK_PORTS | LANDLOCK_SCOPES)
[[nodiscard]] int landlock_enter(unsigned int what);
/* The same, with an exception. */
[[nodiscard]] int landlock_enter_but(unsigned int what, const struct sandbox_beneath *beneath);

[[nodiscard]] int limits_set(const struct sandbox_limits *l);

/* Empties every capability set for ever; the bounding set too, unless the process never had the
 * right to (then no_new_privs makes it void). */
[[nodiscard]] int caps_drop_all(void);
/* The same but for these in the permitted and effective sets, a bit each. */
[[nodiscard]] int caps_keep_only(uint64_t capabilities);
/* Whether every capability set of this process is empty. */
[[nodiscard]] bool caps_are_empty(void);

/* Replaces the root directory of the calling process, which has CAP_SYS_ADMIN in its mount
 * namespace, by an empty read-only one, and detaches all else. */
[[nodiscard]] int root_make_empty(void);

/*
 * userns.c: a user namespace that nobody is in, with the ids' map: base and on to themselves outside,
 * for gids to first_gid and on, owner to the caller's own. A descriptor or a negative errno; the
 * second says in `why` what the matter was, but for the last step's.
 */
[[nodiscard]] int userns_make_by_root(const struct jail_ids *ids);
[[nodiscard]] int userns_make_by_helpers(const struct jail_ids *ids, gid_t first_gid, char *why,
					 size_t cap);

/* Writes a file of a process's directory in /proc, which proc_fd is. */
[[nodiscard]] int proc_write(int proc_fd, pid_t pid, const char *name, const char *text);
/* Writes a process's uid and gid maps (one text for both) and forbids it setgroups. */
[[nodiscard]] int ids_map(int proc_fd, pid_t pid, const char *map);

/* The child of jail_begin, from its first instruction to exec. status is its end of the status
 * socket; exits with 127 on failure. */
void jail_child(const struct jail_host *host, const struct jail_spec *spec, int status)
	__attribute__((noreturn));

/* What the child says on the status socket when a step fails. */
struct jail_failure {
	int error; /* negative errno */
	int step;  /* index of jail_steps */
};

/* The name of a step of jail_child, or NULL. */
const char *jail_step_name(int step);

#endif
