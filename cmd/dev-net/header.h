/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header before each frame in a ring (VIRTIO 1.2, 5.1.6): what is still to be done to the frame.
 * Pure: no I/O, no allocation, no logging. HOSTILE: every field.
 */
#ifndef BULKHEAD_DEV_NET_HEADER_H
#define BULKHEAD_DEV_NET_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_HEADER_LEN 12U /* with num_buffers, as always since 1.0 */

#define NET_HDR_F_NEEDS_CSUM 1U
#define NET_HDR_F_DATA_VALID 2U
#define NET_HDR_GSO_NONE 0U
#define NET_HDR_GSO_TCPV4 1U
#define NET_HDR_GSO_TCPV6 4U
#define NET_HDR_GSO_UDP_L4 5U
#define NET_HDR_GSO_ECN 0x80U

struct net_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};
_Static_assert(sizeof(struct net_header) == NET_HEADER_LEN, "5.1.6");

#endif
