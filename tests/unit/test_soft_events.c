/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for a vCPU is not lost, and no chain of instructions or faults keeps it out for ever. */
#include "tests/unit/softworld.h"
#include "tests/unit/unit.h"

#include "cmd/vmm/accel/soft/lapic_state.h"
#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#include <string.h>

#define HALT_HERE (WORLD_HANDLERS + 0x800) /* a handler that stops */
#define HIGH 0x62
#define LOW 0x41
#define SLICE_US 900000 /* a run that is to end by itself does so sooner, or goes on in the next */

static struct soft_cpu *start(enum world_mode mode, const void *code, size_t len)
{
	struct soft_cpu *c = world_new(1)->cpu[0];

	world_start(c, mode);
	memcpy(world_ram(WORLD_CODE, len), code, len);
	*world_ram(HALT_HERE, 1) = 0xf4;
	c->lapic->reg[REG_SVR] = SVR_ENABLE | 0xff;
	return c;
}

static void run_to_halt(struct soft_cpu *c)
{
	while (!c->halted)
		world_run(c, SLICE_US);
}

static void gate64(unsigned int vector, uint32_t to, unsigned int type)
{
	uint64_t low = to | WORLD_CS64 << 16 | (uint64_t)type << 40;

	memcpy(world_ram(WORLD_IDT64 + vector * 16, 8), &low, 8);
}

static uint64_t top_of_stack(struct soft_cpu *c)
{
	uint64_t v;

	memcpy(&v, world_ram(c->gpr[R_SP], 8), 8);
	return v;
}

/* Handlers that do not turn interrupts on: the second comes behind the IRET of the first. */
static void test_behind_iret(void **state)
{
	static const uint8_t code[] = { 0xfb, 0x90, 0xfa, 0xf4 };    /* sti; nop; cli; hlt */
	static const uint8_t eoi[] = { 0xff, 0x05, 0,	 0,    0, 0, /* inc dword [rip + n] */
				       0xc7, 0x04, 0x25, 0xb0, 0, 0x20,
				       0,    0,	   0,	 0,    0, /* mov [EOI], 0 */
				       0x48, 0xcf };		  /* iretq */
	struct soft_cpu *c = start(WORLD_LONG, code, sizeof(code));
	uint32_t at = WORLD_HANDLERS + 0x400, counter = WORLD_DATA - (at + 6), n;

	(void)state;
	memcpy(world_ram(at, sizeof(eoi)), eoi, sizeof(eoi));
	memcpy(world_ram(at + 2, 4), &counter, 4);
	gate64(HIGH, at, 0x8e);
	gate64(LOW, at, 0x8e);
	lapic_accept(c, DELIVER_FIXED, HIGH, false);
	lapic_accept(c, DELIVER_FIXED, LOW, false);
	run_to_halt(c);
	memcpy(&n, world_ram(WORLD_DATA, 4), 4);
	assert_int_equal(n, 2);
	assert_int_equal(c->rip, WORLD_CODE + sizeof(code));
}

/* A trap gate leaves IF set: what is more urgent comes at once. */
static void test_behind_a_trap_gate(void **state)
{
	static const uint8_t code[] = { 0xfb, 0xf4 }; /* sti; hlt */
	struct soft_cpu *c = start(WORLD_LONG, code, sizeof(code));

	(void)state;
	gate64(EX_NMI, WORLD_HANDLERS + 0x900, 0x8f);
	*world_ram(WORLD_HANDLERS + 0x900, 1) = 0x90;
	gate64(LOW, HALT_HERE, 0x8e);
	lapic_accept(c, DELIVER_NMI, 0, false);
	lapic_accept(c, DELIVER_FIXED, LOW, false);
	run_to_halt(c);
	assert_int_equal(c->rip, HALT_HERE + 1);
}

/* An NMI that comes while one is handled is taken behind the IRET, though that be to IF = 0. */
static void test_nmi_behind_iret(void **state)
{
	static const uint8_t code[] = { 0x48, 0xcf }; /* iretq */
	struct soft_cpu *c = start(WORLD_LONG, code, sizeof(code));
	const uint64_t frame[] = { WORLD_CODE + 0x100, WORLD_CS64, 2, WORLD_STACK, WORLD_SS };

	(void)state;
	c->gpr[R_SP] -= sizeof(frame);
	memcpy(world_ram(c->gpr[R_SP], sizeof(frame)), frame, sizeof(frame));
	memset(world_ram(WORLD_CODE + 0x100, 16), 0x90, 16);
	gate64(EX_NMI, HALT_HERE, 0x8e);
	c->nmi_blocked = true;
	lapic_accept(c, DELIVER_NMI, 0, false);
	run_to_halt(c);
	assert_int_equal(c->rip, HALT_HERE + 1);
	assert_int_equal(top_of_stack(c), WORLD_CODE + 0x100);
}

/* A kick takes nothing with it. */
static void test_kick_with_others(void **state)
{
	static const uint8_t code[] = { 0xf4 };
	struct soft_cpu *c = start(WORLD_LONG, code, sizeof(code));

	(void)state;
	atomic_store(&c->wake, WAKE_KICK | WAKE_INTERRUPT | WAKE_CODE);
	assert_true(soft_vcpu_loop(c));
	assert_int_equal(atomic_load(&c->wake), WAKE_INTERRUPT | WAKE_CODE);
	assert_int_equal(atomic_load(&c->inside), 0);
}

/* Of a chain of loads of SS only the first keeps an NMI out. */
static void test_loads_of_ss(void **state)
{
	uint8_t code[512];
	struct soft_cpu *c;

	(void)state;
	for (size_t i = 0; i < sizeof(code); i += 2)
		memcpy(code + i, "\x8e\xd0", 2); /* mov ss, ax */
	c = start(WORLD_LONG, code, sizeof(code));
	c->gpr[R_AX] = WORLD_SS;
	gate64(EX_NMI, HALT_HERE, 0x8e);
	c->single_step = true;
	assert_false(soft_execute(c)); /* the first */
	c->single_step = false;
	lapic_accept(c, DELIVER_NMI, 0, false);
	run_to_halt(c);
	assert_int_equal(c->rip, HALT_HERE + 1);
	assert_int_equal(top_of_stack(c), WORLD_CODE + 4);
}

static uint16_t user(uint16_t attr)
{
	return (uint16_t)((attr & ~(3U << 5)) | 3U << 5);
}

/* #AC upon #AC has no end where the handler of ring 3 has a stack that is not aligned; a kick is seen
 * all the same, and afterwards the delivery goes on where it was. */
static void test_endless_faults(void **state)
{
	static const uint8_t code[] = { 0x50 }; /* push eax */
	struct soft_cpu *c = start(WORLD_PROTECTED, code, sizeof(code));
	uint64_t gate = HALT_HERE | (uint64_t)WORLD_USER_CS32 << 16 | 0xeeULL << 40;

	(void)state;
	memcpy(world_ram(WORLD_IDT32 + EX_AC * 8, 8), &gate, 8);
	for (unsigned int s = 0; s < 6; s++)
		c->seg[s].attr = user(c->seg[s].attr);
	c->seg[S_CS].selector = WORLD_USER_CS32;
	c->seg[S_SS].selector = WORLD_USER_SS;
	c->cpl = 3;
	c->cr0 |= CR0_AM;
	c->rflags |= FL_AC;
	c->gpr[R_SP] = WORLD_STACK - 2;
	soft_mode_changed(c);
	world_run(c, 1000);
	assert_true(c->redeliver);
	assert_int_equal(c->fault.vector, EX_AC);
	assert_int_equal(c->rip, WORLD_CODE);
	c->gpr[R_SP] = WORLD_STACK;
	atomic_store(&c->wake, 0);
	c->rflags |= 3U << 12; /* so that the handler's HLT is all that is refused */
	while (c->rip == WORLD_CODE)
		world_run(c, 1000);
	assert_false(c->redeliver);
	world_start(c, WORLD_LONG);
	run_to_halt(c);
}

/* What waits for a LAPIC that is off comes when it is on. */
static void test_lapic_enabled(void **state)
{
	static const uint8_t code[] = { 0xfb, 0x90, 0x90, 0xf4 };
	struct soft_cpu *c = start(WORLD_LONG, code, sizeof(code));

	(void)state;
	c->lapic->reg[REG_SVR] = 0xff;
	gate64(LOW, HALT_HERE, 0x8e);
	lapic_accept(c, DELIVER_FIXED, LOW, false);
	run_to_halt(c);
	assert_int_equal(c->rip, WORLD_CODE + sizeof(code));
	lapic_write(c, REG_SVR, SVR_ENABLE | 0xff);
	world_run(c, SLICE_US);
	assert_int_equal(c->rip, HALT_HERE + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_behind_iret),	cmocka_unit_test(test_behind_a_trap_gate),
		cmocka_unit_test(test_nmi_behind_iret), cmocka_unit_test(test_kick_with_others),
		cmocka_unit_test(test_loads_of_ss),	cmocka_unit_test(test_endless_faults),
		cmocka_unit_test(test_lapic_enabled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
