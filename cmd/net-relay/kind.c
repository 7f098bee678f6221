/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that net-relay is; lib/kinds/kind.h. Its options are those of a card of the same name. */
#include "cmd/net-relay/policy.h"
#include "cmd/net-relay/relay.h"
#include "lib/base/cleanup.h"

static const struct option options[] = {
	{ .name = "mac",
	  .type = OPTION_MAC,
	  OPTION_FIELD(struct net_relay_options, mac),
	  .min = 1,
	  .value = "ADDRESS" },
	NETKIT_OPTIONS(struct net_relay_options, frames, 0),
};

const struct device_kind net_relay_kind = {
	.word = "net",
	.declared = &net_relay_declared,
	.number = KIND_BEHIND,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.feature = { "net-relay", kind_always },
	.state = { { .fd = NET_RELAY_FD_STATE,
		     .name = NET_RELAY_STATE_NAME,
		     .size = NET_RELAY_STATE_SIZE } },
	.storage_fd = NET_RELAY_FD_INNER,
	.link_fd = NET_RELAY_FD_OUTER,
	.restartable = true,
	.memory = NET_RELAY_STATE_SIZE,
};
_Static_assert(sizeof(struct net_relay_options) <= KIND_OPTIONS_BYTES, "room for them");
_Static_assert(sizeof(struct relay_page) <= NET_RELAY_STATE_SIZE, "what its supervisor makes");
