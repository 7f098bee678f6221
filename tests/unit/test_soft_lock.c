/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No LOCK of a guest's becomes a split lock of the host's: an operand on two cache lines is changed by a
 * vCPU that is alone, one on a single line is not (it would stop all others for nothing).
 */
#include "tests/unit/softworld.h"
#include "tests/unit/unit.h"

#include "cmd/vmm/accel/soft/alone.h"
#include "cmd/vmm/accel/soft/soft_mem.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#include <string.h>

#define LINE 64U

void __real_soft_alone_begin(struct soft_cpu *c);
void __wrap_soft_alone_begin(struct soft_cpu *c);

static unsigned int times_alone;

void __wrap_soft_alone_begin(struct soft_cpu *c)
{
	times_alone++;
	__real_soft_alone_begin(c);
	assert_true(c->is_alone);
}

/* By [rbx]; the source is EAX's kin or an immediate of 1. Widths 1, 2, 4, 8 by byte opcode, 66 and REX.W. */
struct locked {
	const char *name;
	uint8_t byte[4], wide[4];
	uint8_t len;
	uint8_t widths; /* bits of 1, 2, 4, 8 */
};

static const struct locked all[] = {
	{ "add", { 0x00, 0x0b }, { 0x01, 0x0b }, 2, 0xf },
	{ "or", { 0x08, 0x0b }, { 0x09, 0x0b }, 2, 0xf },
	{ "adc", { 0x10, 0x0b }, { 0x11, 0x0b }, 2, 0xf },
	{ "sbb", { 0x18, 0x0b }, { 0x19, 0x0b }, 2, 0xf },
	{ "and", { 0x20, 0x0b }, { 0x21, 0x0b }, 2, 0xf },
	{ "sub", { 0x28, 0x0b }, { 0x29, 0x0b }, 2, 0xf },
	{ "xor", { 0x30, 0x0b }, { 0x31, 0x0b }, 2, 0xf },
	{ "add imm", { 0x80, 0x03, 1 }, { 0x83, 0x03, 1 }, 3, 0xf },
	{ "xchg", { 0x86, 0x0b }, { 0x87, 0x0b }, 2, 0xf },
	{ "inc", { 0xfe, 0x03 }, { 0xff, 0x03 }, 2, 0xf },
	{ "dec", { 0xfe, 0x0b }, { 0xff, 0x0b }, 2, 0xf },
	{ "not", { 0xf6, 0x13 }, { 0xf7, 0x13 }, 2, 0xf },
	{ "neg", { 0xf6, 0x1b }, { 0xf7, 0x1b }, 2, 0xf },
	{ "xadd", { 0x0f, 0xc0, 0x0b }, { 0x0f, 0xc1, 0x0b }, 3, 0xf },
	{ "cmpxchg", { 0x0f, 0xb0, 0x0b }, { 0x0f, 0xb1, 0x0b }, 3, 0xf },
	{ "bts", { 0 }, { 0x0f, 0xba, 0x2b, 1 }, 4, 0xe },
	{ "btr", { 0 }, { 0x0f, 0xba, 0x33, 1 }, 4, 0xe },
	{ "btc", { 0 }, { 0x0f, 0xba, 0x3b, 1 }, 4, 0xe },
	{ "bts reg", { 0 }, { 0x0f, 0xab, 0x13 }, 3, 0xe },
};

static void put_locked(const struct locked *l, unsigned int width, bool lock)
{
	uint8_t code[16] = { 0 };
	size_t n = 0;

	if (lock)
		code[n++] = 0xf0;
	if (width == 2)
		code[n++] = 0x66;
	if (width == 8)
		code[n++] = 0x48;
	memcpy(code + n, width == 1 ? l->byte : l->wide, l->len);
	memcpy(world_ram(WORLD_CODE, sizeof(code)), code, sizeof(code));
}

/* What memory and CX are after the instruction at this offset into a line. */
static void step(struct soft_cpu *c, const struct locked *l, unsigned int width,
		 unsigned int offset, bool lock, uint8_t memory[16], uint64_t *cx)
{
	world_start(c, WORLD_LONG);
	for (unsigned int i = 0; i < 16; i++)
		*world_ram(WORLD_DATA + offset + i, 1) = (uint8_t)(0x5a + i);
	put_locked(l, width, lock);
	c->gpr[R_BX] = WORLD_DATA + offset;
	c->gpr[R_CX] = 0x1122334455667788;
	c->gpr[R_DX] = 3;
	memcpy(&c->gpr[R_AX], world_ram(WORLD_DATA + offset, 8), 8); /* CMPXCHG finds it equal */
	c->single_step = true;
	assert_false(soft_execute(c));
	memcpy(memory, world_ram(WORLD_DATA + offset, 16), 16);
	*cx = c->gpr[R_CX];
}

static bool lockless(const struct locked *l)
{
	return l->byte[0] == 0x86; /* XCHG locks without the prefix */
}

static void check_at(struct soft_cpu *c, const struct locked *l, unsigned int width,
		     unsigned int offset)
{
	bool split = offset % LINE + width > LINE;
	uint8_t want[16], got[16];
	uint64_t want_cx, got_cx;

	/* how it is at a place where nothing is split */
	step(c, l, width, 0, true, want, &want_cx);
	times_alone = 0;
	step(c, l, width, offset, true, got, &got_cx);
	if (split)
		assert_true(times_alone > 0);
	else
		assert_int_equal(times_alone, 0);
	assert_false(c->is_alone);
	assert_memory_equal(got, want, width);
	assert_int_equal(got_cx, want_cx);
	times_alone = 0;
	step(c, l, width, offset, false, got, &got_cx);
	if (!lockless(l))
		assert_int_equal(times_alone, 0);
	assert_memory_equal(got, want, width);
}

static void test_every_locked_instruction(void **state)
{
	struct soft_cpu *c = world_new(1)->cpu[0];

	(void)state;
	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
		for (unsigned int w = 0; w < 4; w++)
			for (unsigned int at = LINE - 8; at <= LINE; at++)
				if (all[k].widths & 1U << w)
					check_at(c, &all[k], 1U << w, at);
}

/* CMPXCHG8B may lie anywhere; CMPXCHG16B is aligned or #GP. */
static void test_cmpxchg8b(void **state)
{
	static const uint8_t code[] = { 0xf0, 0x0f, 0xc7, 0x0b };
	struct soft_cpu *c = world_new(1)->cpu[0];

	(void)state;
	for (unsigned int at = LINE - 8; at <= LINE; at++) {
		world_start(c, WORLD_LONG);
		memcpy(world_ram(WORLD_CODE, sizeof(code)), code, sizeof(code));
		c->gpr[R_BX] = WORLD_DATA + at;
		c->gpr[R_AX] = c->gpr[R_DX] = 0;
		c->gpr[R_CX] = 7;
		memset(world_ram(WORLD_DATA + at, 8), 0, 8);
		times_alone = 0;
		c->single_step = true;
		assert_false(soft_execute(c));
		assert_int_equal(times_alone > 0, at % LINE + 8 > LINE);
		assert_int_equal(*world_ram(WORLD_DATA + at + 4, 1), 7);
	}
}

/* A fault on the way gives it back. */
static void test_faults(void **state)
{
	static const uint8_t code[] = { 0xf0, 0x01, 0x0b };
	struct soft_cpu *c = world_new(1)->cpu[0];

	(void)state;
	world_start(c, WORLD_LONG);
	memcpy(world_ram(WORLD_CODE, sizeof(code)), code, sizeof(code));
	memset(world_ram(WORLD_TABLES + 0x3000 + ((WORLD_DATA >> 12) + 1) * 8, 8), 0, 8);
	c->gpr[R_BX] = WORLD_DATA + 4094;
	c->single_step = true;
	assert_true(soft_execute(c));
	assert_int_equal(c->fault.vector, EX_PF);
	assert_false(c->is_alone);
	assert_int_equal(atomic_load(&c->vm->alone), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_locked_instruction),
		cmocka_unit_test(test_cmpxchg8b),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
