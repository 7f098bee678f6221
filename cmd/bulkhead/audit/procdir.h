/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a process's directory in /proc. The open directory stays this process's, even if its id
 * comes into use again. */
#ifndef BULKHEAD_CMD_BULKHEAD_AUDIT_PROCDIR_H
#define BULKHEAD_CMD_BULKHEAD_AUDIT_PROCDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* An O_PATH descriptor, or a negative errno. */
[[nodiscard]] int procdir_open(pid_t pid);
/* A whole file as text of its own, ended by a NUL, or NULL with errno. The caller frees it. */
[[nodiscard]] char *procdir_read(int dir, const char *name);
/* A link's text, printable, cut. 0 or a negative errno. */
[[nodiscard]] int procdir_link(int dir, const char *name, char *ret, size_t cap);
/* Calls fn for each entry of a directory whose name is a number, until it returns non-zero, which is
 * returned. 0 or a negative errno. */
[[nodiscard]] int procdir_each(int dir, const char *name, int (*fn)(void *owner, int number),
			       void *owner);

#endif
