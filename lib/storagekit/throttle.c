/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets of a disk; see throttle.h. */
#include "lib/storagekit/throttle.h"

#define SCALE 1000 /* a rate a second is as many thousandths a millisecond */

static int64_t size_of(const struct throttle *t, unsigned int what)
{
	return (int64_t)(t->rates.rate[what] * t->rates.burst_s * SCALE);
}
_Static_assert(THROTTLE_RATE_MAX <= INT64_MAX / 2 / THROTTLE_BURST_MAX / SCALE, "it fits");

void throttle_init(struct throttle *t, const struct throttle_rates *rates)
{
	*t = (struct throttle){ .rates = *rates };
	for (unsigned int i = 0; i < THROTTLE_KINDS; i++)
		t->left[i] = size_of(t, i);
}

bool throttle_bounds(const struct throttle *t)
{
	for (unsigned int i = 0; i < THROTTLE_KINDS; i++)
		if (t->rates.rate[i])
			return true;
	return false;
}

/* What a debt of the largest request needs to be paid back is at most so long, too. */
void throttle_pass_ms(struct throttle *t, uint64_t ms)
{
	for (unsigned int i = 0; i < THROTTLE_KINDS; i++) {
		uint64_t rate = t->rates.rate[i];
		int64_t room = size_of(t, i) - t->left[i];

		if (!rate)
			continue;
		if (ms >= (uint64_t)room / rate + 1)
			t->left[i] += room;
		else
			t->left[i] += (int64_t)(rate * ms);
		if (t->left[i] > size_of(t, i))
			t->left[i] = size_of(t, i);
	}
}

/* Requests are far smaller than what would not fit: 4 GiB. */
static int64_t cost(unsigned int what, uint64_t ops, uint64_t bytes)
{
	return (int64_t)((what < THROTTLE_BYTES ? ops : bytes) & UINT32_MAX) * SCALE;
}

static bool concerns(unsigned int what, bool writes)
{
	if (what == THROTTLE_OPS || what == THROTTLE_BYTES)
		return true;
	return (what == THROTTLE_OPS_WRITE || what == THROTTLE_BYTES_WRITE) == writes;
}

static bool has_room(const struct throttle *t, unsigned int what, int64_t price)
{
	int64_t size = size_of(t, what);

	return !size || t->left[what] >= (price < size ? price : size);
}

bool throttle_take_all(struct throttle *t, bool writes, uint64_t ops, uint64_t bytes)
{
	for (unsigned int i = 0; i < THROTTLE_KINDS; i++)
		if (concerns(i, writes) && !has_room(t, i, cost(i, ops, bytes)))
			return false;
	for (unsigned int i = 0; i < THROTTLE_KINDS; i++)
		if (t->rates.rate[i] && concerns(i, writes))
			t->left[i] -= cost(i, ops, bytes);
	return true;
}

bool throttle_take(struct throttle *t, bool writes, uint64_t bytes)
{
	return throttle_take_all(t, writes, 1, bytes);
}
