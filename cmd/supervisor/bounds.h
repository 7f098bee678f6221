/* SPDX-License-Identifier: Apache-2.0 */
/* What the launcher starts when it is asked to, and how often: pure, by the caller's clock. */
#ifndef BULKHEAD_SUPERVISOR_BOUNDS_H
#define BULKHEAD_SUPERVISOR_BOUNDS_H

#include "lib/base/bucket.h"

#include <stddef.h>

#define BOUNDS_MAX_PARTS 256 /* a part is a byte */

/* So many of one part at once, and of all of them; one more each interval. */
#define BOUNDS_PART 10U
#define BOUNDS_PART_NS (500ULL * 1000 * 1000)
#define BOUNDS_ALL 40U
#define BOUNDS_ALL_NS (100ULL * 1000 * 1000)

enum bounds_refusal {
	BOUNDS_FINE = 0,
	BOUNDS_UNKNOWN,	  /* no such part, or none of which this can be asked now */
	BOUNDS_ALIVE,	  /* the one before has not ended */
	BOUNDS_TOO_OFTEN, /* later it may be */
	BOUNDS_NO_FILE,	  /* what came is none that the part could serve */
	BOUNDS_CHANGING,  /* somebody changes its image: once he does no more */
	BOUNDS_N,
};

struct bounds {
	struct bucket all;
	struct bucket part[BOUNDS_MAX_PARTS]; /* of size 0: not one that is started again */
};

void bounds_init(struct bounds *b, uint64_t now_ns);
/* The part may be started again. */
void bounds_allow(struct bounds *b, uint8_t part, uint64_t now_ns);
bool bounds_know(const struct bounds *b, uint8_t part);
/* Counts a start that is fine; a refusal costs nothing. */
enum bounds_refusal bounds_ask(struct bounds *b, uint8_t part, bool alive, uint64_t now_ns);

#endif
