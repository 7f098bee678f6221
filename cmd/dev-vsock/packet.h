/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a virtio-vsock packet (VIRTIO 1.2, 5.10.6) as bytes. Pure. */
#ifndef BULKHEAD_DEV_VSOCK_PACKET_H
#define BULKHEAD_DEV_VSOCK_PACKET_H

#include <stdint.h>

#define PACKET_HEADER 44 /* bytes */
#define PACKET_HOST_CID 2

struct packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len; /* bytes of payload */
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc, fwd_cnt; /* of the sender */
};

void packet_decode(const uint8_t in[PACKET_HEADER], struct packet *ret);
void packet_encode(const struct packet *p, uint8_t out[PACKET_HEADER]);

#endif
