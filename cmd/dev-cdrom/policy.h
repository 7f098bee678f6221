/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-cdrom may still ask of the kernel once it faces the guest; cdrom_declared is the whole. */
#ifndef BULKHEAD_DEV_CDROM_POLICY_H
#define BULKHEAD_DEV_CDROM_POLICY_H

#include "lib/diskkit/policy.h"
#include "lib/kinds/kind.h"

enum { CDROM_FD_VHOST_USER = 4, CDROM_FD_STATE = DISK_FD_IMAGE + 1 };

/* The file behind CDROM_FD_STATE. */
#define CDROM_STATE_NAME "cdrom-state"	/* as maps and audits show it */
#define CDROM_STATE_SIZE UINT64_C(4096) /* bytes */

extern const struct sandbox_policy cdrom_policy;
extern const struct declared_process cdrom_declared;
extern const struct device_kind cdrom_kind; /* kind.c */

#endif
