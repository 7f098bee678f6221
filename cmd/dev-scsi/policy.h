/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-scsi may still ask of the kernel once it faces the guest; scsi_declared is the whole. */
#ifndef BULKHEAD_DEV_SCSI_POLICY_H
#define BULKHEAD_DEV_SCSI_POLICY_H

#include "lib/diskkit/policy.h"
#include "lib/kinds/kind.h"

enum { SCSI_FD_VHOST_USER = 4, SCSI_FD_STATE = DISK_FD_REDO + 1 };

/* The file behind SCSI_FD_STATE. */
#define SCSI_STATE_NAME "scsi-state"   /* as maps and audits show it */
#define SCSI_STATE_SIZE UINT64_C(4096) /* bytes */

extern const struct sandbox_policy scsi_policy;
extern const struct declared_process scsi_declared;
extern const struct device_kind scsi_kind; /* kind.c */

#endif
