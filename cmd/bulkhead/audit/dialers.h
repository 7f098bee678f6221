/* SPDX-License-Identifier: Apache-2.0 */
/* Dialers of disks that were attached: their user's command has started them, so that they are no children of the
 * supervisor. Each calls itself after it, before it confines itself, and cannot do so again. */
#ifndef BULKHEAD_CMD_BULKHEAD_AUDIT_DIALERS_H
#define BULKHEAD_CMD_BULKHEAD_AUDIT_DIALERS_H

#include <stddef.h>
#include <sys/types.h>

/* How many, at most max, or a negative errno. */
[[nodiscard]] int dialers_find(pid_t supervisor, pid_t *ret, size_t max);

#endif
