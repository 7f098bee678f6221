/* SPDX-License-Identifier: Apache-2.0 */
/* Where the other programs are. */
#ifndef BULKHEAD_CMD_BULKHEAD_PROGRAMS_H
#define BULKHEAD_CMD_BULKHEAD_PROGRAMS_H

#include <stddef.h>

/* Beside this executable in a build tree, in libexec when installed. 0; -ENOENT: nowhere, or an error. */
[[nodiscard]] int program_find(const char *name, char *path, size_t cap);

#endif
