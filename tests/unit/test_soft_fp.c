/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floating-point and vector instructions of the software CPU against the host's: every row of
 * fp_tables.c with random operands, register and memory forms, both must end alike.
 *
 *	test_soft_fp [cases-per-form [seed [map opcode]]]
 */
#include "tests/unit/soft_guest.h"
#include "tests/unit/soft_vendor.h"

#include "cmd/vmm/accel/soft/decode.h"
#include "cmd/vmm/accel/soft/fp_state.h"

#include <string.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- random numbers of the kind that arithmetic minds ---- */

static uint64_t seed = 1;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dULL;
}

static bool one_in(unsigned int n)
{
	return (rnd() >> 33) % n == 0;
}

static uint32_t single(void)
{
	static const uint32_t pool[] = {
		0,	    0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000,
		0xffc12345, 0x7f800001, 0xffa00000, 1,		0x80000001, 0x7fffff,	0x800000,
		0x7f7fffff, 0xff7fffff, 0x4f000000, 0xcf000000, 0x4effffff, 0x5f000000, 0x3f000000,
		0x40490fdb, 0x4b000000, 0x33800000, 0x12345678, 0xffffffff, 0x7fffffff, 0x00ff00ff,
	};

	if (one_in(3))
		return (uint32_t)rnd();
	if (one_in(3)) /* of ordinary size */
		return (uint32_t)((rnd() & 0x807fffff) | (0x70 + (rnd() >> 40) % 0x20) << 23);
	return pool[(rnd() >> 33) % (sizeof(pool) / sizeof(pool[0]))];
}

static uint64_t twice(void)
{
	static const uint64_t pool[] = {
		/* clang-format off */
		0, 1ULL << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
		0xfff0000000000000, 0x7ff8000000000000, 0xfff8123456789abc, 0x7ff0000000000001,
		1, 0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0xffefffffffffffff,
		0x41e0000000000000, 0xc1e0000000000000, 0x41dfffffffc00000, 0x43e0000000000000,
		0xc3e0000000000000, 0x3fe0000000000000, 0x4330000000000001, 0x36a0000000000000,
		0x3690000000000000, 0x47efffffe0000000, 0x47f0000000000000, 0x380fffffffffffff,
		/* clang-format on */
	};

	if (one_in(3))
		return (uint64_t)single() << 32 | single();
	if (one_in(3))
		return rnd();
	if (one_in(3))
		return (rnd() & 0x800fffffffffffff) | (0x3f0 + (rnd() >> 40) % 0x20) << 52;
	return pool[(rnd() >> 33) % (sizeof(pool) / sizeof(pool[0]))];
}

/* 80 bits: all classes, the unsupported ones too. */
static void extended(uint8_t *to)
{
	static const uint16_t exponents[] = { 0,      1,      0x3fff, 0x4000, 0x7fff,
					      0x7ffe, 0x403e, 0x401e, 0x3ffe, 0x3f80,
					      0x3c00, 0x43ff, 0x407f };
	static const uint64_t parts[] = {
		0, 1ULL << 63,	       3ULL << 62,	   ~0ULL,
		1, 0x8000000000000001, 0xc000000000000001, 0xfffffffffffff800
	};
	uint64_t m = one_in(2) ? parts[(rnd() >> 33) % 8] : rnd() | (one_in(8) ? 0 : 1ULL << 63);
	uint16_t e = one_in(3) ? exponents[(rnd() >> 33) % 13] :
				 (uint16_t)(0x3fff + (rnd() >> 40) % 80 - 16);

	if (one_in(12))
		e = (uint16_t)rnd();
	e |= one_in(2) ? 0x8000 : 0;
	memcpy(to, &m, 8);
	memcpy(to + 8, &e, 2);
	memset(to + 10, 0, 6);
}

/* ---- a case ---- */

#define SLOT 512U /* of data that an operand may touch */

struct test {
	uint8_t code[16];
	size_t len;
	unsigned int map, opcode;
	uint64_t address; /* of the operand */
	bool code32;
	struct soft_insn decoded;
	enum soft_decode defined;
};

static uint32_t random_mxcsr(void)
{
	uint32_t v = 0x1f80;

	if (one_in(2))
		v |= (uint32_t)(rnd() >> 40 & 3) << 13;
	if (one_in(3))
		v |= (uint32_t)(rnd() >> 40) & 0x8040;
	if (one_in(4))
		v &= ~(uint32_t)(rnd() >> 40 & 0x1f80);
	if (one_in(2))
		v |= (uint32_t)(rnd() >> 40) & 0x3f & (v >> 7);
	return v;
}

static void random_x87(struct soft_fx *fx)
{
	fx->fcw = (uint16_t)(0x37f ^ (one_in(2) ? (rnd() >> 40 & 0xf00) : 0) ^
			     (one_in(4) ? (rnd() >> 40 & 0x3f) : 0));
	fx->fsw = (uint16_t)(rnd() >> 40 & 0x7f00);
	if (one_in(3))
		fx->fsw |= (uint16_t)(rnd() >> 40 & 0x3f & fx->fcw);
	if (one_in(16))
		fx->fsw |= (uint16_t)(rnd() >> 40 & 0x3f);
	if (fx->fsw & ~fx->fcw & 0x3f)
		fx->fsw |= 0x8080;
	fx->ftw = one_in(3) ? (uint8_t)rnd() : one_in(8) ? 0 : 0xff;
	for (unsigned int r = 0; r < 8; r++)
		extended(fx->st[r].b);
}

static void random_state(struct soft_state *s, const struct test *t)
{
	struct soft_fx *fx = (struct soft_fx *)(void *)s->fx;

	for (unsigned int r = 0; r < 16; r++)
		s->gpr[r] = one_in(2) ? twice() : (rnd() >> 40) % 24 - 4;
	s->gpr[R_BX] = s->gpr[R_SI] = s->gpr[R_DI] = t->address;
	s->gpr[R_BX + 8] = s->gpr[R_SI + 8] = s->gpr[R_DI + 8] = t->address;
	if (t->code32)
		for (unsigned int r = 0; r < 16; r++)
			s->gpr[r] = r < 8 ? (uint32_t)s->gpr[r] : 0;
	s->rip = SOFT_CODE;
	s->rflags = (rnd() >> 20 & FL_ARITH) | 2;
	memset(fx, 0, sizeof(s->fx));
	fx->mxcsr = random_mxcsr();
	fx->mxcsr_mask = 0xffff;
	random_x87(fx);
	for (unsigned int r = 0; r < 16; r++)
		for (unsigned int n = 0; n < 2; n++)
			fx->xmm[r].q[n] = twice();
}

/* At most what an operand covers, and some of what lies around. */
static void random_memory(const struct test *t)
{
	alignas(16) uint8_t image[SLOT + 64];
	uint64_t at = t->address - SOFT_DATA, n = sizeof(image);
	struct soft_fx *fx = (struct soft_fx *)(void *)image;

	for (size_t k = 0; k < n; k += 8) {
		uint64_t v = twice();

		memcpy(image + k, &v, 8);
	}
	if (one_in(3))
		extended(image);
	if (t->opcode == 0xae || t->opcode >= 0xd8) {
		uint32_t v = one_in(8) ? (uint32_t)rnd() : random_mxcsr();

		if (t->opcode == 0xae && one_in(2)) { /* LDMXCSR */
			memcpy(image, &v, 4);
		} else if (t->opcode == 0xae) {
			random_x87(fx);
			fx->mxcsr = v;
		}
	}
	if (at + n > SOFT_DATA_SIZE)
		n = SOFT_DATA_SIZE - at;
	memcpy(soft_host_data + at, image, n);
	memcpy(soft_guest_data + at, image, n);
}

static uint64_t random_address(void)
{
	uint64_t a = SOFT_DATA + (rnd() >> 33) % (SOFT_DATA_WRITABLE - SLOT);

	if (one_in(8)) /* about a page's end, or into what is read-only, or beyond all */
		a = SOFT_DATA + 4096 * (1 + (rnd() >> 33) % 3) - (rnd() >> 33) % 40;
	return one_in(4) ? a : a & ~15ULL;
}

static void make(struct test *t, unsigned int map, unsigned int opcode, unsigned int prefix,
		 unsigned int reg)
{
	static const uint8_t prefixes[4] = { 0, 0x66, 0xf3, 0xf2 };
	static const uint8_t pointers[3] = { 3, 6, 7 };
	uint8_t *p = t->code, modrm;

	t->map = map;
	t->opcode = opcode;
	t->address = random_address();
	t->code32 = soft_host_has_32() && one_in(12);
	if (prefix)
		*p++ = prefixes[prefix];
	if (!t->code32 && one_in(2))
		*p++ = (uint8_t)(0x40 | (rnd() >> 40 & 15));
	if (map)
		*p++ = 0x0f;
	if (map > 1)
		*p++ = map == 2 ? 0x38 : 0x3a;
	*p++ = (uint8_t)opcode;
	modrm = (uint8_t)((reg & 7) << 3);
	if (one_in(2))
		modrm |= pointers[(rnd() >> 33) % 3];
	else
		modrm |= 0xc0 | (rnd() >> 40 & 7);
	*p++ = modrm;
	*p++ = (uint8_t)(one_in(2) ? rnd() >> 40 : (rnd() >> 40) % 18);
	t->defined =
		soft_decode(t->code32 ? CODE_32 : CODE_64, t->code, sizeof(t->code), &t->decoded);
	t->len = t->decoded.len;
}

/* ---- what may differ ---- */

/* FIP, FDP, FOP and their selectors: vendors differ in when they are kept. */
static void hide_image(uint8_t *image)
{
	memset(image + 5, 0, 19);
	memset(image + 28, 0, 4); /* MXCSR_MASK */
}

static void hide_memory(const struct test *t, uint8_t *data)
{
	uint8_t *p = data + (t->address - SOFT_DATA);
	unsigned int reg = t->decoded.modrm >> 3 & 7;
	bool env = (t->opcode == 0xd9 || t->opcode == 0xdd) && reg == 6 && !t->map;

	if (!t->decoded.is_mem || t->address + SLOT > SOFT_DATA + SOFT_DATA_SIZE)
		return;
	if (t->map == 1 && t->opcode == 0xae && reg == 0)
		hide_image(p);
	else if (env && t->decoded.width != 2)
		memset(p + 12, 0, 16);
	else if (env)
		memset(p + 6, 0, 8);
}

/* Which other flags an unmasked SSE exception leaves is the processor's choice as far as the manual
 * goes (SDM volume 1, 11.5.2.3): whether PE comes along, and the order in which DPPS and DPPD meet
 * the exceptions of their several steps. */
static void hide_flags(const struct test *t, const struct soft_end *e, struct soft_fx *fx)
{
	bool steps = t->map == 3 && (t->opcode & 0xfe) == 0x40;

	if (e->vector == EX_XM)
		fx->mxcsr &= ~(steps ? 0x3fU : 0x20U);
}

static void hide(const struct test *t, struct soft_state *s, struct soft_end *e)
{
	hide_image(s->fx);
	hide_flags(t, e, (struct soft_fx *)(void *)s->fx);
	s->rflags &= FL_ARITH;
	/* microcode reads and writes environments and images from their end */
	if (!t->map || (t->map == 1 && t->opcode == 0xae))
		e->cr2 &= ~0xfffULL;
	if (e->vector != EX_PF)
		e->error = 0;
	if (t->code32)
		for (unsigned int r = 0; r < 16; r++)
			s->gpr[r] = r < 8 ? (uint32_t)s->gpr[r] : 0;
}

/* Host instructions that the software CPU does not have: XSAVE's family, CLWB, CLFLUSHOPT; AMD's
 * MOVNTSS and MOVNTSD. And those that change the host's FS base, on which the C library stands. */
static bool not_ours(const struct test *t)
{
	unsigned int reg = t->decoded.modrm >> 3 & 7;

	if (t->map == 1 && t->opcode == 0xae && t->decoded.rep)
		return true;
	if (t->defined != DECODE_UD || t->map != 1)
		return false;
	return (t->opcode == 0xae && reg >= 4) || (t->opcode == 0x2b && t->decoded.rep);
}

/* Faults that depend on how the processor goes about it: images that meet two of them, bytes that
 * MASKMOVDQU leaves out. */
static bool unsure(const struct test *t)
{
	uint64_t end = SOFT_DATA + SOFT_DATA_WRITABLE;

	if (t->map != 1)
		return false;
	return (t->opcode == 0xae && t->address >= end && t->decoded.is_mem) ||
	       (t->opcode == 0xf7 && t->address + 16 > end);
}

/* ---- reports ---- */

static unsigned int failures, cases, vectors[32];

static void print_bytes(const char *what, const uint8_t *p, size_t n)
{
	printf(" %s", what);
	for (size_t k = 0; k < n; k++)
		printf("%02x", p[k]);
}

static void print_value(const char *what, unsigned int n, const uint8_t *before,
			const uint8_t *host, const uint8_t *guest, size_t len)
{
	if (!memcmp(host, guest, len))
		return;
	printf("   %s%u", what, n);
	print_bytes("before ", before, len);
	print_bytes("host ", host, len);
	print_bytes("soft ", guest, len);
	printf("\n");
}

static void report(const struct test *t, const struct soft_state *before,
		   const struct soft_state *host, const struct soft_state *guest,
		   const struct soft_end *he, const struct soft_end *ge)
{
	const struct soft_fx *b = (const void *)before->fx, *h = (const void *)host->fx;
	const struct soft_fx *g = (const void *)guest->fx;

	if (++failures > 40)
		return;
	print_bytes("insn ", t->code, t->len);
	printf(" %s end host %u/%x soft %u/%x rip %llx %llx mxcsr %x fcw %x fsw %x ftw %x\n",
	       t->code32 ? "32" : "64", he->vector, he->error, ge->vector, ge->error,
	       (unsigned long long)(host->rip - SOFT_CODE),
	       (unsigned long long)(guest->rip - SOFT_CODE), b->mxcsr, b->fcw, b->fsw, b->ftw);
	if (host->rflags != guest->rflags)
		printf("   flags host %lx soft %lx\n", host->rflags, guest->rflags);
	if (he->cr2 != ge->cr2)
		printf("   cr2 host %lx soft %lx\n", he->cr2, ge->cr2);
	for (unsigned int r = 0; r < 16; r++)
		print_value("gpr", r, (const uint8_t *)&before->gpr[r],
			    (const uint8_t *)&host->gpr[r], (const uint8_t *)&guest->gpr[r], 8);
	print_value("fcw fsw ftw", 0, before->fx, host->fx, guest->fx, 5);
	print_value("mxcsr", 0, (const uint8_t *)&b->mxcsr, (const uint8_t *)&h->mxcsr,
		    (const uint8_t *)&g->mxcsr, 4);
	for (unsigned int r = 0; r < 8; r++)
		print_value("st", r, b->st[r].b, h->st[r].b, g->st[r].b, 16);
	for (unsigned int r = 0; r < 16; r++)
		print_value("xmm", r, b->xmm[r].b, h->xmm[r].b, g->xmm[r].b, 16);
	if (memcmp(soft_host_data, soft_guest_data, SOFT_DATA_SIZE))
		for (size_t k = 0; k < SOFT_DATA_SIZE; k += 8)
			print_value("memory ", (unsigned int)k, soft_host_data + k,
				    soft_host_data + k, soft_guest_data + k, 8);
}

/* ---- the run ---- */

static bool same(const struct soft_state *a, const struct soft_state *b, const struct soft_end *ae,
		 const struct soft_end *be)
{
	return !memcmp(a->gpr, b->gpr, sizeof(a->gpr)) && a->rip == b->rip &&
	       a->rflags == b->rflags && !memcmp(a->fx, b->fx, 416) && ae->vector == be->vector &&
	       ae->error == be->error && ae->cr2 == be->cr2 &&
	       !memcmp(soft_host_data, soft_guest_data, SOFT_DATA_SIZE);
}

static uint8_t data_before[SOFT_DATA_SIZE];

/* Once on the host, held against what the interpreter left. */
static bool agrees(const struct test *t, const struct soft_state *before,
		   const struct soft_state *guest, const struct soft_end *ge,
		   struct soft_state *host, struct soft_end *he)
{
	const struct soft_vendor_case v = { before, soft_guest_code, data_before, t->code32 };

	*host = *before;
	*he = (struct soft_end){ 0 };
	memcpy(soft_host_data, data_before, SOFT_DATA_SIZE);
	native_run(host, t->code32, he);
	hide(t, host, he);
	hide_memory(t, soft_host_data);
	soft_vendor_level(&v, host, he, soft_host_data, guest, ge, soft_guest_data);
	return same(host, guest, he, ge);
}

static void run(const struct test *t)
{
	alignas(16) struct soft_state before, host, guest; /* so that fx is aligned */
	struct soft_end he, ge = { 0 };
	bool agreed = false;

	if (not_ours(t) || unsure(t))
		return;
	memset(soft_host_code, 0xcc, 32);
	memcpy(soft_host_code, t->code, t->len);
	memcpy(soft_guest_code, soft_host_code, 32);
	random_memory(t);
	random_state(&before, t);
	memcpy(data_before, soft_host_data, SOFT_DATA_SIZE);
	guest = before;
	interpreted_run(&guest, t->code32, &ge);
	hide(t, &guest, &ge);
	hide_memory(t, soft_guest_data);
	for (unsigned int n = 0; n < SOFT_HOST_RUNS && !agreed; n++)
		agreed = agrees(t, &before, &guest, &ge, &host, &he);
	cases++;
	vectors[he.vector & 31]++;
	if (!agreed) {
		report(t, &before, &host, &guest, &he, &ge);
		memcpy(soft_guest_data, soft_host_data, SOFT_DATA_SIZE);
	}
}

static void run_form(unsigned int map, unsigned int opcode, unsigned int prefix, unsigned int n)
{
	for (unsigned int k = 0; k < n; k++) {
		struct test t = { .len = 0 };

		make(&t, map, opcode, prefix, k);
		run(&t);
	}
}

static bool ours(const struct soft_opcode *o)
{
	return o->fn || o->pick || o->group || o->prefix;
}

static void run_map(const struct soft_opcode *map, unsigned int m, unsigned int n)
{
	for (unsigned int op = 0; op < 256; op++)
		for (unsigned int prefix = 0; ours(&map[op]) && prefix < 4; prefix++)
			run_form(m, op, prefix, m ? n : 4 * n);
}

int main(int argc, char **argv)
{
	static const struct soft_opcode *const maps[4] = { soft_fp_map0, soft_fp_map1, soft_fp_map2,
							   soft_fp_map3 };
	unsigned int n = argc > 1 ? (unsigned int)atoi(argv[1]) : 200;

	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0);
	if (!soft_fp_host_ok())
		return 77;
	soft_host_init();
	soft_guest_init();
	if (argc > 4)
		for (unsigned int p = 0; p < 4; p++)
			run_form((unsigned int)atoi(argv[3]),
				 (unsigned int)strtoul(argv[4], NULL, 16), p, n);
	else
		for (unsigned int m = 0; m < 4; m++)
			run_map(maps[m], m, n);
	printf("%u cases, %u differ; ends:", cases, failures);
	for (unsigned int v = 0; v < 32; v++)
		if (vectors[v])
			printf(" %u: %u", v, vectors[v]);
	printf("\n");
	return failures != 0;
}
