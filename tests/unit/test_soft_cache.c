/* SPDX-License-Identifier: Apache-2.0 */
/* However much code a guest runs, its decoded form takes no more than the stated memory. */
#include "tests/unit/softworld.h"
#include "tests/unit/unit.h"

#include "cmd/vmm/accel/soft/cache.h"
#include "cmd/vmm/accel/soft/dma.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

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

/* ---- with the log that devices keep ---- */

static uint8_t bits[(HIGH_RAM_START >> 15) + 4096];

static void mark(uint64_t gpa)
{
	__atomic_fetch_or(&bits[gpa >> 15], (uint8_t)(1U << (gpa >> 12 & 7)), __ATOMIC_SEQ_CST);
}

static bool marked(uint64_t gpa)
{
	return bits[gpa >> 15] >> (gpa >> 12 & 7) & 1;
}

static void device_told(struct soft_cpu *c)
{
	soft_dma_told(c->vm);
	soft_vcpu_wake(c, WAKE_INTERRUPT);
}

static struct soft_cpu *logged_world(void)
{
	struct soft_cpu *c = world_new(1)->cpu[0];

	memset(bits, 0, sizeof(bits));
	soft_dma_use_log(c->vm, bits, sizeof(bits));
	world_start(c, WORLD_LONG);
	return c;
}

static void end_of_log(struct soft_cpu *c)
{
	soft_dma_use_log(c->vm, NULL, 0);
	soft_dma_unlogged(c->vm, true);
}

/* What is marked is decoded anew and its bit is taken, in low and in high RAM; what is not, is not looked at. */
static void check_log_at(uint64_t rip, uint64_t gpa)
{
	struct soft_cpu *c = logged_world();

	put_code(gpa, loads_one);
	run_and_expect(c, rip, 1);
	put_code(gpa, loads_two);
	device_told(c);
	run_and_expect(c, rip, 1); /* a device that says nothing leaves its guest with old code */
	mark(gpa);
	mark(gpa + 0x1000); /* not code */
	device_told(c);
	run_and_expect(c, rip, 2);
	assert_false(marked(gpa));
	assert_true(marked(gpa + 0x1000));
	put_code(gpa, loads_one);
	mark(gpa);
	soft_serialise(c);
	run_and_expect(c, rip, 1);
	assert_false(marked(gpa));
	end_of_log(c);
}

static void test_log(void **state)
{
	(void)state;
	check_log_at(WORLD_CODE, WORLD_CODE);
	check_log_at(WORLD_HIGH, HIGH_RAM_START);
}

/* Nothing is summed up, whatever devices say; and one who writes beside the log has all of it summed up again. */
static void test_log_and_sums(void **state)
{
	struct soft_cpu *c = logged_world();

	(void)state;
	put_code(WORLD_CODE, loads_one);
	run_and_expect(c, WORLD_CODE, 1);
	put_code(WORLD_CODE, loads_two);
	soft_dma_unlogged(c->vm, false); /* its process has ended */
	device_told(c);
	run_and_expect(c, WORLD_CODE, 2);
	put_code(WORLD_CODE, loads_one);
	device_told(c);
	run_and_expect(c, WORLD_CODE, 2); /* once */
	soft_dma_unlogged(c->vm, true);
	device_told(c);
	run_and_expect(c, WORLD_CODE, 1);
	put_code(WORLD_CODE, loads_two);
	device_told(c);
	run_and_expect(c, WORLD_CODE, 2); /* from now on */
	end_of_log(c);
}

/* A page beyond the log is no place in it. */
static void test_short_log(void **state)
{
	struct soft_cpu *c = logged_world();

	(void)state;
	memset(bits, 0xff, sizeof(bits));
	soft_dma_use_log(c->vm, bits, (WORLD_CODE >> 15));
	put_code(WORLD_CODE, loads_one);
	run_and_expect(c, WORLD_CODE, 1);
	device_told(c);
	run_and_expect(c, WORLD_CODE, 1);
	assert_true(marked(WORLD_CODE));
	end_of_log(c);
}

/* ---- two vCPUs that look for one device's writes at once ---- */

/* Two pages that fault at their first write, which says what had been done by then. */
static struct order {
	struct accel *vm;
	uint8_t *log;
	struct soft_page *page;
	unsigned int n;
	struct {
		bool of_log;
		uint8_t bits;
		uint32_t taking;
	} at[4];
} order;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	uint8_t *page = (uint8_t *)((uintptr_t)info->si_addr & ~(uintptr_t)4095);

	(void)context;
	if ((page != order.log && page != (uint8_t *)order.page) ||
	    order.n == ARRAY_SIZE(order.at)) {
		signal(sig, SIG_DFL);
		return;
	}
	order.at[order.n].of_log = page == order.log;
	order.at[order.n].bits = *order.log;
	order.at[order.n++].taking = atomic_load(&order.vm->taking);
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void *a_page(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

/* First `taking`, so that others wait; then the bit, so that a write that comes now is not lost; then the version. */
static void test_order(void **state)
{
	const struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	struct sigaction before;
	struct soft_cpu *c = logged_world();

	(void)state;
	order = (struct order){ .vm = c->vm, .log = a_page(), .page = a_page() };
	soft_dma_use_log(c->vm, order.log, 4096);
	*order.log = 1;
	atomic_store(&order.page->is_code, 1);
	assert_int_equal(sigaction(SIGSEGV, &sa, &before), 0);
	mprotect(order.log, 4096, PROT_READ);
	mprotect(order.page, 4096, PROT_READ);
	soft_dma_check(c->vm, order.page, world_ram(0, 4096), 0);
	sigaction(SIGSEGV, &before, NULL);
	assert_int_equal(order.n, 2);
	assert_true(order.at[0].of_log && order.at[0].bits == 1 && order.at[0].taking == 1);
	assert_true(!order.at[1].of_log && order.at[1].bits == 0 && order.at[1].taking == 1);
	assert_int_equal(atomic_load(&order.page->version), 1);
	assert_int_equal(atomic_load(&c->vm->taking), 0);
	end_of_log(c);
	munmap(order.log, 4096);
	munmap(order.page, 4096);
}

static struct {
	struct accel *vm;
	atomic_bool there, said;
	bool waited;
} other;

static void *settle(void *arg)
{
	(void)arg;
	atomic_store(&other.there, true);
	soft_dma_settle(other.vm);
	other.waited = atomic_load(&other.said);
	return NULL;
}

static void test_settle(void **state)
{
	struct soft_cpu *c = logged_world();
	pthread_t t;

	(void)state;
	other.vm = c->vm;
	atomic_store(&c->vm->taking, 1);
	assert_int_equal(pthread_create(&t, NULL, settle, NULL), 0);
	while (!atomic_load(&other.there))
		sched_yield();
	for (unsigned int i = 0; i < 10000; i++) /* longer than it spins */
		sched_yield();
	atomic_store(&other.said, true);
	atomic_store(&c->vm->taking, 0);
	pthread_join(t, NULL);
	assert_true(other.waited);
	end_of_log(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit_holds),  cmocka_unit_test(test_code_that_changes),
		cmocka_unit_test(test_chosen_bytes), cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_many_fetches), cmocka_unit_test(test_log),
		cmocka_unit_test(test_log_and_sums), cmocka_unit_test(test_short_log),
		cmocka_unit_test(test_order),	     cmocka_unit_test(test_settle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
