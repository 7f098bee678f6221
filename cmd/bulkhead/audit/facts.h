/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says of a process, and of each of its threads. What /proc does not show to this
 * user is marked as unseen, never guessed.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_AUDIT_FACTS_H
#define BULKHEAD_CMD_BULKHEAD_AUDIT_FACTS_H

#include "cmd/bulkhead/audit/procfs.h"
#include "lib/surface/surface.h"

enum {
	NS_USER,
	NS_MNT,
	NS_PID,
	NS_NET,
	NS_IPC,
	NS_UTS,
	NS_CGROUP,
	NS_TIME,
	N_NAMESPACES,
};

extern const char *const facts_ns_names[N_NAMESPACES];

/* What could not be seen. */
enum facts_unseen {
	UNSEEN_EXE = 1,
	UNSEEN_NAMESPACES = 2,
	UNSEEN_ROOT = 4,
	UNSEEN_FDS = 8,
	UNSEEN_MAPS = 16,
	UNSEEN_DUMPABLE = 32,
	UNSEEN_FILTERS = 64, /* deep only */
};

struct facts_fd {
	int fd;
	mode_t type; /* S_IFMT; 0 for an anonymous inode */
	uint64_t inode;
	const char *family; /* of a socket: "unix", "tcp", …; NULL: unknown, or no socket */
	bool in_cgroup;	    /* it is of a cgroup v2 hierarchy, wherever that is mounted */
	char link[256];	    /* printable, cut */
};

/* A call that a thread's filters let through. */
struct facts_call {
	enum surface_table table;
	uint32_t nr;
	unsigned int takes; /* enum call_takes; of SURFACE_X86_64 alone */
	struct surface_call call;
};

struct facts_surface {
	struct surface_filters filters;
	struct facts_call *calls;
	size_t n_calls;
	bool bounded; /* some filter is too intricate to be tried in full */
};

struct facts_thread {
	pid_t tid;
	struct proc_status status;
	bool worker; /* the kernel's own, of io_uring or KVM: it never runs code of the process */
	struct facts_surface *surface; /* deep only, or NULL */
};

struct facts_root {
	bool empty;
	bool mine; /* it is that of this command */
	bool read_only;
	unsigned int n_mounts;
};

/* Limits as the files say them, "" where there are none. */
struct facts_cgroup {
	char v1[128]; /* of the memory controller */
	char v2[128];
	char memory[32], cpu[48], pids[32], io[64]; /* io: of the first device */
	char used[32];				    /* bytes of memory now; version 2 alone */
};

struct facts {
	pid_t pid;
	char name[32]; /* of its executable; if that is unseen, as it calls itself */
	unsigned int unseen;
	struct facts_thread *threads; /* the main one first */
	size_t n_threads;
	struct facts_fd *fds;
	size_t n_fds;
	struct proc_map *maps;
	size_t n_maps;
	struct proc_limit limits[RLIM_NLIMITS];
	uint64_t ns[N_NAMESPACES]; /* inodes; 0: this kernel has none such */
	struct facts_root root;
	struct facts_cgroup cgroup;
	char label[128]; /* of SELinux or AppArmor; "" if there is none */
	bool dumpable;
	uint64_t core_cookie; /* of core scheduling */
	bool has_core_sched;  /* the kernel has it */
	uint64_t stopped_ns;  /* deep only: the longest that a thread stood still */
};

/*
 * Reads everything of one process. 0, or a negative errno: -ESRCH when it is gone, or goes while it
 * is looked at. *ret is then empty.
 */
[[nodiscard]] int facts_read(pid_t pid, struct facts *ret);
void facts_free(struct facts *f);
/*
 * Whether the process still runs. To be asked after everything was read: what one that ends does not
 * show would look like rights that are missing.
 */
[[nodiscard]] bool facts_still_true(const struct facts *f);
void facts_free_surface(struct facts_surface *s);
/* The children of a process, at most max: how many, or a negative errno. */
[[nodiscard]] int facts_children(pid_t pid, pid_t *ret, size_t max);
/* Of this command, for comparison: namespaces only. */
void facts_own_namespaces(uint64_t ret[N_NAMESPACES]);

#endif
