/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/virtio: the structures of a split ring as they lie in guest memory (VIRTIO 1.2,
 * 2.7), little-endian like the only architecture this runs on.
 */
#ifndef BULKHEAD_VIRTIO_RING_H
#define BULKHEAD_VIRTIO_RING_H

#include "lib/virtio/virtqueue.h"

#define VIRTQ_DESC_F_NEXT 1U
#define VIRTQ_DESC_F_WRITE 2U
#define VIRTQ_DESC_F_INDIRECT 4U
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1U
#define VIRTQ_USED_F_NO_NOTIFY 1U

struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};
_Static_assert(sizeof(struct virtq_desc) == 16, "2.7.5");

struct virtq_used_elem {
	uint32_t id;
	uint32_t len;
};
_Static_assert(sizeof(struct virtq_used_elem) == 8, "2.7.8");

/* Fills c from the descriptors that start at head. 0, or -EBADMSG with the ring broken. *ret_steps
 * is how many descriptors were read. */
[[nodiscard]] int virtq_walk(struct virtq *vq, uint16_t head, struct virtq_chain *c,
			     uint32_t *ret_steps);

#endif
