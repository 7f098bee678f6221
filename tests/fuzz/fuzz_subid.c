/* SPDX-License-Identifier: Apache-2.0 */
/* Files of names and ids: what comes out may be taken, and its blocks are of it. */
#include "tests/fuzz/fuzz.h"

#include "lib/sandbox/subid.h"

#include <string.h>

#define USED 15U
#define OWN 1000U

static void check_block(const struct subid_ranges *r, uint32_t first)
{
	bool inside = false;

	require(first % SUBID_BLOCK == 0);
	for (size_t i = 0; i < r->n; i++)
		inside = inside || (first >= r->range[i].first &&
				    first - r->range[i].first + USED <= r->range[i].count);
	require(inside);
}

static void check_ranges(const struct subid_ranges *r)
{
	uint32_t n = subid_count_blocks(r, USED);

	require(r->n <= SUBID_MAX_RANGES);
	for (size_t i = 0; i < r->n; i++) {
		uint64_t first = r->range[i].first, end = first + r->range[i].count;

		require(first >= SUBID_LEAST && end > first && end <= UINT32_MAX);
		require(OWN < first || OWN >= end);
		for (size_t k = 0; k < i; k++)
			require(end <= r->range[k].first ||
				first >= (uint64_t)r->range[k].first + r->range[k].count);
	}
	for (uint32_t i = 0; i < n && i < 64; i++) {
		check_block(r, subid_block(r, USED, i));
		check_block(r, subid_block(r, USED, n - 1 - i));
		require(i == 0 || subid_block(r, USED, i) != subid_block(r, USED, i - 1));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct subid_ranges r;
	char name[16];

	subid_parse(text, size, NULL, OWN, OWN, &r);
	check_ranges(&r);
	subid_parse(text, size, "alice", OWN, OWN, &r);
	check_ranges(&r);
	if (subid_user_name(text, size, OWN, name, sizeof(name)) == 0) {
		require(strnlen(name, sizeof(name)) < sizeof(name) && *name && !strchr(name, ':'));
		subid_parse(text, size, name, OWN, OWN, &r);
		check_ranges(&r);
	}
	return 0;
}
