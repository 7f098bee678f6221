/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Destinations that a guest may reach, as they are said: CIDR[:PORT[-PORT]]. An IPv6 network with ports
 * stands in brackets, as in a URI: [2001:db8::/32]:443. Ports are those of TCP and UDP; without them everything that
 * goes to such an address is meant.
 */
#ifndef BULKHEAD_FRAMES_DEST_H
#define BULKHEAD_FRAMES_DEST_H

#include "lib/frames/addr.h"

#define DEST_TEXT_MAX 64U /* with its 0 */

struct dest {
	struct addr net;
	uint8_t bits;	      /* of it, from 0 to ADDR_BITS */
	bool ports;	      /* only these */
	uint16_t first, last; /* port */
};

/* 0, or -EINVAL with what it must be. */
[[nodiscard]] int dest_parse(const char *text, struct dest *ret, const char **ret_why);
/* As it is parsed. */
void dest_say(const struct dest *d, char out[DEST_TEXT_MAX]);
/* port NULL: it is not known, as of a fragment, or there is none. */
bool dest_has(const struct dest *d, const struct addr *a, const uint16_t *port);

#endif
