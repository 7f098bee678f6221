/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox, the supervisor's half: starts a process by exec in fresh user, mount, pid,
 * network, ipc, uts and cgroup namespaces with an empty, read-only root, no capabilities,
 * no_new_privs, an id of its own and a fixed descriptor table. Its executable is static,
 * so that nothing needs to be reachable by a path.
 *
 * Order: jail_ids_take and jail_host_open (while paths can be reached), jail_host_enter (a user namespace of the
 * supervisor's own), jail_begin for each process, jail_finish for each: between the two the
 * processes set themselves up side by side. Then jail_host_leave and jail_host_close.
 */
#ifndef BULKHEAD_SANDBOX_JAIL_H
#define BULKHEAD_SANDBOX_JAIL_H

#include "lib/sandbox/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define JAIL_MAX_FDS 192

/*
 * What starting jailed processes needs of the host. The supervisor becomes the first of its ids,
 * process i is base + i; or all are the user.
 */
struct jail_host {
	int proc_fd;	  /* /proc */
	int null_fd;	  /* /dev/null */
	int userns_fd;	  /* that has the ids, or -1 */
	uid_t base;	  /* first id */
	uint32_t n_ids;	  /* 1, JAIL_N_IDS or JAIL_IDS_MAX */
	int cgroup_fd;	  /* the group that processes are born in (cgroup.h), or -1; not owned */
	uid_t owner;	  /* the id, as seen from inside, of the user who started this process */
	uint64_t ignored; /* signals, a bit each from 1 on; processes have none */
	bool for_parent;  /* processes are the parent's children, who reaps them: the launcher's */
};

#define JAIL_HOST_NONE \
	((struct jail_host){ .proc_fd = -1, .null_fd = -1, .userns_fd = -1, .cgroup_fd = -1 })

/* Takes the namespace of ids; their claim stays the caller's, to be held open as long as anything
 * runs. 0 or a negative errno, *ret_what (may be NULL) names the step. */
[[nodiscard]] int jail_host_open(struct jail_host *h, struct jail_ids *ids, const char **ret_what);
/*
 * Moves the calling process, which must have one thread, into user, mount, ipc and uts namespaces of
 * its own with an empty root, with a core-scheduling cookie and no page that the kernel merges with
 * others' (where it does either), and a cgroup namespace unless its processes have a group: that waits for
 * jail_host_leave, as they could not be born in a group outside of it; where it has ids it takes them, gives up all
 * groups, and loses all power over anything else. From here on no path can be reached, save through
 * descriptors. It keeps all capabilities in its own namespace: sandbox_confine_self drops them. It ignores
 * no other signal afterwards. As jail_host_open.
 *
 * The user who started it is seen as the id `owner` inside (JAIL_ID_OWNER of ids.h). It is there so
 * that SO_PEERCRED can tell who connects; where there are ids, nothing takes that one.
 */
[[nodiscard]] int jail_host_enter(struct jail_host *h, const char **ret_what);
/* Once no process is to be started any more: the cgroup namespace, if it had to wait. */
[[nodiscard]] int jail_host_leave(const struct jail_host *h);
void jail_host_close(struct jail_host *h);
/* The id of process i, counted from 1. */
uid_t jail_id(const struct jail_host *h, unsigned int i);

struct jail_fd {
	int from; /* in the supervisor; stays open there */
	int to;	  /* in the process; 3 and up, below JAIL_MAX_FDS */
};

struct jail_spec {
	const char *name;
	int exe_fd;	   /* a static executable, opened O_PATH or O_RDONLY */
	char *const *argv; /* NULL-terminated; the environment is empty */
	const struct jail_fd *fds;
	size_t n_fds;	   /* 0, 1 and 2 become /dev/null */
	uid_t id;	   /* user and group; mapped to itself inside */
	const char *label; /* that exec gives (selinux.h), or NULL */
};

struct jail_process {
	pid_t pid;	 /* as the supervisor counts */
	int pidfd;	 /* -1 when not running */
	int status_fd;	 /* between jail_begin and jail_finish, else -1 */
	bool for_parent; /* as of jail_host */
};

#define JAIL_PROCESS_NONE ((struct jail_process){ .pidfd = -1, .status_fd = -1 })

/*
 * Starts one process without waiting for it. The child runs no hostile byte before exec. 0, or
 * a negative errno with *ret_what (may be NULL) naming the step; then nothing was left running, but
 * for the parent *ret may have a pidfd of a child to be reaped.
 */
[[nodiscard]] int jail_begin(const struct jail_host *h, const struct jail_spec *spec,
			     struct jail_process *ret, const char **ret_what);
/*
 * Waits until the process's executable runs. On failure, which is as for jail_begin, the child
 * is gone and *p is JAIL_PROCESS_NONE, but for the pidfd of one that the parent reaps.
 */
[[nodiscard]] int jail_finish(struct jail_process *p, const char **ret_what);
/* Kills and reaps what still runs, and closes; what its parent reaps is killed only, and *p keeps its
 * pidfd. Harmless on JAIL_PROCESS_NONE. */
void jail_kill(struct jail_process *p);
/*
 * Reaps a process whose pidfd is readable. 1 with *ret_status as waitpid's; 0 when it still runs; or a
 * negative errno. The pidfd stays until jail_forget, as it may be in an event loop: closing it alone would
 * leave it there, if another process has it too.
 */
[[nodiscard]] int jail_reap(const struct jail_process *p, int *ret_status);
/* Closes what is held of one that was reaped, and makes it JAIL_PROCESS_NONE. */
void jail_forget(struct jail_process *p);

#endif
