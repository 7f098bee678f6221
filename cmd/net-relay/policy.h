/* SPDX-License-Identifier: Apache-2.0 */
/* What net-relay may ask of the kernel once it hears anybody; net_relay_declared is the whole. */
#ifndef BULKHEAD_NET_RELAY_POLICY_H
#define BULKHEAD_NET_RELAY_POLICY_H

#include "lib/kinds/kind.h"
#include "lib/netkit/options.h"

enum { NET_RELAY_FD_INNER = 4, NET_RELAY_FD_STATE = 5, NET_RELAY_FD_OUTER = 6 };

#define NET_RELAY_STATE_NAME "net-relay"
#define NET_RELAY_STATE_SIZE ((1024U << 10) + (64U << 10))

struct net_relay_options {
	uint64_t mac; /* as struct net_options has it */
	struct netkit_options frames;
};

extern const struct sandbox_policy net_relay_policy;
extern const struct declared_process net_relay_declared;
extern const struct device_kind net_relay_kind; /* kind.c */

#endif
