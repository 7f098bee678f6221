/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's half of vhost-user and of a split virtqueue, as much of them as a benchmark needs. Errors end the
 * program. A ring has FRONT_SLOTS slots, each one indirect or direct descriptor that its user lays out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRONT_SLOTS 128U
#define FRONT_RING_BYTES 0x2000U

#define FRONT_WRITABLE 2U
#define FRONT_INDIRECT 4U

struct desc {
	uint64_t addr; /* from the start of the RAM */
	uint32_t len;
	uint16_t flags, next;
};

struct rings {
	struct desc desc[FRONT_SLOTS];
	uint16_t avail_flags, avail_idx, avail[FRONT_SLOTS], used_event;
	uint16_t padding;
	uint16_t used_flags, used_idx;
	struct {
		uint32_t id, len;
	} used[FRONT_SLOTS];
	uint16_t avail_event;
};
_Static_assert(offsetof(struct rings, used_flags) % 4 == 0, "2.7");
_Static_assert(offsetof(struct rings, used) == offsetof(struct rings, used_flags) + 4, "2.7.8");
_Static_assert(sizeof(struct rings) <= FRONT_RING_BYTES, "room for them");

struct front {
	int sock;
	uint8_t *ram;
};

struct front_ring {
	struct rings *r;
	int kick, call;
	uint16_t avail, used, kicked;
};

/* Negotiates the device's features beside those of rings, and shares so many bytes of RAM. */
void front_open(struct front *f, int sock, uint64_t features, size_t ram);

/* The first len bytes of the device's configuration space; 60 at most. */
void front_config(struct front *f, void *ret, size_t len);

/* The ring's index at the back end; where in the RAM it lies. */
void front_start(struct front *f, struct front_ring *q, uint32_t index, uint64_t at);

void front_put(struct front_ring *q, unsigned int slot);

/* All that was put is the back end's from here on: with one kick, if it asked for one. */
void front_publish(struct front_ring *q);

/* Takes all that is done, at least one; asleep until then. slots, lens: FRONT_SLOTS; lens may be NULL. */
unsigned int front_take(struct front_ring *q, uint16_t *slots, uint32_t *lens);
