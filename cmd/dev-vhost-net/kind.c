/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that dev-vhost-net is; lib/kinds/kind.h. */
#include "cmd/dev-vhost-net/card.h"
#include "cmd/dev-vhost-net/policy.h"
#include "lib/base/cleanup.h"
#include "lib/base/units.h"

#include <linux/virtio_ids.h>

#define KERNEL_MEMORY KIB(256) /* that the kernel takes for each pair */

static const struct option options[] = {
	CARD_OPTIONS(struct vhost_net_options),
	CARD_INNER_OPTIONS(struct vhost_net_options),
};

const struct device_kind vhost_net_kind = {
	.word = "net",
	.declared = &vhost_net_declared,
	.number = KIND_INSTEAD,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.feature = { "vhost-net", kind_always },
	.link_fd = VHOST_NET_FD_TAP,
	.state = { { .fd = VHOST_NET_FD_STATE,
		     .name = VHOST_NET_STATE_NAME,
		     .size = VHOST_NET_STATE_SIZE } },
	.virtio = { .id = VIRTIO_ID_NET, .fd = VHOST_NET_FD_VHOST_USER },
	.reach_fd = VHOST_NET_FD_OPENER,
	.opens = VHOST_NET_DEVICE,
	.takes_link = true,
	.restartable = true,
	.memory = VHOST_NET_STATE_SIZE + NET_PAIRS_MAX * KERNEL_MEMORY,
	.threads = NET_PAIRS_MAX, /* the kernel's, in its name */
};
_Static_assert(sizeof(struct vhost_net_page) <= VHOST_NET_STATE_SIZE, "what its supervisor makes");
