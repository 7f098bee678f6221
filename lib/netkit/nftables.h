/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lib/frames/guard.h says of a card's frames, as a table of nftables for the host's kernel, where the card is an
 * interface of the host's: a tap, or a macvtap. Pure: options in, the text that `nft -f` reads out.
 *
 * It says the same, save for what the kernel's language cannot say, and is stricter or looser there:
 *   - a lease is learned from an ACK whose first option says that it is one, as servers send it; up to 4 are kept, each a
 *     week after its last ACK. A prefix of a router is looked for in the first 96 bytes of its advertisement, and is kept
 *     for a day after the last;
 *   - neighbour discovery from the guest has no options but link-layer addresses and nonces;
 *   - bytes behind a packet pass;
 *   - what is above a rate is dropped, and does not wait. A large frame that is cut later is one: so an interface whose
 *     guest has a rate takes none (struct kind_link, bare); of what comes to the guest such frames count as one.
 */
#ifndef BULKHEAD_NETKIT_NFTABLES_H
#define BULKHEAD_NETKIT_NFTABLES_H

#include "lib/netkit/options.h"

#include <stddef.h>

#define NFTABLES_TEXT_MAX 32768U

struct nftables_place {
	const char *table;     /* letters, digits and '_' */
	const char *interface; /* letters, digits, '.', '_' and '-' */
	bool lower; /* what the guest sends leaves by the interface, as of a macvtap; else it comes in by it */
};

/* The whole table, in the place of any that has its name. Its length, or 0: no room. */
[[nodiscard]] size_t nftables_render(const struct netkit_options *o, uint64_t mac,
				     const struct nftables_place *place, char *out, size_t cap);

#endif
