/* SPDX-License-Identifier: Apache-2.0 */
/* Single steps, breakpoints, watchpoints and the alignment check of the software CPU, one
 * instruction at a time. */
#include "tests/unit/softworld.h"
#include "tests/unit/unit.h"

#include "cmd/vmm/accel/soft/debug.h"
#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#include <string.h>

#define FIXED_DR6 0xffff0ff0U
#define LENGTH_8 2U
#define LENGTH_4 3U
#define WRITES 1U
#define PORTS 2U
#define ACCESSES 3U

static struct soft_cpu *start(enum world_mode mode, const void *code, size_t len)
{
	struct soft_cpu *c = world_new(1)->cpu[0];

	world_start(c, mode);
	memcpy(world_ram(WORLD_CODE, len), code, len);
	return c;
}

#define START(mode, ...) \
	start(mode, (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))

/* Runs on to the next exception, or with `stepping` one instruction: its vector, or -1. What is asked
 * for in between is done as the run loop does it. */
static int go(struct soft_cpu *c)
{
	unsigned int wake = atomic_exchange(&c->wake, 0);

	if (wake & WAKE_CODE)
		soft_tlb_drop_code(c);
	c->inhibit = 0;
	return soft_execute(c) ? c->fault.vector : -1;
}

static void watch(struct soft_cpu *c, unsigned int n, uint64_t at, unsigned int kind,
		  unsigned int length)
{
	c->dr[n] = at;
	c->dr[7] |= 1U << 2 * n | kind << (16 + 4 * n) | length << (18 + 4 * n);
	soft_mode_changed(c);
}

static uint64_t hits(struct soft_cpu *c)
{
	uint64_t dr6 = c->dr[6] & ~(uint64_t)FIXED_DR6;

	c->dr[6] = FIXED_DR6;
	return dr6;
}

static void test_steps(void **state)
{
	struct soft_cpu *c = START(WORLD_LONG, 0x90, 0xf3, 0xaa, 0x90); /* nop; rep stosb; nop */

	(void)state;
	c->rflags |= FL_TF;
	c->gpr[R_CX] = 3;
	c->gpr[R_DI] = WORLD_DATA;
	assert_int_equal(go(c), EX_DB);
	assert_int_equal(hits(c), DR6_BS);
	for (unsigned int left = 2; left; left--) { /* within the string */
		assert_int_equal(go(c), EX_DB);
		assert_int_equal(c->rip, WORLD_CODE + 1);
		assert_int_equal(c->gpr[R_CX], left);
		assert_true(c->rflags & FL_RF);
	}
	assert_int_equal(go(c), EX_DB);
	assert_int_equal(c->rip, WORLD_CODE + 3);
	assert_false(c->rflags & FL_RF);
	assert_int_equal(go(c), EX_DB);
	assert_int_equal(c->rip, WORLD_CODE + 4);
}

static void test_step_over_halt(void **state)
{
	struct soft_cpu *c = START(WORLD_LONG, 0xf4); /* hlt */

	(void)state;
	c->rflags |= FL_TF;
	assert_int_equal(go(c), EX_DB);
	assert_int_equal(c->rip, WORLD_CODE + 1);
	assert_false(c->halted);
}

static void test_load_of_ss_delays(void **state)
{
	struct soft_cpu *c =
		START(WORLD_LONG, 0x8e, 0x13, 0x90, 0x90); /* mov ss, [rbx]; nop; nop */

	(void)state;
	c->rflags |= FL_TF;
	c->gpr[R_BX] = WORLD_DATA;
	memcpy(world_ram(WORLD_DATA, 2), &(uint16_t){ WORLD_SS }, 2);
	watch(c, 0, WORLD_DATA, ACCESSES, LENGTH_8);
	assert_int_equal(go(c), -1);
	assert_int_equal(hits(c), 0);
	assert_int_equal(go(c), EX_DB);
	assert_int_equal(c->rip, WORLD_CODE + 3);
	assert_int_equal(hits(c), DR6_BS | 1);
	assert_int_equal(go(c), EX_DB);
	assert_int_equal(hits(c), DR6_BS);
}

static void test_breakpoint_on_code(void **state)
{
	struct soft_cpu *c = START(WORLD_LONG, 0x90, 0x90, 0xff, 0xc0, 0xcc);

	(void)state;
	watch(c, 3, WORLD_CODE + 2, 0, 0);
	assert_int_equal(go(c), -1);
	assert_int_equal(go(c), -1);
	assert_int_equal(go(c), EX_DB);
	assert_int_equal(hits(c), 8);
	assert_int_equal(c->rip, WORLD_CODE + 2);
	assert_int_equal(c->gpr[R_AX], 0); /* not run */
	c->rflags |= FL_RF;		   /* as a handler sets it to go on */
	assert_int_equal(go(c), -1);
	assert_int_equal(c->gpr[R_AX], 1);
	assert_false(c->rflags & FL_RF);
}

struct watched {
	const char *what;
	uint8_t len, code[8];
	uint64_t hits; /* with RBX at the watched bytes: 1 for writes, 2 for accesses */
};

static void test_watchpoints(void **state)
{
	static const struct watched cases[] = {
		{ "nop", 1, { 0x90 }, 0 },
		{ "mov eax, [rbx]", 2, { 0x8b, 0x03 }, 2 },
		{ "mov [rbx], eax", 2, { 0x89, 0x03 }, 3 },
		{ "mov [rbx + 7], al", 3, { 0x88, 0x43, 0x07 }, 3 },
		{ "mov [rbx + 8], al", 3, { 0x88, 0x43, 0x08 }, 0 },
		{ "mov [rbx - 1], al", 3, { 0x88, 0x43, 0xff }, 0 },
		{ "mov [rbx - 7], rax", 4, { 0x48, 0x89, 0x43, 0xf9 }, 3 },
		{ "add [rbx], eax", 2, { 0x01, 0x03 }, 3 },
		{ "lock inc [rbx]", 3, { 0xf0, 0xff, 0x03 }, 3 },
		{ "push [rbx]", 2, { 0xff, 0x33 }, 2 },
		{ "movups xmm0, [rbx - 8]", 4, { 0x0f, 0x10, 0x43, 0xf8 }, 2 },
		{ "movups [rbx - 8], xmm0", 4, { 0x0f, 0x11, 0x43, 0xf8 }, 3 },
		{ "fnstcw [rbx]", 2, { 0xd9, 0x3b }, 3 },
		{ "pop [rbx]", 2, { 0x8f, 0x03 }, 3 },
		{ "lodsb", 1, { 0xac }, 2 },
		{ "stosq", 2, { 0x48, 0xab }, 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct soft_cpu *c = start(WORLD_LONG, cases[i].code, cases[i].len);

		c->gpr[R_BX] = c->gpr[R_SI] = c->gpr[R_DI] = WORLD_DATA + 0x100;
		watch(c, 0, WORLD_DATA + 0x100, WRITES, LENGTH_8);
		watch(c, 1, WORLD_DATA + 0x100, ACCESSES, LENGTH_8);
		if (go(c) != (cases[i].hits ? EX_DB : -1) || hits(c) != cases[i].hits)
			fail_msg("%s", cases[i].what);
		assert_int_equal(c->rip, WORLD_CODE + cases[i].len);
	}
}

/* Only with CR4.DE; the trap is behind the instruction. */
static void test_watched_ports(void **state)
{
	static const struct watched cases[] = {
		{ "in al, dx", 1, { 0xec }, 1 },
		{ "out dx, eax", 1, { 0xef }, 1 },
		{ "out 0x73, eax", 2, { 0xe7, 0x73 }, 0 },
		{ "out 0x75, eax", 2, { 0xe7, 0x75 }, 1 },
		{ "in al, 0x7c", 2, { 0xe4, 0x7c }, 0 },
		{ "outsb", 1, { 0x6e }, 1 },
		{ "mov eax, [rdx]", 2, { 0x8b, 0x02 }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		const struct watched *w = &cases[i / 2];
		struct soft_cpu *c = start(WORLD_LONG, w->code, w->len);
		bool on = i % 2 && w->hits;

		c->cr4 |= i % 2 ? CR4_DE : 0;
		c->gpr[R_DX] = 0x78;
		c->gpr[R_SI] = WORLD_DATA;
		watch(c, 0, 0x78, PORTS, LENGTH_4);
		if (go(c) != (on ? EX_DB : -1) || hits(c) != on)
			fail_msg("%s", w->what);
		assert_int_equal(c->rip, WORLD_CODE + w->len);
	}
}

static void test_watched_string(void **state)
{
	struct soft_cpu *c = START(WORLD_LONG, 0xf3, 0xa4, 0xcc); /* rep movsb */

	(void)state;
	c->gpr[R_SI] = WORLD_DATA;
	c->gpr[R_DI] = WORLD_DATA + 0x200;
	c->gpr[R_CX] = 64;
	watch(c, 2, WORLD_DATA + 0x210, WRITES, LENGTH_4);
	while (go(c) < 0)
		;
	assert_int_equal(hits(c), 4);
	assert_int_equal(c->gpr[R_CX], 64 - 0x11); /* behind the first watched byte */
	assert_int_equal(c->rip, WORLD_CODE);
}

static void test_debug_registers_guarded(void **state)
{
	struct soft_cpu *c =
		START(WORLD_LONG, 0x0f, 0x21, 0xf0, 0x0f, 0x21, 0xf8); /* mov rax, dr6; dr7 */

	(void)state;
	c->dr[7] |= DR7_GD;
	assert_int_equal(go(c), EX_DB);
	assert_int_equal(c->rip, WORLD_CODE);
	assert_int_equal(hits(c), DR6_BD);
	assert_false(c->dr[7] & DR7_GD);
	c->rflags |= FL_TF;
	assert_int_equal(go(c), EX_DB); /* now it runs */
	assert_int_equal(c->rip, WORLD_CODE + 3);
}

struct aligned {
	const char *what;
	uint8_t len, code[8];
	unsigned int need; /* bytes that the address must be a multiple of */
};

static const struct aligned alignments[] = {
	{ "mov al, [rbx]", 2, { 0x8a, 0x03 }, 1 },
	{ "mov ax, [rbx]", 3, { 0x66, 0x8b, 0x03 }, 2 },
	{ "mov [rbx], eax", 2, { 0x89, 0x03 }, 4 },
	{ "lock add [rbx], rax", 4, { 0xf0, 0x48, 0x01, 0x03 }, 8 },
	{ "movups xmm0, [rbx]", 3, { 0x0f, 0x10, 0x03 }, 16 },
	{ "movsd [rbx], xmm0", 4, { 0xf2, 0x0f, 0x11, 0x03 }, 8 },
	{ "fld tbyte [rbx]", 2, { 0xdb, 0x2b }, 8 },
	{ "fnstcw [rbx]", 2, { 0xd9, 0x3b }, 2 },
	{ "fnsave [rbx]", 2, { 0xdd, 0x33 }, 4 },
	{ "lodsd", 1, { 0xad }, 4 },
};

static int run_misaligned(const struct aligned *a, enum world_mode mode, uint64_t by,
			  uint64_t flags)
{
	struct soft_cpu *c = start(mode, a->code, a->len);

	c->cr0 |= CR0_AM;
	c->rflags |= flags | FL_TF; /* so that it stops after one */
	c->gpr[R_BX] = c->gpr[R_SI] = WORLD_DATA + 0x100 + by;
	soft_mode_changed(c);
	return go(c);
}

static void test_alignment(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(alignments); i++) {
		const struct aligned *a = &alignments[i];

		for (uint64_t by = 0; by < 16; by++) {
			int want = by % a->need ? EX_AC : EX_DB;

			if (run_misaligned(a, WORLD_LONG_USER, by, FL_AC) != want)
				fail_msg("%s at %u", a->what, (unsigned int)by);
			assert_int_equal(run_misaligned(a, WORLD_LONG_USER, by, 0), EX_DB);
			assert_int_equal(run_misaligned(a, WORLD_LONG, by, FL_AC), EX_DB);
		}
	}
}

static void test_page_fault_before_alignment(void **state)
{
	struct soft_cpu *c = START(WORLD_LONG_USER, 0x8b, 0x03);

	(void)state;
	c->cr0 |= CR0_AM;
	c->rflags |= FL_AC;
	c->gpr[R_BX] = 0x7fff00000001;
	soft_mode_changed(c);
	assert_int_equal(go(c), EX_PF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_step_over_halt),
		cmocka_unit_test(test_load_of_ss_delays),
		cmocka_unit_test(test_breakpoint_on_code),
		cmocka_unit_test(test_watchpoints),
		cmocka_unit_test(test_watched_ports),
		cmocka_unit_test(test_watched_string),
		cmocka_unit_test(test_debug_registers_guarded),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_page_fault_before_alignment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
