/* SPDX-License-Identifier: Apache-2.0 */
/* The vmm's buses: overlaps refused, straddling and unclaimed accesses float. */
#include "cmd/vmm/bus.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

struct probe {
	uint64_t offset;
	unsigned int width;
	uint64_t value;
	unsigned int calls;
};

static uint64_t probe_read(void *owner, uint64_t offset, unsigned int width)
{
	struct probe *p = owner;

	*p = (struct probe){ offset, width, p->value, p->calls + 1 };
	return p->value;
}

static void probe_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	struct probe *p = owner;

	*p = (struct probe){ offset, width, value, p->calls + 1 };
}

static const struct bus_ops ops = { probe_read, probe_write };

static int add(struct bus *b, uint64_t start, uint64_t len, struct probe *p)
{
	return bus_add(b, &(struct bus_range){ start, len, &ops, p });
}

static void straddling_accesses_reach_nobody(void **state)
{
	struct bus b = { 0 };
	struct probe p = { .value = 0x1122334455667788 };

	(void)state;
	assert_int_equal(add(&b, 0x1000, 16, &p), 0);
	for (unsigned int width = 1; width <= 8; width *= 2) {
		uint64_t ones = width == 8 ? UINT64_MAX : (1ULL << (8 * width)) - 1;

		for (uint64_t at = 0xff0; at < 0x1020; at++) {
			bool inside = at >= 0x1000 && at + width <= 0x1010;
			unsigned int before = p.calls;
			uint64_t v = bus_read(&b, at, width);

			assert_int_equal(p.calls - before, inside);
			assert_int_equal(v, inside ? 0x1122334455667788 & ones : ones);
			bus_write(&b, at, width, 1);
			assert_int_equal(p.calls - before, 2 * inside);
			p.value = 0x1122334455667788;
		}
	}
}

static void addresses_at_the_end_of_the_space(void **state)
{
	struct bus b = { 0 };
	struct probe p = { 0 };

	(void)state;
	assert_int_equal(add(&b, UINT64_MAX - 7, 16, &p), -EINVAL);
	assert_int_equal(add(&b, UINT64_MAX - 8, 8, &p), 0);
	assert_int_equal(bus_read(&b, UINT64_MAX, 4), UINT32_MAX);
	assert_int_equal(p.calls, 0);
}

static void overlaps_are_refused(void **state)
{
	struct bus b = { 0 };
	struct probe p = { 0 };

	(void)state;
	assert_int_equal(add(&b, 100, 0, &p), -EINVAL);
	assert_int_equal(add(&b, 100, 10, &p), 0);
	assert_int_equal(add(&b, 109, 1, &p), -EEXIST);
	assert_int_equal(add(&b, 91, 10, &p), -EEXIST);
	assert_int_equal(add(&b, 90, 40, &p), -EEXIST);
	assert_int_equal(add(&b, 100, 10, &p), -EEXIST);
	assert_int_equal(add(&b, 90, 10, &p), 0);
	assert_int_equal(add(&b, 110, 10, &p), 0);
	bus_remove(&b, 101);
	assert_int_equal(b.n, 3);
	bus_remove(&b, 100);
	assert_int_equal(b.n, 2);
	assert_int_equal(add(&b, 100, 10, &p), 0);
}

static void a_full_table_says_so(void **state)
{
	struct bus b = { 0 };
	struct probe p = { 0 };

	(void)state;
	for (unsigned int i = 0; i < BUS_MAX_RANGES; i++)
		assert_int_equal(add(&b, (BUS_MAX_RANGES - i) * 8, 8, &p), 0);
	assert_int_equal(add(&b, 0x10000, 8, &p), -ENOSPC);
	for (unsigned int i = 1; i < BUS_MAX_RANGES; i++)
		assert_true(b.ranges[i - 1].start < b.ranges[i].start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(straddling_accesses_reach_nobody),
		cmocka_unit_test(addresses_at_the_end_of_the_space),
		cmocka_unit_test(overlaps_are_refused),
		cmocka_unit_test(a_full_table_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
