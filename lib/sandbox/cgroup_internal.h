/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the control groups share. */
#ifndef BULKHEAD_SANDBOX_CGROUP_INTERNAL_H
#define BULKHEAD_SANDBOX_CGROUP_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#define CGROUP_ALL "bulkhead" /* of a place: what VMs' groups are in */

/* A small file's text, NUL-terminated, cut at cap - 1 bytes. 0 or a negative errno. */
[[nodiscard]] int cgroup_text(int dir, const char *name, char *text, size_t cap);

/* The group of a process ("self", or its number), as a path below the mount. -ENOENT: none that is seen. */
[[nodiscard]] int cgroup_path_of(const char *who, char *path, size_t cap);

/* cgroup.c: a directory, or a negative errno. */
[[nodiscard]] int cgroup_open_dir(int at, const char *name);

/* cgroup_limit.c: writes one of a group's small files. 0 or a negative errno. */
[[nodiscard]] int cgroup_put(int dir, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What a group may use, by the controllers that there are; each as in struct cgroup_limits. */
[[nodiscard]] int cgroup_limit_group(int dir, unsigned int have, uint64_t memory, uint64_t tasks,
				     uint64_t cpu_percent);

#endif
