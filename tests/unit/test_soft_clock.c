/* SPDX-License-Identifier: Apache-2.0 */
/* The paravirtual clock: what a guest reads of it, and addresses chosen to harm. */
#include "cmd/vmm/accel/soft/kvmclock.h"
#include "cmd/vmm/accel/soft/lapic.h"
#include "cmd/vmm/accel/soft/soft_mem.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOW_SIZE 0x4000U
#define HIGH_AT 0x100000000ULL
#define HIGH_SIZE 0x2000U
#define GUARD 4096 /* host memory on both sides of RAM that must stay as it is */

#define WALL_CLOCK 0x4b564d00U
#define SYSTEM_TIME 0x4b564d01U
#define TSC 0x10U
#define NS 1000000000ULL

static struct accel vm;
static struct soft_cpu *cpu;
static uint8_t low[GUARD + LOW_SIZE + GUARD], high[GUARD + HIGH_SIZE + GUARD];

static void add_ram(uint64_t gpa, uint8_t *host, uint64_t size)
{
	struct soft_ram *ram = &vm.ram[vm.n_ram++];

	*ram = (struct soft_ram){ .gpa = gpa, .size = size, .host = host + GUARD };
	ram->pages = calloc(size >> 12, sizeof(ram->pages[0]));
	assert_non_null(ram->pages);
}

static int set_up(void **state)
{
	(void)state;
	memset(low, 0xa5, sizeof(low));
	memset(high, 0xa5, sizeof(high));
	vm = (struct accel){ .n_vcpus = 1, .clock_start = soft_now() };
	add_ram(0, low, LOW_SIZE);
	add_ram(HIGH_AT, high, HIGH_SIZE);
	cpu = aligned_alloc(64, (sizeof(*cpu) + 63) & ~63UL);
	assert_non_null(cpu);
	memset(cpu, 0, sizeof(*cpu));
	cpu->vm = &vm;
	vm.cpus[0] = cpu;
	return soft_lapic_create(cpu) < 0 || soft_cache_create(cpu) < 0;
}

static int tear_down(void **state)
{
	(void)state;
	soft_cache_free(cpu);
	free(cpu->lapic);
	free(cpu);
	for (unsigned int i = 0; i < vm.n_ram; i++)
		free(vm.ram[i].pages);
	return 0;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static bool untouched(void)
{
	for (size_t i = 0; i < sizeof(low); i++)
		if (low[i] != 0xa5)
			return false;
	for (size_t i = 0; i < sizeof(high); i++)
		if (high[i] != 0xa5)
			return false;
	return true;
}

/* As a guest works out the time from what was published at p. */
static uint64_t time_at(const uint8_t *p, uint64_t tsc)
{
	int8_t shift = (int8_t)p[28];
	uint64_t delta = tsc - get64(p + 8);

	assert_true(shift >= 0);
	return get64(p + 16) + ((delta << shift) * get32(p + 24) >> 32);
}

static uint64_t read_tsc(void)
{
	uint64_t v;

	assert_true(soft_rdmsr(cpu, TSC, &v));
	return v;
}

static void leaves_say_kvm(void **state)
{
	struct soft_cpuid r = soft_cpuid(cpu, 0x40000000, 0);

	(void)state;
	assert_memory_equal(&r.ebx, "KVMK", 4);
	assert_memory_equal(&r.ecx, "VMKV", 4);
	assert_memory_equal(&r.edx, "M\0\0\0", 4);
	assert_int_equal(r.eax, 0x40000001);
	r = soft_cpuid(cpu, 0x40000001, 0);
	assert_int_equal(r.eax, 1U << 1 | 1U << 3 | 1U << 24);
	assert_int_equal(r.ebx | r.ecx | r.edx, 0);
}

static void system_time_follows_the_tsc(void **state)
{
	const uint8_t *p = low + GUARD + 0x100;
	uint64_t before, told, after, v;

	(void)state;
	assert_true(soft_wrmsr(cpu, SYSTEM_TIME, 0x100 | 1));
	assert_true(soft_rdmsr(cpu, SYSTEM_TIME, &v));
	assert_int_equal(v, 0x101);
	assert_int_equal(get32(p) & 1, 0);
	assert_int_equal(p[29], 1); /* stable */
	before = soft_now() - vm.clock_start;
	told = time_at(p, read_tsc());
	after = soft_now() - vm.clock_start;
	assert_true(before <= told && told <= after);
}

static void setting_the_tsc_keeps_the_time(void **state)
{
	const uint8_t *p = low + GUARD + 0x100;
	uint32_t version;
	uint64_t before, told, after;

	(void)state;
	assert_true(soft_wrmsr(cpu, SYSTEM_TIME, 0x100 | 1));
	version = get32(p);
	assert_true(soft_wrmsr(cpu, TSC, 1ULL << 62));
	assert_int_not_equal(get32(p), version);
	assert_int_equal(get32(p) & 1, 0);
	before = soft_now() - vm.clock_start;
	told = time_at(p, read_tsc());
	after = soft_now() - vm.clock_start;
	assert_true(before <= told && told <= after);
}

static void wall_clock_and_system_time_are_the_day(void **state)
{
	const uint8_t *wall = low + GUARD + 0x200, *p = low + GUARD + 0x100;
	struct timespec day;
	uint64_t told;
	int64_t off;

	(void)state;
	assert_true(soft_wrmsr(cpu, WALL_CLOCK, 0x200));
	assert_true(soft_wrmsr(cpu, SYSTEM_TIME, 0x100 | 1));
	assert_int_equal(get32(wall) & 1, 0);
	assert_true(get32(wall + 8) < NS);
	told = get32(wall + 4) * NS + get32(wall + 8) + time_at(p, read_tsc());
	clock_gettime(CLOCK_REALTIME, &day);
	off = (int64_t)((uint64_t)day.tv_sec * NS + (uint64_t)day.tv_nsec - told);
	assert_true(off >= -1000000000 && off < 60LL * 1000000000);
	assert_int_equal(wall[12], 0xa5); /* 12 bytes, no more */
}

static void disabled_is_not_written(void **state)
{
	(void)state;
	assert_true(soft_wrmsr(cpu, SYSTEM_TIME, 0x100));
	assert_true(untouched());
	assert_true(soft_wrmsr(cpu, TSC, 5));
	assert_true(untouched());
}

static void reset_disables(void **state)
{
	(void)state;
	assert_true(soft_wrmsr(cpu, SYSTEM_TIME, 0x100 | 1));
	assert_true(soft_wrmsr(cpu, WALL_CLOCK, 0x200));
	soft_cpu_reset(cpu, NULL, false);
	memset(low, 0xa5, sizeof(low));
	assert_true(soft_wrmsr(cpu, TSC, 5));
	assert_true(untouched());
	assert_int_equal(cpu->kvm_system_time | cpu->kvm_wall_clock, 0);
}

/* The last place where each structure fits, and every one beyond. */
static void ends_of_ram(void **state)
{
	static const uint64_t ends[] = { LOW_SIZE, HIGH_AT + HIGH_SIZE };

	(void)state;
	for (size_t e = 0; e < ARRAY_SIZE(ends); e++) {
		for (uint64_t back = 0; back < 32; back += 2) {
			assert_true(soft_wrmsr(cpu, SYSTEM_TIME, (ends[e] - back) | 1));
			assert_true(untouched());
		}
		for (uint64_t back = 0; back < 12; back++) {
			assert_true(soft_wrmsr(cpu, WALL_CLOCK, ends[e] - back));
			assert_true(untouched());
		}
	}
	assert_true(soft_wrmsr(cpu, SYSTEM_TIME, (LOW_SIZE - 32) | 1));
	assert_false(untouched());
	assert_int_equal(low[GUARD + LOW_SIZE], 0xa5);
	assert_int_equal(low[GUARD + LOW_SIZE - 33], 0xa5);
}

static void nowhere(void **state)
{
	static const uint64_t places[] = {
		HIGH_AT - 16,	 HIGH_AT - 2,	 0xfee00000,	 0x80000000,
		1ULL << 40,	 1ULL << 52,	 1ULL << 63,	 UINT64_MAX - 31,
		UINT64_MAX - 15, UINT64_MAX - 3, UINT64_MAX - 1,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		assert_true(soft_wrmsr(cpu, SYSTEM_TIME, places[i] | 1));
		assert_true(soft_wrmsr(cpu, WALL_CLOCK, places[i]));
		assert_true(soft_wrmsr(cpu, WALL_CLOCK, places[i] | 1));
	}
	assert_true(untouched());
}

/* A structure on two pages is written whole, and code decoded from either is stale. */
static void across_pages_with_code(void **state)
{
	struct soft_page *first = &vm.ram[0].pages[1], *second = &vm.ram[0].pages[2];
	uint32_t was[2];

	(void)state;
	was[0] = soft_page_make_code(cpu, first);
	was[1] = soft_page_make_code(cpu, second);
	assert_true(soft_wrmsr(cpu, SYSTEM_TIME, 0x1ff0 | 1));
	assert_int_equal(get32(low + GUARD + 0x1ff0) & 1, 0);
	assert_int_equal(get32(low + GUARD + 0x1ff0 + 24), 1U << 31);
	assert_int_not_equal(atomic_load(&first->version), was[0]);
	assert_int_not_equal(atomic_load(&second->version), was[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(leaves_say_kvm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(system_time_follows_the_tsc, set_up, tear_down),
		cmocka_unit_test_setup_teardown(setting_the_tsc_keeps_the_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(wall_clock_and_system_time_are_the_day, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(disabled_is_not_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reset_disables, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ends_of_ram, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nowhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(across_pages_with_code, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
