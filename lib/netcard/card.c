/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration space of a network card; see card.h. */
#include "lib/netcard/card.h"

#include "lib/base/bytes.h"

#define DUPLEX_FULL 1U

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
