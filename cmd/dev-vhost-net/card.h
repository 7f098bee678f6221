/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net (VIRTIO 1.2, 5.1) whose rings the host's kernel serves: this process negotiates, has the configuration
 * space and the control queue, and hands each pair of rings with a queue of the tap to the kernel. It sees no frame.
 *
 * Filters of what is received are not offered, as nobody would apply them; the driver does. What may be left to be done
 * to a frame from the tap is what the driver chose, or has switched by a command, and set on the tap itself. Several pairs
 * are for a tap of as many queues: those that the driver does not use are detached from the tap, so that no flow is sent there.
 *
 * While the link is down, as its VM's user has said, no ring is the kernel's: what the guest sends is dropped here, and
 * what came meanwhile is dropped before the kernel gets the rings again. What the kernel finds in a ring that cannot be is
 * the guest's error: NEEDS_RESET. A tap that was removed is a link that is down for good.
 */
#ifndef BULKHEAD_DEV_VHOST_NET_CARD_H
#define BULKHEAD_DEV_VHOST_NET_CARD_H

#include "cmd/dev-vhost-net/kernel.h"
#include "lib/netcard/card.h"
#include "lib/netcard/control.h"

struct vhost_net_options {
	uint64_t mac, mtu, speed, queues; /* lib/netcard/card.h */
	bool bare, uso;
};

/* What outlives the process. */
struct vhost_net_page {
	struct control_kept control;
};

struct vhost_net;

/* What the kernel says of one ring. */
struct vhost_net_error {
	struct vhost_net *net;
	unsigned int queue;
	int fd;
	struct loop_source src;
};

struct vhost_net {
	struct vu_device dev;
	struct dev_spec spec;
	struct virtq_chain chain; /* scratch */
	struct control control;
	struct control_kept *kept;
	unsigned int n_pairs;
	int tap[NET_PAIRS_MAX], kernel[NET_PAIRS_MAX];
	struct vhost_net_error error[2 * NET_PAIRS_MAX];
	uint64_t features; /* that the driver chose */
	uint64_t mac;
	uint16_t mtu;
	uint32_t speed;
	bool bare, uso;
	bool down;			/* by who has the VM */
	bool gone;			/* its tap was removed */
	void (*announced)(void *owner); /* the guest has, or will not; NULL: nobody wants to know */
	void *owner;
};

/* Before the sandbox. sock, the vhost-user channel, the tap's queues and as many descriptors of /dev/vhost-net are
 * taken; the page outlives net. 0 or a negative errno; *ret_what is what failed. */
[[nodiscard]] int vhost_net_prepare(struct vhost_net *net, const struct vhost_net_options *o,
				    struct vhost_net_page *page, struct loop *loop, int sock,
				    const int *taps, const int *kernels, const char **ret_what);
void vhost_net_close(struct vhost_net *net);
/* Whether frames pass from now on; announce: the guest is asked to announce itself. Its configuration has changed. 0 or
 * the error of epoll. */
[[nodiscard]] int vhost_net_set_link(struct vhost_net *net, bool up, bool announce);

#endif
