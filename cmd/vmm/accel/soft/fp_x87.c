/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87. How instructions run on the host is in fp_x87_run.c.
 *
 * FIP and FDP: address of the last instruction that is no control instruction and of its operand;
 * the host's own never get into the guest's image. The selectors read as zero.
 */
#include "cmd/vmm/accel/soft/fp_ops.h"
#include "cmd/vmm/accel/soft/fp_x87.h"

#define NOINLINE static __attribute__((noinline))

/* ---- state ---- */

static void take_x87(struct soft_cpu *c, const struct soft_fx *from)
{
	c->fx.fcw = from->fcw;
	c->fx.fsw = from->fsw;
	c->fx.ftw = from->ftw;
	memcpy(c->fx.st, from->st, sizeof(c->fx.st));
}

void soft_x87_normalise(struct soft_cpu *c)
{
	c->fx.fcw = (c->fx.fcw & 0x1f7f) | 0x40;
	c->fx.fsw &= (uint16_t) ~(FSW_ES | FSW_B);
	if (c->fx.fsw & ~c->fx.fcw & MXCSR_FLAGS)
		c->fx.fsw |= FSW_ES | FSW_B;
	for (unsigned int r = 0; r < 8; r++)
		memset(c->fx.st[r].b + 10, 0, 6);
}

static void wait_x87(struct soft_cpu *c)
{
	need_x87(c);
	if (UNLIKELY(x87_pending(c)))
		soft_raise(c, EX_MF);
}

static void note_address(struct soft_cpu *c, const struct soft_insn *i)
{
	c->fx.fop = (uint16_t)((i->opcode & 7) << 8 | i->modrm);
	c->fx.fip = c->rip;
}

/* ---- register forms ---- */

/* FUCOMI, FCOMI and the forms that pop. */
static void put_flags(struct soft_cpu *c, const struct soft_insn *i, uint32_t flags)
{
	if ((i->opcode & 0xfb) == 0xdb && i->modrm >= 0xe8 && i->modrm <= 0xf7)
		soft_flags_put(c, flags & ~FL_OF);
}

NOINLINE void run_reg_long(struct soft_cpu *c, const struct soft_insn *i)
{
	const uint8_t *stub = soft_x87_reg[(i->opcode & 7) << 6 | (i->modrm & 63)];
	struct soft_fx out;
	uint32_t flags;

	flags = soft_x87_call(&c->fx, &out, stub, NULL, soft_flags_arith(c));
	take_x87(c, &out);
	put_flags(c, i, flags);
}

NOINLINE void run_reg(struct soft_cpu *c, const struct soft_insn *i)
{
	uint32_t flags;

	wait_x87(c);
	note_address(c, i);
	if (soft_x87_reg_short(c, i, &flags))
		put_flags(c, i, flags);
	else
		run_reg_long(c, i);
}

OP(x87_reg)
{
	run_reg(c, i);
	return soft_next(c, i);
}

/* ---- memory forms ---- */

enum x87_way { BAD, LOAD, STORE, CONTROL_LOAD, CONTROL_STORE, ENV_LOAD, ENV_STORE };

struct x87_form {
	uint8_t way, bytes;
};

#define ENV 28
#define ENV16 14
#define STACK 80

/* By opcode and ModRM.reg. */
/* clang-format off */
static const struct x87_form forms[8][8] = {
	{ { LOAD, 4 }, { LOAD, 4 }, { LOAD, 4 }, { LOAD, 4 },
	  { LOAD, 4 }, { LOAD, 4 }, { LOAD, 4 }, { LOAD, 4 } },
	{ { LOAD, 4 }, { BAD, 0 }, { STORE, 4 }, { STORE, 4 },
	  { ENV_LOAD, ENV }, { CONTROL_LOAD, 2 }, { ENV_STORE, ENV }, { CONTROL_STORE, 2 } },
	{ { LOAD, 4 }, { LOAD, 4 }, { LOAD, 4 }, { LOAD, 4 },
	  { LOAD, 4 }, { LOAD, 4 }, { LOAD, 4 }, { LOAD, 4 } },
	{ { LOAD, 4 }, { STORE, 4 }, { STORE, 4 }, { STORE, 4 },
	  { BAD, 0 }, { LOAD, 10 }, { BAD, 0 }, { STORE, 10 } },
	{ { LOAD, 8 }, { LOAD, 8 }, { LOAD, 8 }, { LOAD, 8 },
	  { LOAD, 8 }, { LOAD, 8 }, { LOAD, 8 }, { LOAD, 8 } },
	{ { LOAD, 8 }, { STORE, 8 }, { STORE, 8 }, { STORE, 8 },
	  { ENV_LOAD, ENV + STACK }, { BAD, 0 }, { ENV_STORE, ENV + STACK }, { CONTROL_STORE, 2 } },
	{ { LOAD, 2 }, { LOAD, 2 }, { LOAD, 2 }, { LOAD, 2 },
	  { LOAD, 2 }, { LOAD, 2 }, { LOAD, 2 }, { LOAD, 2 } },
	{ { LOAD, 2 }, { STORE, 2 }, { STORE, 2 }, { STORE, 2 },
	  { LOAD, 10 }, { LOAD, 8 }, { STORE, 10 }, { STORE, 8 } },
};
/* clang-format on */

static const struct x87_form *form_of(const struct soft_insn *i)
{
	return &forms[i->opcode & 7][i->modrm >> 3 & 7];
}

static const uint8_t *mem_stub(const struct soft_insn *i)
{
	return soft_x87_mem[(i->opcode & 7) << 3 | (i->modrm >> 3 & 7)];
}

NOINLINE void run_load_long(struct soft_cpu *c, const struct soft_insn *i, uint8_t *operand)
{
	struct soft_fx out;

	(void)soft_x87_call(&c->fx, &out, mem_stub(i), operand, 0);
	take_x87(c, &out);
}

NOINLINE void run_load(struct soft_cpu *c, const struct soft_insn *i)
{
	const struct x87_form *f = form_of(i);
	uint8_t operand[16] = { 0 };
	uint64_t linear;

	wait_x87(c);
	linear = mem_address(c, i, f->bytes, false);
	bytes_load(c, linear, operand, f->bytes);
	if (f->way == LOAD) {
		note_address(c, i);
		c->fx.fdp = linear;
		if (soft_x87_load_short(c, i, mem_stub(i), operand))
			return;
	}
	run_load_long(c, i, operand);
}

/* An unmasked exception but for an inexact result keeps the instruction from storing, on Intel's CPUs
 * also from a look at the page. */
static bool stored(const struct soft_fx *out)
{
	return !(out->fsw & ~out->fcw & (MXCSR_FLAGS & ~(1U << 5)));
}

NOINLINE void run_store_long(struct soft_cpu *c, const struct soft_insn *i, uint64_t linear)
{
	unsigned int bytes = form_of(i)->bytes;
	uint8_t operand[16] = { 0 };
	struct soft_fx out;

	(void)soft_x87_call(&c->fx, &out, mem_stub(i), operand, 0);
	if (stored(&out))
		bytes_store(c, linear, operand, bytes);
	take_x87(c, &out);
}

NOINLINE void run_store(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t linear;

	wait_x87(c);
	linear = mem_address(c, i, form_of(i)->bytes, true);
	if (!soft_x87_store_short(c, i, mem_stub(i), linear, form_of(i)->bytes))
		run_store_long(c, i, linear);
	note_address(c, i);
	c->fx.fdp = linear;
}

OP(x87_load)
{
	run_load(c, i);
	return soft_next(c, i);
}

OP(x87_store)
{
	run_store(c, i);
	return soft_next(c, i);
}

/* FNSTCW and FNSTSW: do not wait. */
OP(x87_control_store)
{
	need_x87(c);
	mem_put(c, i, 2, i->opcode == 0xd9 ? c->fx.fcw : c->fx.fsw);
	return soft_next(c, i);
}

/* ---- environments, in the format of protected mode ---- */

static unsigned int env_bytes(const struct soft_insn *i)
{
	unsigned int n = form_of(i)->bytes;

	return i->width == 2 ? n - ENV + ENV16 : n;
}

static const uint8_t *env_stub(const struct soft_insn *i)
{
	unsigned int n = (i->opcode & 7U) << 3 | (i->modrm >> 3 & 7);

	return i->width == 2 ? soft_x87_mem16[n] : soft_x87_mem[n];
}

/* The guest's pointers in place of the host's. */
static void put_pointers(const struct soft_cpu *c, uint8_t *env, bool env32)
{
	uint32_t fip = (uint32_t)c->fx.fip, op = (uint32_t)c->fx.fop << 16;
	uint32_t fdp = (uint32_t)c->fx.fdp, zero = 0;

	if (env32) {
		memcpy(env + 12, &fip, 4);
		memcpy(env + 16, &op, 4);
		memcpy(env + 20, &fdp, 4);
		memcpy(env + 24, &zero, 4);
		return;
	}
	memcpy(env + 6, &fip, 2);
	memcpy(env + 8, &zero, 2);
	memcpy(env + 10, &fdp, 2);
	memcpy(env + 12, &zero, 2);
}

static void get_pointers(struct soft_cpu *c, const uint8_t *env, bool env32)
{
	c->fx.fip = host_load(env + (env32 ? 12 : 6), env32 ? 4 : 2);
	c->fx.fdp = host_load(env + (env32 ? 20 : 10), env32 ? 4 : 2);
	if (env32)
		c->fx.fop = (uint16_t)(host_load(env + 18, 2) & 0x7ff);
}

/* FNSTENV and FNSAVE: do not wait, and a pending exception is saved with the rest. On the host
 * they run without it, so that nothing is pending there; FSW is put by hand. */
NOINLINE void run_env_store(struct soft_cpu *c, const struct soft_insn *i)
{
	uint8_t env[128] = { 0 };
	bool env32 = i->width != 2;
	struct soft_fx in, out;
	uint64_t linear;

	need_x87(c);
	linear = mem_address(c, i, env_bytes(i), true);
	in = c->fx;
	in.fsw &= (uint16_t) ~(MXCSR_FLAGS | FSW_ES | FSW_B);
	(void)soft_x87_call(&in, &out, env_stub(i), env, 0);
	memcpy(env + (env32 ? 4 : 2), &c->fx.fsw, 2);
	put_pointers(c, env, env32);
	bytes_store(c, linear, env, env_bytes(i));
	if (i->opcode == 0xd9) /* FNSTENV keeps the flags, FNSAVE leaves an initial state */
		out.fsw |= c->fx.fsw & MXCSR_FLAGS;
	else
		c->fx.fop = 0, c->fx.fip = c->fx.fdp = 0;
	take_x87(c, &out);
}

NOINLINE void run_env_load(struct soft_cpu *c, const struct soft_insn *i)
{
	uint8_t env[128] = { 0 };
	struct soft_fx out;

	wait_x87(c);
	bytes_load(c, mem_address(c, i, env_bytes(i), false), env, env_bytes(i));
	(void)soft_x87_call(&c->fx, &out, env_stub(i), env, 0);
	take_x87(c, &out);
	get_pointers(c, env, i->width != 2);
}

OP(x87_env_store)
{
	run_env_store(c, i);
	return soft_next(c, i);
}

OP(x87_env_load)
{
	run_env_load(c, i);
	return soft_next(c, i);
}

/* ---- instructions that do not wait ---- */

OP(x87_fnstsw_ax)
{
	need_x87(c);
	c->gpr[R_AX] = (c->gpr[R_AX] & ~0xffffULL) | c->fx.fsw;
	return soft_next(c, i);
}

OP(x87_fnclex)
{
	need_x87(c);
	c->fx.fsw &= (uint16_t) ~(MXCSR_FLAGS | 1U << 6 | FSW_ES | FSW_B);
	return soft_next(c, i);
}

OP(x87_fninit)
{
	need_x87(c);
	soft_fp_set_top(c, 0);
	c->fx.fcw = 0x37f;
	c->fx.fsw = 0;
	c->fx.ftw = 0;
	c->fx.fop = 0;
	c->fx.fip = c->fx.fdp = 0;
	return soft_next(c, i);
}

/* FNENI, FNDISI, FNSETPM: leftovers that do nothing. */
OP(x87_nothing)
{
	need_x87(c);
	return soft_next(c, i);
}

OP(x87_wait)
{
	if ((c->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
		soft_raise(c, EX_NM);
	if (x87_pending(c))
		soft_raise(c, EX_MF);
	return soft_next(c, i);
}

FP_PICK(wait)
{
	(void)i;
	return x87_wait;
}

/* ---- which are there ---- */

/* Register forms by opcode: a bit for each ModRM from C0 on. The undocumented aliases of FCOM,
 * FCOMP, FXCH, FSTP and FFREEP are in: processors run them. SDM volume 2, appendix A.5. */
static const uint64_t defined_reg[8] = {
	~0ULL,
	/* D9: FLD, FXCH, FNOP, FSTP1, FCHS FABS FTST FXAM, constants, D9 F0 to FF */
	0xffff7f33ff01ffffULL,
	/* DA: FCMOVcc, FUCOMPP */
	0x00000200ffffffffULL,
	/* DB: FCMOVNcc, FENI FDISI FCLEX FINIT FSETPM, FUCOMI, FCOMI */
	0x00ffff1fffffffffULL,
	~0ULL,
	/* DD: FFREE, FXCH4, FST, FSTP, FUCOM, FUCOMP */
	0x0000ffffffffffffULL,
	/* DE: FADDP, FMULP, FCOMP5, FCOMPP, FSUBRP… */
	0xffffffff02ffffffULL,
	/* DF: FFREEP, FXCH7, FSTP8, FSTP9, FSTSW AX, FUCOMIP, FCOMIP */
	0x00ffff01ffffffffULL,
};

static soft_handler pick_reg(const struct soft_insn *i)
{
	if (!(defined_reg[i->opcode & 7] >> (i->modrm & 63) & 1))
		return NULL;
	if (i->opcode == 0xdf && i->modrm == 0xe0)
		return x87_fnstsw_ax;
	if (i->opcode != 0xdb || (i->modrm & 0xf8) != 0xe0)
		return x87_reg;
	return i->modrm == 0xe2 ? x87_fnclex : i->modrm == 0xe3 ? x87_fninit : x87_nothing;
}

static soft_handler pick_mem(const struct soft_insn *i)
{
	switch (form_of(i)->way) {
	case LOAD:
	case CONTROL_LOAD:
		return x87_load;
	case STORE:
		return x87_store;
	case CONTROL_STORE:
		return x87_control_store;
	case ENV_LOAD:
		return x87_env_load;
	case ENV_STORE:
		return x87_env_store;
	}
	return NULL;
}

FP_PICK(x87)
{
	return i->is_mem ? pick_mem(i) : pick_reg(i);
}
