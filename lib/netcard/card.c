/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration space of a network card, and its taps; see card.h. */
#include "lib/netcard/card.h"

#include "lib/base/bytes.h"

#include <fcntl.h>

#define DUPLEX_FULL 1U

unsigned int card_find_taps(int first, int taps[NET_PAIRS_MAX])
{
	unsigned int n = 0;

	for (; n < NET_PAIRS_MAX && fcntl(first + (int)n, F_GETFD) >= 0; n++)
		taps[n] = first + (int)n;
	return n;
}

void card_config_write(const struct card_config *c, uint8_t *out)
{
	struct bytes_writer w = bytes_writer(out, NET_CONFIG_LEN);

	for (int shift = 40; shift >= 0; shift -= 8)
		bytes_put8(&w, (uint8_t)(c->mac >> shift));
	bytes_put16(&w, c->status);
	bytes_put16(&w, c->pairs);
	bytes_put16(&w, c->mtu);
	bytes_put32(&w, c->speed);
	bytes_put8(&w, DUPLEX_FULL);
}
