/* SPDX-License-Identifier: Apache-2.0 */
/* However much code a guest runs, its decoded form takes no more than the stated memory. */
#include "tests/unit/softworld.h"
#include "tests/unit/unit.h"

#include "cmd/vmm/accel/soft/cache.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#include <stdio.h>
#include <string.h>

#define NOP 0x90
#define CODE_SIZE 0x8000U

/* Of the process, in pages. */
static unsigned long mapped(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu", &pages), 1);
	fclose(f);
	return pages;
}

static void step_at(struct soft_cpu *c, uint64_t rip)
{
	c->rip = rip;
	c->single_step = true;
	assert_false(soft_execute(c));
	assert_int_equal(c->rip, rip + 1);
}

/* A block from every byte on: each is decoded up to its longest. */
static void test_limit_holds(void **state)
{
	struct soft_cpu *c = world_new(1)->cpu[0];
	unsigned long before;

	(void)state;
	_Static_assert((CODE_SIZE - SOFT_BLOCK_MAX) * SOFT_BLOCK_MAX > 4 * SOFT_CACHE_INSNS,
		       "more than fits, several times");
	world_start(c, WORLD_LONG);
	memset(world_ram(WORLD_CODE, CODE_SIZE), NOP, CODE_SIZE);
	step_at(c, WORLD_CODE);
	before = mapped();
	for (unsigned int i = 0; i < CODE_SIZE - SOFT_BLOCK_MAX; i++)
		step_at(c, WORLD_CODE + i);
	assert_int_equal(mapped(), before);
}

/* Each change of a page makes what was decoded of it useless, and leaves it where it is. */
static void test_code_that_changes(void **state)
{
	struct soft_cpu *c = world_new(1)->cpu[0];
	static const uint8_t store[] = { 0xc6, 0x00, 0x90, 0xf4 }; /* mov byte [rax], 0x90; hlt */
	unsigned long before = 0;

	(void)state;
	world_start(c, WORLD_LONG);
	memset(world_ram(WORLD_CODE, CODE_SIZE), NOP, CODE_SIZE);
	memcpy(world_ram(WORLD_CODE, sizeof(store)), store, sizeof(store));
	for (unsigned int i = 0; i < 4 * SOFT_CACHE_INSNS / SOFT_BLOCK_MAX; i++) {
		c->gpr[R_AX] = WORLD_CODE + 0x100;
		c->rip = WORLD_CODE;
		c->halted = false;
		world_run(c, 100000);
		step_at(c, WORLD_CODE + 0x100);
		if (i == 0)
			before = mapped();
	}
	assert_int_equal(mapped(), before);
}

static void run_from(struct soft_cpu *c, uint64_t rip)
{
	c->rip = rip;
	c->halted = false;
	while (!c->halted)
		world_run(c, 900000);
}

/* A device's write that a sum without a secret would not see: the second word makes up for the first. */
static uint64_t unkeyed(uint64_t word)
{
	uint64_t sum = (1 ^ word) * 0x9e3779b97f4a7c15U;

	return sum ^ sum >> 29;
}

static void test_chosen_bytes(void **state)
{
	static const uint8_t before[8] = { 0xb8, 1, 0, 0, 0, 0xf4 }; /* mov eax, 1; hlt */
	static const uint8_t after[8] = { 0xb8, 2, 0, 0, 0, 0xf4 };
	struct soft_cpu *c = world_new(1)->cpu[0];
	uint64_t one, two, makes_up;

	(void)state;
	world_start(c, WORLD_LONG);
	memcpy(world_ram(WORLD_CODE, 8), before, 8);
	run_from(c, WORLD_CODE);
	assert_int_equal(c->gpr[R_AX], 1);
	memcpy(&one, before, 8);
	memcpy(&two, after, 8);
	memcpy(&makes_up, world_ram(WORLD_CODE + 32, 8), 8);
	makes_up ^= unkeyed(one) ^ unkeyed(two);
	memcpy(world_ram(WORLD_CODE, 8), after, 8);
	memcpy(world_ram(WORLD_CODE + 32, 8), &makes_up, 8);
	soft_serialise(c);
	run_from(c, WORLD_CODE);
	assert_int_equal(c->gpr[R_AX], 2);
}

static const uint8_t loads_one[] = { 0xb8, 1, 0, 0, 0, 0xf4 }; /* mov eax, 1; hlt */
static const uint8_t loads_two[] = { 0xb8, 2, 0, 0, 0, 0xf4 };

static void device_interrupts(struct soft_cpu *c)
{
	atomic_fetch_add(&c->vm->dma_epoch, 1);
	atomic_fetch_add(&c->vm->dma_told, 1);
	soft_vcpu_wake(c, WAKE_INTERRUPT);
}

static void run_and_expect(struct soft_cpu *c, uint64_t rip, uint64_t rax)
{
	c->gpr[R_AX] = 0;
	run_from(c, rip);
	assert_int_equal(c->gpr[R_AX], rax);
}

/* What a device has written is what runs behind its interrupt; what it has not is still known. */
static void test_interrupts(void **state)
{
	struct soft_cpu *c = world_new(1)->cpu[0];
	uint32_t generation;

	(void)state;
	world_start(c, WORLD_LONG);
	memcpy(world_ram(WORLD_CODE, sizeof(loads_one)), loads_one, sizeof(loads_one));
	run_and_expect(c, WORLD_CODE, 1);
	generation = c->code_generation;
	device_interrupts(c);
	run_and_expect(c, WORLD_CODE, 1);
	memcpy(world_ram(WORLD_CODE, sizeof(loads_two)), loads_two, sizeof(loads_two));
	device_interrupts(c);
	run_and_expect(c, WORLD_CODE, 2);
	assert_int_equal(c->code_generation, generation);
}

static void put_code(uint64_t at, const uint8_t code[sizeof(loads_one)])
{
	memcpy(world_ram(at, sizeof(loads_one)), code, sizeof(loads_one));
}

/* Two addresses that are looked up in one place, more often than pages are remembered, and then code that
 * ran before. */
static void test_many_fetches(void **state)
{
	struct soft_cpu *c = world_new(1)->cpu[0];
	uint64_t other = WORLD_CODE + 0x1000;

	(void)state;
	world_start(c, WORLD_LONG);
	put_code(WORLD_CODE, loads_one);
	put_code(other, loads_one);
	run_and_expect(c, WORLD_CODE, 1);
	for (unsigned int n = 0; n < 1000; n++)
		run_and_expect(c, other + (n & 1 ? WORLD_UPPER : 0) + n % 7 * 0x100, n % 7 ? 0 : 1);
	put_code(WORLD_CODE, loads_two);
	put_code(other, loads_two);
	device_interrupts(c);
	run_and_expect(c, other, 2);
	run_and_expect(c, WORLD_CODE, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit_holds),  cmocka_unit_test(test_code_that_changes),
		cmocka_unit_test(test_chosen_bytes), cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_many_fetches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
