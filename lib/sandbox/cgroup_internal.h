/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the control groups share. */
#ifndef BULKHEAD_SANDBOX_CGROUP_INTERNAL_H
#define BULKHEAD_SANDBOX_CGROUP_INTERNAL_H

#include <stddef.h>

/* A small file's text, NUL-terminated, cut at cap - 1 bytes. 0 or a negative errno. */
[[nodiscard]] int cgroup_text(int dir, const char *name, char *text, size_t cap);

/* The group of a process ("self", or its number), as a path below the mount. -ENOENT: none that is seen. */
[[nodiscard]] int cgroup_path_of(const char *who, char *path, size_t cap);

#endif
