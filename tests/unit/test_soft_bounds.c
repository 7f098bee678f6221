/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile code on the software CPU: accesses of every kind around the ends of RAM, page tables and
 * descriptor tables outside it, and random code in every mode. Guard pages around RAM find what
 * reaches beyond it; fuzz_soft.c goes on where this ends.
 */
#include "tests/unit/softworld.h"
#include "tests/unit/unit.h"

#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#define RUN_MICROSECONDS 500
#define RANDOM_CASES 2000
#define RANDOM_MICROSECONDS 300

struct code {
	const char *what;
	uint8_t len, bytes[12];
};

#define CODE(what, ...)                                   \
	{                                                 \
		what, sizeof((uint8_t[]){ __VA_ARGS__ }), \
		{                                         \
			__VA_ARGS__                       \
		}                                         \
	}

/* RBX, RSI, RDI and RSP point to where it hurts. */
static const struct code accesses[] = {
	CODE("mov al, [rbx]", 0x8a, 0x03),
	CODE("mov [rbx], ax", 0x66, 0x89, 0x03),
	CODE("mov eax, [rbx]", 0x8b, 0x03),
	CODE("mov [rbx], rax", 0x48, 0x89, 0x03),
	CODE("add [rbx], eax", 0x01, 0x03),
	CODE("lock xadd [rbx], rax", 0xf0, 0x48, 0x0f, 0xc1, 0x03),
	CODE("lock cmpxchg8b [rbx]", 0xf0, 0x0f, 0xc7, 0x0b),
	CODE("lock cmpxchg16b [rbx]", 0xf0, 0x48, 0x0f, 0xc7, 0x0b),
	CODE("lock bts [rbx], rax", 0xf0, 0x48, 0x0f, 0xab, 0x03),
	CODE("movups xmm0, [rbx]", 0x0f, 0x10, 0x03),
	CODE("movups [rbx], xmm0", 0x0f, 0x11, 0x03),
	CODE("movaps xmm0, [rbx]", 0x0f, 0x28, 0x03),
	CODE("movntps [rbx], xmm0", 0x0f, 0x2b, 0x03),
	CODE("addps xmm0, [rbx]", 0x0f, 0x58, 0x03),
	CODE("pinsrw xmm0, [rbx], 1", 0x66, 0x0f, 0xc4, 0x03, 0x01),
	CODE("maskmovdqu xmm0, xmm0", 0x66, 0x0f, 0xf7, 0xc0),
	CODE("movq mm0, [rbx]", 0x0f, 0x6f, 0x03),
	CODE("fld tbyte [rbx]", 0xdb, 0x2b),
	CODE("fldz; fstp tbyte [rbx]", 0xd9, 0xee, 0xdb, 0x3b),
	CODE("fldz; fbstp [rbx]", 0xd9, 0xee, 0xdf, 0x33),
	CODE("fnsave [rbx]", 0xdd, 0x33),
	CODE("frstor [rbx]", 0xdd, 0x23),
	CODE("fnstenv [rbx], 16 bits", 0x66, 0xd9, 0x33),
	CODE("fxsave64 [rbx]", 0x48, 0x0f, 0xae, 0x03),
	CODE("fxrstor64 [rbx]", 0x48, 0x0f, 0xae, 0x0b),
	CODE("ldmxcsr [rbx]", 0x0f, 0xae, 0x13),
	CODE("rep movsb", 0xf3, 0xa4),
	CODE("std; rep movsq", 0xfd, 0xf3, 0x48, 0xa5),
	CODE("rep stosw", 0xf3, 0x66, 0xab),
	CODE("std; rep stosd", 0xfd, 0xf3, 0xab),
	CODE("repne scasd", 0xf2, 0xaf),
	CODE("repe cmpsb", 0xf3, 0xa6),
	CODE("rep lodsq", 0xf3, 0x48, 0xad),
	CODE("rep insd", 0xf3, 0x6d),
	CODE("rep outsw", 0xf3, 0x66, 0x6f),
	CODE("push rax", 0x50),
	CODE("pop rax", 0x58),
	CODE("push [rbx]; pop [rbx]", 0xff, 0x33, 0x8f, 0x03),
	CODE("enter 16, 31", 0xc8, 0x10, 0x00, 0x1f),
	CODE("call [rbx]", 0xff, 0x13),
	CODE("call far [rbx]", 0x48, 0xff, 0x1b),
	CODE("ret", 0xc3),
	CODE("iretq", 0x48, 0xcf),
	CODE("jmp rbx", 0xff, 0xe3),
	CODE("sgdt [rbx]", 0x0f, 0x01, 0x03),
	CODE("lidt [rbx]; int3", 0x0f, 0x01, 0x1b, 0xcc),
	CODE("lgdt [rbx]; mov ds, ecx", 0x0f, 0x01, 0x13, 0x8e, 0xd9),
	CODE("mov cr3, rbx; nop", 0x0f, 0x22, 0xdb, 0x90),
	CODE("invlpg [rbx]", 0x0f, 0x01, 0x3b),
};

static void put_code(const struct code *k)
{
	memcpy(world_ram(WORLD_CODE, k->len), k->bytes, k->len);
}

static void run_at(const struct code *k, enum world_mode mode, uint64_t at)
{
	struct soft_cpu *c = world_new(1)->cpu[0];

	world_start(c, mode);
	put_code(k);
	c->gpr[R_BX] = c->gpr[R_SI] = c->gpr[R_DI] = c->gpr[R_SP] = c->gpr[R_BP] = at;
	c->gpr[R_CX] = 0x30;
	world_run(c, RUN_MICROSECONDS);
	world_check(c);
}

/* What differs in how it lies across the end: by a byte, by a vector, by an image. */
static void around(uint64_t end, enum world_mode mode)
{
	static const int64_t by[] = { -512, -511, -108, -107, -94, -93, -28, -27, -17, -16,
				      -15,  -10,  -9,	-8,   -7,  -4,	-3,  -2,  -1,  0 };

	for (size_t k = 0; k < ARRAY_SIZE(accesses); k++)
		for (size_t i = 0; i < ARRAY_SIZE(by); i++)
			run_at(&accesses[k], mode, end + (uint64_t)by[i]);
}

static void test_ends_of_ram(void **state)
{
	(void)state;
	around(WORLD_LOW_SIZE, WORLD_LONG);
	around(WORLD_HIGH + WORLD_HIGH_SIZE, WORLD_LONG);
	around(WORLD_UPPER, WORLD_LONG); /* the start, from a place that is not canonical */
}

static void test_ends_for_others(void **state)
{
	(void)state;
	around(WORLD_LOW_SIZE, WORLD_LONG_USER);
	around(WORLD_LOW_SIZE, WORLD_PROTECTED);
	around(UINT64_C(1) << 32, WORLD_PAGING);
}

/* A page that the TLB knows, then an access across its end: the next host page is not RAM. */
static void test_known_page_then_across(void **state)
{
	static const struct code warm = CODE("mov eax, [rbx - 16]; mov [rbx - 16], eax; nop", 0x8b,
					     0x43, 0xf0, 0x89, 0x43, 0xf0);

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(accesses); k++) {
		for (uint64_t by = 1; by < 32; by += 3) {
			struct soft_cpu *c = world_new(1)->cpu[0];
			struct code both = warm;

			memcpy(both.bytes + warm.len, accesses[k].bytes,
			       (size_t)(sizeof(both.bytes) - warm.len));
			both.len = (uint8_t)(warm.len + accesses[k].len);
			if (both.len > sizeof(both.bytes))
				both.len = sizeof(both.bytes);
			world_start(c, WORLD_LONG);
			put_code(&both);
			c->gpr[R_BX] = c->gpr[R_SI] = c->gpr[R_DI] = c->gpr[R_SP] =
				WORLD_HIGH + WORLD_HIGH_SIZE - by;
			c->gpr[R_CX] = 9;
			world_run(c, RUN_MICROSECONDS);
			world_check(c);
		}
	}
}

/* The base of DS does not count in 64-bit code, wherever it is from. */
static void test_stale_base_and_cmpxchg16b(void **state)
{
	static const struct code k = CODE("addr32 lock cmpxchg16b [ebx]; inc eax", 0x67, 0xf0, 0x48,
					  0x0f, 0xc7, 0x0b, 0xff, 0xc0);

	(void)state;
	for (uint64_t by = 0; by < 16; by++) {
		struct soft_cpu *c = world_new(1)->cpu[0];

		world_start(c, WORLD_LONG);
		put_code(&k);
		c->seg[S_DS].base = 16 - by;
		c->gpr[R_BX] = WORLD_DATA + by;
		world_run(c, RUN_MICROSECONDS);
		world_check(c);
	}
}

static void test_tables_outside(void **state)
{
	static const uint64_t entries[] = { 0x20007,	      0x1f007,	     0x10000ff07,
					    0x10000f007,      0xfee00007,    0xfffffff007,
					    0xfffffffffff007, 0x80000000007, 0x87,
					    0x1fe00087 };
	static const struct code k = CODE("mov [rbx], rax; mov rax, [rbx + 4090]", 0x48, 0x89, 0x03,
					  0x48, 0x8b, 0x83, 0xfa, 0x0f, 0, 0);

	(void)state;
	for (unsigned int level = 0; level < 4; level++) {
		for (size_t e = 0; e < ARRAY_SIZE(entries); e++) {
			struct soft_cpu *c = world_new(1)->cpu[0];
			uint64_t slot = WORLD_TABLES + level * 0x1000ULL +
					(level == 3 ? (WORLD_DATA >> 12) * 8 : 0);

			world_start(c, WORLD_LONG);
			put_code(&k);
			memcpy(world_ram(slot, 8), &entries[e], 8);
			c->gpr[R_BX] = WORLD_DATA;
			world_run(c, RUN_MICROSECONDS);
			world_check(c);
		}
	}
}

static uint64_t draw(uint64_t *s)
{
	*s = *s * 6364136223846793005ULL + 1442695040888963407ULL;
	return *s >> 24;
}

/* Random instructions, likelier those with a prefix and a second byte. */
static void fill_random(uint64_t *s)
{
	static const uint8_t starts[] = { 0x0f, 0x48, 0x66, 0xf3, 0xf2, 0xf0, 0x67, 0xd9, 0xdd };

	for (unsigned int i = 0; i < 0x400; i++) {
		uint64_t r = draw(s);
		uint8_t b = r & 0x300 ? (uint8_t)r : starts[(r >> 12) % sizeof(starts)];

		*world_ram(WORLD_CODE + i, 1) = b;
	}
}

static void test_random_code(void **state)
{
	uint64_t s = 42;

	(void)state;
	for (unsigned int n = 0; n < RANDOM_CASES; n++) {
		struct soft_cpu *c = world_new(1)->cpu[0];

		world_start(c, (enum world_mode)(n % 8));
		fill_random(&s);
		for (unsigned int r = 0; r < 16; r++) {
			uint64_t v = draw(&s);

			c->gpr[r] =
				v & 7 ? (v & 8 ? WORLD_HIGH + WORLD_HIGH_SIZE : WORLD_LOW_SIZE) -
						(v >> 4 & 63) :
					v * v;
		}
		world_run(c, RANDOM_MICROSECONDS);
		world_check(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends_of_ram),
		cmocka_unit_test(test_ends_for_others),
		cmocka_unit_test(test_known_page_then_across),
		cmocka_unit_test(test_stale_base_and_cmpxchg16b),
		cmocka_unit_test(test_tables_outside),
		cmocka_unit_test(test_random_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
