/* SPDX-License-Identifier: Apache-2.0 */
/* All RAM of the memory map is there, zero at first, and keeps what is written; nothing aliases. */
#include "tests/guest/lib/guest.h"

#define RAM 1
#define STEP MIB(16)

extern uint8_t guest_end[];

static uint64_t mark(uint64_t at)
{
	return ~at;
}

/* Calls for the first and the last word of every region above 1 MiB, and every 16 MiB between. */
static void for_each_word(const struct pvh_info *info, bool (*fn)(uint64_t at), bool *ok)
{
	const struct pvh_memmap *map = (const void *)info->memmap;

	for (uint32_t i = 0; i < info->memmap_entries; i++) {
		uint64_t end = map[i].addr + map[i].size;
		uint64_t at = map[i].addr;

		if (map[i].type != RAM || at < MIB(1))
			continue;
		if (at < (uint64_t)guest_end)
			at = ((uint64_t)guest_end + 7) & ~7ULL;
		for (; at < end - 8; at += STEP)
			*ok &= fn(at);
		*ok &= fn(end - 8);
	}
}

static bool is_zero(uint64_t at)
{
	return read64(at) == 0;
}

static bool put_mark(uint64_t at)
{
	write64(at, mark(at));
	return true;
}

static bool has_mark(uint64_t at)
{
	return read64(at) == mark(at);
}

void guest_main(const struct pvh_info *info)
{
	const struct pvh_memmap *map = (const void *)info->memmap;
	bool zero = true, marked = true;
	uint64_t total = 0, high = 0;

	for (uint32_t i = 0; i < info->memmap_entries; i++) {
		if (map[i].type != RAM)
			continue;
		total += map[i].size;
		if (map[i].addr >= HIGH_RAM_START)
			high += map[i].size;
	}
	say_dec("KiB", total >> 10);
	say_dec("KiB above 4 GiB", high >> 10);
	for_each_word(info, is_zero, &zero);
	check(zero, "zero at first");
	for_each_word(info, put_mark, &marked);
	for_each_word(info, has_mark, &marked);
	check(marked, "keeps what is written");
}
