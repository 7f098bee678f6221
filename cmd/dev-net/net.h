/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net (VIRTIO 1.2, 5.1): one pair of queues over a link (link.h), without offloads: the link
 * carries whole frames and nothing about them, so the driver computes its checksums itself.
 *
 * A frame that the guest sends is copied out of its memory once; nothing of it is looked at. What is no
 * Ethernet frame, is longer than the MTU allows, or finds the link down is dropped, and so is a frame
 * from the peer that no driver would take or that is larger than the buffer for it. A chain without a whole header, with
 * a header that asks for what was not negotiated, or with parts that it cannot have is the guest's
 * error: NEEDS_RESET.
 *
 * While no driver serves the receive queue the oldest frames make way; while one does and has no buffer
 * ready, the peer waits.
 */
#ifndef BULKHEAD_DEV_NET_NET_H
#define BULKHEAD_DEV_NET_NET_H

#include "cmd/dev-net/link.h"
#include "lib/base/loop.h"
#include "lib/devkit/vu_device.h"

#include <stdint.h>

#define NET_RECEIVEQ 0U
#define NET_TRANSMITQ 1U
#define NET_N_QUEUES 2U
#define NET_QUEUE_MAX 256U
#define NET_HEADER_LEN 12U /* 5.1.6, with num_buffers, as always since 1.0 */
#define NET_CONFIG_LEN 12U /* 5.1.4, up to the MTU */
#define NET_MTU_MIN 68U
#define NET_MTU_MAX 65535U

/* 5.1.3 */
#define VIRTIO_NET_F_MTU 3
#define VIRTIO_NET_F_MAC 5

struct net_options {
	uint8_t way; /* of the kind's ways: which; not this process's to know */
	uint64_t mac; /* the first byte on the wire is the most significant of six; 0: none was said */
	uint64_t mtu; /* bytes */
};

struct net {
	struct vu_device dev;
	struct virtq_chain chain; /* scratch */
	struct link link;
	uint64_t mac;
	uint16_t mtu;
	bool told_down;
	uint64_t n_dropped; /* frames, either way */
};

/* Before the sandbox. sock, the vhost-user channel, and fd, the link's stream, are taken; the page
 * outlives net. As vu_device_open and link_open; *ret_what is what failed. */
[[nodiscard]] int net_prepare(struct net *net, const struct net_options *o, struct link_page *page,
			      struct loop *loop, int sock, int fd, const char **ret_what);
void net_close(struct net *net);

#endif
