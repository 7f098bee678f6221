/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of a page's translation after INVLPG: every size of page in every paging mode. */
#include "tests/unit/softworld.h"
#include "tests/unit/unit.h"

#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/soft_mem.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#include <stdio.h>
#include <string.h>

#define P_W_U 7U
#define READ_ONLY 5U
#define DIRTY 0x40U
#define PS 0x80U
#define FAR_PAGE 0x3000U /* of the same large page, and never used: what INVLPG names */
#define FIRST (WORLD_DATA + 0x10)
#define SECOND (WORLD_DATA + 0x1010)

/* Tables, as softworld.h has them. */
#define PDPT (WORLD_TABLES + 0x1000)
#define PD (WORLD_TABLES + 0x2000)
#define PD32 (WORLD_TABLES + 0x4000)
#define PT32 (WORLD_TABLES + 0x5000)
#define PT (WORLD_TABLES + 0x3000)

/* A large page that maps the start of RAM at `base`. */
struct large {
	const char *name;
	enum world_mode mode;
	uint64_t base;
	uint32_t entry, entry_bytes;
	uint32_t table; /* of 4 KiB pages, for the same place; 0: none in reach */
};

static const struct large larges[] = {
	{ "4 levels, 2 MiB", WORLD_LONG, 4ULL << 21, PD + 4 * 8, 8, PT },
	{ "4 levels, 1 GiB", WORLD_LONG, 1ULL << 30, PDPT + 8, 8, 0 },
	{ "PAE, 2 MiB", WORLD_PAE, 4ULL << 21, PD + 4 * 8, 8, PT },
	{ "2 levels, 4 MiB", WORLD_PAGING, 4ULL << 22, PD32 + 4 * 4, 4, PT32 },
};

enum { READ = WORLD_CODE, WRITE = WORLD_CODE + 8, INVALIDATE = WORLD_CODE + 16 };

static void put_code(void)
{
	static const uint8_t code[] = {
		0x8b, 0x03, 0, 0, 0, 0, 0, 0, 0x89, 0x03, 0, 0, 0, 0, 0, 0, 0x0f, 0x01, 0x3b
	}; /* mov, mov, invlpg, by [rbx] */

	memcpy(world_ram(WORLD_CODE, sizeof(code)), code, sizeof(code));
}

/* One instruction at rip with address `at`: the vector it raises, or -1. */
static int one(struct soft_cpu *c, uint64_t rip, uint64_t at)
{
	if (atomic_exchange(&c->wake, 0) & WAKE_CODE)
		soft_tlb_drop_code(c);
	c->rip = rip;
	c->gpr[R_BX] = at;
	c->single_step = true;
	return soft_execute(c) ? c->fault.vector : -1;
}

static void put_entry(const struct large *l, uint64_t v)
{
	memcpy(world_ram(l->entry, l->entry_bytes), &v, l->entry_bytes);
}

static uint64_t get_entry(const struct large *l)
{
	uint64_t v = 0;

	memcpy(&v, world_ram(l->entry, l->entry_bytes), l->entry_bytes);
	return v;
}

/* Two of its pages have been read and written. */
static void use(struct soft_cpu *c, const struct large *l, uint64_t entry)
{
	put_entry(l, entry);
	soft_tlb_flush(c, true);
	assert_int_equal(one(c, READ, l->base + FIRST), -1);
	assert_int_equal(one(c, READ, l->base + SECOND), -1);
	assert_int_equal(one(c, WRITE, l->base + FIRST), -1);
	assert_int_equal(one(c, WRITE, l->base + SECOND), -1);
}

static void invalidate(struct soft_cpu *c, const struct large *l, bool many)
{
	if (many) /* more entries than are remembered one by one */
		c->fills_known = false;
	assert_int_equal(one(c, INVALIDATE, l->base + FAR_PAGE), -1);
}

static void check_rights(struct soft_cpu *c, const struct large *l, bool many)
{
	use(c, l, P_W_U | PS);
	put_entry(l, READ_ONLY | PS);
	invalidate(c, l, many);
	assert_int_equal(one(c, READ, l->base + FIRST), -1);
	assert_int_equal(one(c, WRITE, l->base + FIRST), EX_PF);
	assert_int_equal(one(c, WRITE, l->base + SECOND), EX_PF);
	use(c, l, P_W_U | PS);
	put_entry(l, 0);
	invalidate(c, l, many);
	assert_int_equal(one(c, READ, l->base + FIRST), EX_PF);
	assert_int_equal(one(c, READ, l->base + SECOND), EX_PF);
}

static void check_dirty(struct soft_cpu *c, const struct large *l, bool many)
{
	use(c, l, P_W_U | PS);
	assert_true(get_entry(l) & DIRTY);
	put_entry(l, P_W_U | PS);
	invalidate(c, l, many);
	assert_int_equal(one(c, WRITE, l->base + SECOND), -1);
	assert_true(get_entry(l) & DIRTY);
}

/* The large page becomes a table of small ones, of which one lies elsewhere. */
static void check_split(struct soft_cpu *c, const struct large *l, bool many)
{
	uint32_t page = WORLD_DATA >> 12, other = 0xdead;
	uint8_t *e = world_ram(l->table + page * l->entry_bytes, l->entry_bytes);
	uint64_t old = 0, moved = (WORLD_DATA + 0x2000) | P_W_U;

	use(c, l, P_W_U | PS);
	memcpy(world_ram(FIRST + 0x2000, 4), &other, 4);
	memcpy(&old, e, l->entry_bytes);
	memcpy(e, &moved, l->entry_bytes);
	put_entry(l, l->table | P_W_U);
	invalidate(c, l, many);
	assert_int_equal(one(c, READ, l->base + FIRST), -1);
	assert_int_equal(c->gpr[R_AX], other);
	memcpy(e, &old, l->entry_bytes);
}

static void test_large_pages(void **state)
{
	(void)state;
	for (size_t k = 0; k < 2 * sizeof(larges) / sizeof(larges[0]); k++) {
		const struct large *l = &larges[k / 2];
		struct soft_cpu *c = world_new(1)->cpu[0];

		print_message("%s%s\n", l->name, k % 2 ? ", after many" : "");
		world_start(c, l->mode);
		put_code();
		check_rights(c, l, k % 2);
		check_dirty(c, l, k % 2);
		if (l->table)
			check_split(c, l, k % 2);
	}
}

/* Of small pages INVLPG takes the one, and need not take the next. */
static void test_small_pages(void **state)
{
	static const struct large small[] = {
		{ "4 levels", WORLD_LONG, 0, PT + (WORLD_DATA >> 12) * 8, 8, 0 },
		{ "PAE", WORLD_PAE, 0, PT + (WORLD_DATA >> 12) * 8, 8, 0 },
		{ "2 levels", WORLD_PAGING, 0, PT32 + (WORLD_DATA >> 12) * 4, 4, 0 },
	};

	(void)state;
	for (size_t k = 0; k < sizeof(small) / sizeof(small[0]); k++) {
		struct soft_cpu *c = world_new(1)->cpu[0];

		world_start(c, small[k].mode);
		put_code();
		use(c, &small[k], WORLD_DATA | P_W_U);
		put_entry(&small[k], WORLD_DATA | READ_ONLY);
		assert_int_equal(one(c, INVALIDATE, FIRST + 0x400), -1);
		assert_int_equal(one(c, WRITE, FIRST), EX_PF);
		put_entry(&small[k], 0);
		assert_int_equal(one(c, INVALIDATE, FIRST + 0x400), -1);
		assert_int_equal(one(c, READ, FIRST), EX_PF);
	}
}

/* The linear address of INVLPG has the segment's base in it, and 32 bits. */
static void test_segment_base(void **state)
{
	struct soft_cpu *c = world_new(1)->cpu[0];
	uint32_t entry = 0;

	(void)state;
	world_start(c, WORLD_PAGING);
	put_code();
	assert_int_equal(one(c, READ, FIRST), -1);
	memcpy(world_ram(PT32 + (WORLD_DATA >> 12) * 4, 4), &entry, 4);
	c->seg[S_DS].base = 0xfffff000;
	assert_int_equal(one(c, INVALIDATE, FIRST + 0x1000), -1);
	c->seg[S_DS].base = 0;
	assert_int_equal(one(c, READ, FIRST), EX_PF);
}

/* PCIDs are not there: neither are INVPCID, CR4.PCIDE, and CR3 without a flush. A global page goes with
 * INVLPG as any other does; to drop more than that is allowed (SDM volume 3, 4.10.4.1). */
static void test_no_pcid(void **state)
{
	static const uint8_t invpcid[] = { 0x66, 0x0f, 0x38, 0x82, 0x03 };
	static const uint8_t to_cr3[] = { 0x0f, 0x22, 0xd8 }, to_cr4[] = { 0x0f, 0x22, 0xe0 };
	struct soft_cpu *c = world_new(1)->cpu[0];

	(void)state;
	world_start(c, WORLD_LONG);
	memcpy(world_ram(WORLD_CODE, 5), invpcid, 5);
	memcpy(world_ram(WORLD_CODE + 8, 3), to_cr3, 3);
	memcpy(world_ram(WORLD_CODE + 16, 3), to_cr4, 3);
	for (uint64_t type = 0; type < 5; type++) {
		c->gpr[R_AX] = type;
		assert_int_equal(one(c, WORLD_CODE, WORLD_DATA), EX_UD);
	}
	c->gpr[R_AX] = c->cr3 | 1ULL << 63;
	assert_int_equal(one(c, WORLD_CODE + 8, 0), EX_GP);
	c->gpr[R_AX] = c->cr3 | 1ULL << SOFT_PHYS_BITS;
	assert_int_equal(one(c, WORLD_CODE + 8, 0), EX_GP);
	c->gpr[R_AX] = c->cr4 | CR4_PCIDE;
	assert_int_equal(one(c, WORLD_CODE + 16, 0), EX_GP);
}

/* Accessed and dirty bits of tables in firmware are not set, and a walk does not mind. */
static void test_tables_that_nobody_can_write(void **state)
{
	static const uint64_t entry = WORLD_DATA | P_W_U;
	static uint64_t rom[512] __attribute__((aligned(4096)));
	static struct soft_page page;
	struct soft_cpu *c = world_new(1)->cpu[0];
	const uint64_t table = 0xfffff000 | P_W_U, base = 4ULL << 21;

	(void)state;
	c->vm->ram[c->vm->n_ram++] = (struct soft_ram){ .gpa = 0xfffff000,
							.size = sizeof(rom),
							.host = (uint8_t *)rom,
							.pages = &page,
							.read_only = true };
	world_start(c, WORLD_LONG);
	put_code();
	rom[0] = entry;
	memcpy(world_ram(PD + 4 * 8, 8), &table, 8);
	assert_int_equal(one(c, READ, base + 0x10), -1);
	assert_int_equal(one(c, WRITE, base + 0x10), -1);
	assert_true(rom[0] == entry);
	assert_false(soft_phys_is_ram(c->vm, 0xfffff000, 8));
	assert_false(soft_phys_write(c->vm, 0xfffff000, &base, 8));
	assert_true(rom[0] == entry);
	c->vm->n_ram--;
	soft_tlb_flush(c, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_large_pages),
		cmocka_unit_test(test_small_pages),
		cmocka_unit_test(test_segment_base),
		cmocka_unit_test(test_no_pcid),
		cmocka_unit_test(test_tables_that_nobody_can_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
