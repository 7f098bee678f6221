/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-net may still ask of the kernel once it faces the guest; net_declared is the whole. */
#ifndef BULKHEAD_DEV_NET_POLICY_H
#define BULKHEAD_DEV_NET_POLICY_H

#include "lib/kinds/kind.h"

enum {
	NET_FD_VHOST_USER = 4,
	NET_FD_STATE = 5,
	NET_FD_LINK = 6,
	NET_FD_TAP = 7 /* and up, one for each pair of queues */
};

#define NET_STATE_NAME "net-link"
#define NET_STATE_SIZE ((512U << 10) + 4096)

extern const struct sandbox_policy net_policy;
extern const struct declared_process net_declared;
extern const struct device_kind net_kind; /* kind.c */

#endif
