/* SPDX-License-Identifier: Apache-2.0 */
/* What the launcher starts, and how often; see bounds.h. */
#include "cmd/supervisor/bounds.h"

void bounds_init(struct bounds *b, uint64_t now_ns)
{
	*b = (struct bounds){ .all = bucket_full(BOUNDS_ALL, BOUNDS_ALL_NS, now_ns) };
}

void bounds_allow(struct bounds *b, uint8_t part, uint64_t now_ns)
{
	b->part[part] = bucket_full(BOUNDS_PART, BOUNDS_PART_NS, now_ns);
}

bool bounds_know(const struct bounds *b, uint8_t part)
{
	return b->part[part].size > 0;
}

enum bounds_refusal bounds_ask(struct bounds *b, uint8_t part, bool alive, uint64_t now_ns)
{
	if (!bounds_know(b, part))
		return BOUNDS_UNKNOWN;
	if (alive)
		return BOUNDS_ALIVE;
	if (!bucket_has(&b->all, now_ns) || !bucket_take(&b->part[part], now_ns))
		return BOUNDS_TOO_OFTEN;
	(void)bucket_take(&b->all, now_ns);
	return BOUNDS_FINE;
}
