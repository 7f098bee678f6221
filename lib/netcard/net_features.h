/* SPDX-License-Identifier: Apache-2.0 */
/* Feature bits of virtio-net (VIRTIO 1.2, 5.1.3), and which of them our cards offer. */
#ifndef BULKHEAD_NETCARD_FEATURES_H
#define BULKHEAD_NETCARD_FEATURES_H

#include "lib/base/units.h"

#define VIRTIO_NET_F_CSUM 0
#define VIRTIO_NET_F_GUEST_CSUM 1
#define VIRTIO_NET_F_CTRL_GUEST_OFFLOADS 2
#define VIRTIO_NET_F_MTU 3
#define VIRTIO_NET_F_MAC 5
#define VIRTIO_NET_F_GUEST_TSO4 7
#define VIRTIO_NET_F_GUEST_TSO6 8
#define VIRTIO_NET_F_GUEST_ECN 9
#define VIRTIO_NET_F_HOST_TSO4 11
#define VIRTIO_NET_F_HOST_TSO6 12
#define VIRTIO_NET_F_HOST_ECN 13
#define VIRTIO_NET_F_MRG_RXBUF 15
#define VIRTIO_NET_F_STATUS 16
#define VIRTIO_NET_F_CTRL_VQ 17
#define VIRTIO_NET_F_CTRL_RX 18
#define VIRTIO_NET_F_CTRL_VLAN 19
#define VIRTIO_NET_F_CTRL_RX_EXTRA 20
#define VIRTIO_NET_F_GUEST_ANNOUNCE 21
#define VIRTIO_NET_F_MQ 22
#define VIRTIO_NET_F_CTRL_MAC_ADDR 23
#define VIRTIO_NET_F_GUEST_USO4 54 /* VIRTIO 1.3 */
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO 56
#define VIRTIO_NET_F_SPEED_DUPLEX 63

#define NET_FEATURES                                                                           \
	(BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_MRG_RXBUF) |         \
	 BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_VLAN) | \
	 BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |                   \
	 BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |                         \
	 BIT(VIRTIO_NET_F_SPEED_DUPLEX))
/* What may be left to be done to a frame that the guest receives, which its driver may switch. */
#define NET_GUEST_TCP_OFFLOADS                                         \
	(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	 BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN))
#define NET_GUEST_UDP_OFFLOADS (BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6))
#define NET_GUEST_OFFLOADS (NET_GUEST_TCP_OFFLOADS | NET_GUEST_UDP_OFFLOADS)
/* On a tap also these: what is left to be done to a frame goes through. */
#define NET_TAP_FEATURES                                                                           \
	(NET_GUEST_TCP_OFFLOADS | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | BIT(VIRTIO_NET_F_CSUM) | \
	 BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN))
/* On one that was opened so, these: trains of datagrams. */
#define NET_USO_FEATURES (NET_GUEST_UDP_OFFLOADS | BIT(VIRTIO_NET_F_HOST_USO))
/* On a tap of several queues these, too. */
#define NET_MQ_FEATURES BIT(VIRTIO_NET_F_MQ)
/* Of another's back end: nothing that a configuration space or a control queue says more of, which it has none of. */
#define NET_FOREIGN_FEATURES                                                             \
	(NET_GUEST_TCP_OFFLOADS | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CSUM) | \
	 BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN))

#endif
