/* SPDX-License-Identifier: Apache-2.0 */
/* State outside of its process; see kept.h. */
#include "lib/devkit/kept.h"

#include <stdatomic.h>
#include <string.h>

/* A slot has room for all of it: the devices' tests hold that. */
void kept_begin(struct kept *k, const struct state_schema *schema)
{
	for (size_t i = 0; i < 2; i++)
		(void)!state_save_header(schema, k->slots[i], sizeof(k->slots[i]));
}

void kept_keep(struct kept *k, const struct state_schema *schema, const void *image)
{
	uint64_t next = atomic_load_explicit(&k->sequence, memory_order_relaxed) + 1;

	next += next == 0; /* a predecessor's lie */
	(void)!state_save_fields(schema, image, k->slots[next & 1] + STATE_HEADER_LEN,
				 sizeof(k->slots[0]) - STATE_HEADER_LEN);
	atomic_store_explicit(&k->sequence, next, memory_order_release);
}

int kept_load(const struct kept *k, const struct state_schema *schema, void *ret,
	      char why[STATE_WHY_MAX])
{
	uint64_t sequence = atomic_load(&k->sequence);
	uint8_t slot[KEPT_SLOT_LEN];
	int r;

	if (!sequence)
		return 0;
	memcpy(slot, k->slots[sequence & 1], sizeof(slot));
	r = state_load(schema, slot, state_wire_len(schema), ret, why);
	return r < 0 ? r : 1;
}

void kept_clear(struct kept *k)
{
	atomic_store(&k->sequence, 0);
	memset(k->slots, 0, sizeof(k->slots));
}
