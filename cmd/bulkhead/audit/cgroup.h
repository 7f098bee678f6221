/* SPDX-License-Identifier: Apache-2.0 */
/* A process's control groups, version 1 and 2, and the limits that they set. */
#ifndef BULKHEAD_CMD_BULKHEAD_AUDIT_CGROUP_H
#define BULKHEAD_CMD_BULKHEAD_AUDIT_CGROUP_H

#include "cmd/bulkhead/audit/facts.h"

/* dir: the process's directory in /proc. What there is not stays empty. */
void cgroup_read(int dir, struct facts_cgroup *ret);

#endif
