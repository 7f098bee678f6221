/* SPDX-License-Identifier: Apache-2.0 */
/* Of which family a process's sockets are, by the kernel's lists of them. */
#ifndef BULKHEAD_CMD_BULKHEAD_AUDIT_SOCKETS_H
#define BULKHEAD_CMD_BULKHEAD_AUDIT_SOCKETS_H

#include "cmd/bulkhead/audit/facts.h"

/*
 * Sets the family of each socket among the process's descriptors that is in a list: of this command's
 * network namespace, of the process's, or of its parent's, who may have made them. A socket that was
 * closed meanwhile is forgotten: the auditor's own to the supervisor is one. dir: the process's
 * directory in /proc.
 */
void sockets_read(int dir, struct facts *f);

#endif
