/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys that the user's terminal keeps for the relay: Ctrl-] and one more. Pure.
 *
 *   Ctrl-] q        quit     (Q as well)
 *   Ctrl-] ?        help     (h as well)
 *   Ctrl-] Ctrl-]   one Ctrl-] for the guest
 *   Ctrl-] other    nothing: both keys are dropped
 */
#ifndef BULKHEAD_CMD_BULKHEAD_ESCAPE_H
#define BULKHEAD_CMD_BULKHEAD_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ESCAPE_PREFIX 0x1d /* Ctrl-] */

enum escape_key { ESCAPE_NONE, ESCAPE_QUIT, ESCAPE_HELP };

struct escape {
	bool prefixed; /* the prefix was seen, its second key was not */
};

void escape_init(struct escape *e);
/*
 * Takes bytes of in up to and with the first key that is the relay's, or all of them. Bytes for
 * the guest go to out (room for len; may be in itself), *ret_out says how many; *ret_key is the
 * key, or ESCAPE_NONE. Returns how many bytes of in were taken; call again with the rest.
 */
[[nodiscard]] size_t escape_feed(struct escape *e, const uint8_t *in, size_t len, uint8_t *out,
				 size_t *ret_out, enum escape_key *ret_key);

#endif
