/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's state in memory that outlives its process: the supervisor makes it, and gives it to each process
 * of the device in turn. It is right at every instant: an image is saved (lib/state) into one of two slots
 * while the other stands, and a sequence number, published last, says which one holds.
 *
 * HOSTILE to a successor, whose predecessor may have been taken over by the guest.
 */
#ifndef BULKHEAD_DEVKIT_KEPT_H
#define BULKHEAD_DEVKIT_KEPT_H

#include "lib/state/state.h"

#define KEPT_SLOT_LEN 256 /* bytes of a saved image, at most */

struct kept {
	_Atomic uint64_t sequence; /* 0: nothing is kept; odd: the second slot holds */
	uint8_t slots[2][KEPT_SLOT_LEN];
};

/* Once, after kept_load or _clear: what is the same in each image. */
void kept_begin(struct kept *k, const struct state_schema *schema);
/* From now on this is what a successor gets. */
void kept_keep(struct kept *k, const struct state_schema *schema, const void *image);
/* 1 with the image; 0 when nothing is kept; or as state_load. */
[[nodiscard]] int kept_load(const struct kept *k, const struct state_schema *schema, void *ret,
			    char why[STATE_WHY_MAX]);
/* Nothing is kept. */
void kept_clear(struct kept *k);

#endif
