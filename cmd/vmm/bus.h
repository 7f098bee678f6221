/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where exits go: a sorted table of ranges for I/O ports and one for memory. Called with the
 * machine's lock held. An access that no range covers reads all ones and writes nothing; one that
 * straddles the end of a range likewise.
 */
#ifndef BULKHEAD_VMM_BUS_H
#define BULKHEAD_VMM_BUS_H

#include <stddef.h>
#include <stdint.h>

/* width is 1, 2, 4 or 8 bytes; offset is from the start of the range. */
struct bus_ops {
	uint64_t (*read)(void *owner, uint64_t offset, unsigned int width);
	void (*write)(void *owner, uint64_t offset, unsigned int width, uint64_t value);
	/* n reads of that width at once, of which a string instruction made one: data has room for them. NULL: each is
	 * by read. */
	void (*read_run)(void *owner, uint64_t offset, unsigned int width, uint32_t n,
			 uint8_t *data);
};

struct bus_range {
	uint64_t start;
	uint64_t len;
	const struct bus_ops *ops;
	void *owner;
};

#define BUS_MAX_RANGES 192 /* a BAR for each device, and the platform's */

struct bus {
	struct bus_range ranges[BUS_MAX_RANGES];
	size_t n;
};

/* -EEXIST if it overlaps another range, -ENOSPC, -EINVAL if empty or wrapping. */
[[nodiscard]] int bus_add(struct bus *b, const struct bus_range *range);
/* Removes the range that starts at start; harmless if there is none. */
void bus_remove(struct bus *b, uint64_t start);
uint64_t bus_read(struct bus *b, uint64_t addr, unsigned int width);
/* n of them, one behind the other in data. */
void bus_read_run(struct bus *b, uint64_t addr, unsigned int width, uint32_t n, uint8_t *data);
void bus_write(struct bus *b, uint64_t addr, unsigned int width, uint64_t value);

#endif
