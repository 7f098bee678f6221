/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a guest may answer; see flows.h. */
#include "lib/frames/flows.h"

static uint32_t place_of(const struct flow *flow)
{
	const uint8_t *at = (const uint8_t *)flow;
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < sizeof(*flow); i++)
		hash = (hash ^ at[i]) * 16777619U;
	return (hash ^ hash >> 16) % FLOWS_PLACES;
}
_Static_assert(sizeof(struct flow) == ADDR_LEN + 8, "no byte of it is between its fields");

bool flows_has(const struct flows *f, const struct flow *flow)
{
	const struct flow *row = f->all[place_of(flow)];

	for (size_t i = 0; i < FLOWS_EACH; i++)
		if (memcmp(&row[i], flow, sizeof(*flow)) == 0)
			return true;
	return false;
}

void flows_note(struct flows *f, const struct flow *flow)
{
	uint32_t place = place_of(flow);

	if (!flows_has(f, flow))
		f->all[place][f->next[place]++ % FLOWS_EACH] = *flow;
}
