/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-vhost-net may still ask of the kernel once it faces the guest; vhost_net_declared is the whole. */
#ifndef BULKHEAD_DEV_VHOST_NET_POLICY_H
#define BULKHEAD_DEV_VHOST_NET_POLICY_H

#include "lib/kinds/kind.h"

enum {
	VHOST_NET_FD_VHOST_USER = 4,
	VHOST_NET_FD_STATE = 5,
	VHOST_NET_FD_OPENER = 6, /* until it has what it needs */
	VHOST_NET_FD_TAP = 7	 /* and up, one for each pair of queues: as dev-net's */
};

#define VHOST_NET_STATE_NAME "net-set"
#define VHOST_NET_STATE_SIZE 4096U
#define VHOST_NET_DEVICE "/dev/vhost-net"

extern const struct sandbox_policy vhost_net_policy;
extern const struct declared_process vhost_net_declared;
extern const struct device_kind vhost_net_kind; /* kind.c */

#endif
