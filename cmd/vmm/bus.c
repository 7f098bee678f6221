/* SPDX-License-Identifier: Apache-2.0 */
/* A sorted table of address ranges; see bus.h. */
#include "cmd/vmm/bus.h"

#include "lib/base/checked.h"

#include <errno.h>
#include <string.h>

/* Index of the first range that starts above addr. */
static size_t first_above(const struct bus *b, uint64_t addr)
{
	size_t lo = 0, hi = b->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->ranges[mid].start > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static struct bus_range *range_at(struct bus *b, uint64_t addr, unsigned int width)
{
	size_t i = first_above(b, addr);
	struct bus_range *r;

	if (i == 0)
		return NULL;
	r = &b->ranges[i - 1];
	return range_within(addr - r->start, width, r->len) ? r : NULL;
}

int bus_add(struct bus *b, const struct bus_range *range)
{
	uint64_t end;
	size_t i;

	if (!range->len || !u64_add(range->start, range->len, &end))
		return -EINVAL;
	if (b->n == BUS_MAX_RANGES)
		return -ENOSPC;
	i = first_above(b, range->start);
	if (i > 0 && range->start - b->ranges[i - 1].start < b->ranges[i - 1].len)
		return -EEXIST;
	if (i < b->n && b->ranges[i].start < end)
		return -EEXIST;
	memmove(&b->ranges[i + 1], &b->ranges[i], (b->n - i) * sizeof(b->ranges[0]));
	b->ranges[i] = *range;
	b->n++;
	return 0;
}

void bus_remove(struct bus *b, uint64_t start)
{
	size_t i = first_above(b, start);

	if (i == 0 || b->ranges[i - 1].start != start)
		return;
	memmove(&b->ranges[i - 1], &b->ranges[i], (b->n - i) * sizeof(b->ranges[0]));
	b->n--;
}

static uint64_t all_ones(unsigned int width)
{
	return width >= 8 ? UINT64_MAX : (UINT64_C(1) << (width * 8)) - 1;
}

uint64_t bus_read(struct bus *b, uint64_t addr, unsigned int width)
{
	struct bus_range *r = range_at(b, addr, width);

	if (!r)
		return all_ones(width);
	return r->ops->read(r->owner, addr - r->start, width) & all_ones(width);
}

void bus_read_run(struct bus *b, uint64_t addr, unsigned int width, uint32_t n, uint8_t *data)
{
	struct bus_range *r = range_at(b, addr, width);

	if (r && r->ops->read_run && n > 1) {
		r->ops->read_run(r->owner, addr - r->start, width, n, data);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		const uint64_t value = bus_read(b, addr, width);

		memcpy(data + (size_t)i * width, &value, width);
	}
}

void bus_write(struct bus *b, uint64_t addr, unsigned int width, uint64_t value)
{
	struct bus_range *r = range_at(b, addr, width);

	if (r)
		r->ops->write(r->owner, addr - r->start, width, value & all_ones(width));
}
