/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queue (VIRTIO 1.2, 5.1.6.5): what the driver sets by commands, in memory that outlives the process, so
 * that the next one serves the same card.
 *
 * A command is carried out as a whole or not at all. One that is unknown, was not negotiated, has too few bytes or too
 * many, or asks for what cannot be is answered VIRTIO_NET_ERR, and nothing has changed. A chain without a header, or
 * without a byte for the answer, is the guest's error: NEEDS_RESET. The lists are bounded (filter.h), and nothing is
 * read of what does not fit.
 *
 * HOSTILE: every command; and the kept struct, which a predecessor may have written: what of it cannot be is as at
 * power-on. Nothing in it gives a guest what it could not have asked for.
 */
#ifndef BULKHEAD_NETCARD_CONTROL_H
#define BULKHEAD_NETCARD_CONTROL_H

#include "lib/netcard/filter.h"
#include "lib/virtio/virtqueue.h"

#define CONTROL_OK 0
#define CONTROL_ERR 1

/* What the driver has set. Of bytes and numbers alone, as it may come from a predecessor. */
struct control {
	uint8_t announces; /* the guest has been asked to announce itself, and has not */
	uint8_t begun;	   /* 0: memory that nobody has written to */
	uint16_t pairs;	   /* of queues, that the driver uses: the first ones */
	struct filter filter;
	uint64_t off; /* features: what may not be left to be done to a received frame, though it was chosen */
};

/* The same, kept: a process may end within a write, and the one before it counts. */
struct control_kept {
	_Atomic uint32_t current; /* its lowest bit: which */
	struct control copy[2];
};

/* As at power-on. */
void control_init(struct control *c, uint64_t mac);
/* What a predecessor has kept of a card with so many pairs of queues, or, if that cannot be, as control_init. */
void control_load(struct control *c, const struct control_kept *kept, uint64_t mac, uint16_t pairs);
void control_keep(const struct control *c, struct control_kept *kept);
/*
 * The command in the chain, under the features that were chosen, of a card with so many pairs of queues. CONTROL_OK or CONTROL_ERR, which the caller writes
 * into the chain; or the guest's error.
 */
[[nodiscard]] int control_run(struct control *c, uint64_t features, uint16_t pairs,
			      const struct virtq_chain *chain);

#endif
