/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of /proc, decoded. Pure: no I/O. The kernel writes them, but names in them (of tasks,
 * files, mappings) are chosen by whoever is looked at: HOSTILE.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_AUDIT_PROCFS_H
#define BULKHEAD_CMD_BULKHEAD_AUDIT_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum { CAPS_INHERITABLE, CAPS_PERMITTED, CAPS_EFFECTIVE, CAPS_BOUNDING, CAPS_AMBIENT, N_CAPS };

/* /proc/PID/task/TID/status */
struct proc_status {
	char name[20]; /* printable */
	pid_t tgid;
	pid_t ppid;
	uint32_t uid[4]; /* real, effective, saved, of file systems */
	uint32_t gid[4];
	unsigned int n_groups;
	unsigned int pid_depth; /* process namespaces that it is in, seen from here: 1 and up */
	pid_t inner_pid;	/* its id in the innermost one */
	uint64_t caps[N_CAPS];
	int no_new_privs;
	int seccomp;   /* mode; 2 is a filter */
	int n_filters; /* -1: this kernel does not tell */
};

/* One row of /proc/PID/maps. */
struct proc_map {
	bool read, write, execute, shared;
	char name[256]; /* printable, cut */
};

struct proc_limit {
	uint64_t soft, hard; /* UINT64_MAX: unlimited */
};

/* 0, or -EBADMSG when something is missing. Texts end with a NUL. */
[[nodiscard]] int procfs_status(const char *text, struct proc_status *ret);
/* The flags of the task out of /proc/PID/stat (PF_…). As procfs_status. */
[[nodiscard]] int procfs_flags(const char *text, uint32_t *ret);
/* /proc/PID/limits, by RLIMIT_ number; what the text lacks is unlimited. */
void procfs_limits(const char *text, struct proc_limit ret[RLIM_NLIMITS]);
/* One line without its end. As procfs_status. */
[[nodiscard]] int procfs_map(const char *line, struct proc_map *ret);
/*
 * The path of a controller ("memory", "" for version 2) out of /proc/PID/cgroup, cut at cap. False
 * if it is not in it.
 */
[[nodiscard]] bool procfs_cgroup(const char *text, const char *controller, char *ret, size_t cap);

/* The number in a column, counted from 0, of a line of /proc/net. As procfs_status. */
[[nodiscard]] int procfs_column(const char *line, unsigned int column, uint64_t *ret);

/* Copies what can be shown on any terminal, '?' for the rest, cut at cap. */
void procfs_printable(const char *text, char *ret, size_t cap);

#endif
