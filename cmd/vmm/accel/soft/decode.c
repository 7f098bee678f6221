/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder; see decode.h. */
#include "cmd/vmm/accel/soft/decode.h"

#include <string.h>

/* ---- the maps ---- */

static const struct soft_opcode *const parts[4][3] = {
	{ soft_int_map0, soft_sys_map0, soft_fp_map0 },
	{ soft_int_map1, soft_sys_map1, soft_fp_map1 },
	{ soft_int_map2, NULL, soft_fp_map2 },
	{ soft_int_map3, NULL, soft_fp_map3 },
};

static const struct soft_opcode *maps[4][256];

static bool present(const struct soft_opcode *o)
{
	return o->fn || o->pick || o->group || o->prefix;
}

void soft_decode_init(void)
{
	for (unsigned int m = 0; m < 4; m++)
		for (unsigned int op = 0; op < 256; op++)
			for (unsigned int p = 0; p < 3; p++)
				if (parts[m][p] && present(&parts[m][p][op]))
					maps[m][op] = &parts[m][p][op];
}

/* ---- bytes ---- */

struct cursor {
	const uint8_t *bytes;
	size_t len, at;
	bool failed;
};

static uint64_t take(struct cursor *k, unsigned int n)
{
	uint64_t v = 0;

	if (k->len - k->at < n) {
		k->failed = true;
		return 0;
	}
	memcpy(&v, k->bytes + k->at, n);
	k->at += n;
	return v;
}

static int64_t take_signed(struct cursor *k, unsigned int n)
{
	uint64_t v = take(k, n);
	unsigned int shift = 64 - 8 * n;

	return (int64_t)(v << shift) >> shift;
}

/* ---- prefixes ---- */

struct prefixes {
	bool opsize, addrsize, lock;
	uint8_t rep;
	uint8_t rex; /* 0: none */
	int seg;     /* -1: none */
};

/* Handles one prefix byte; false when it is not one. */
static bool prefix(struct prefixes *p, uint8_t b, enum soft_code_mode mode)
{
	/* clang-format off */
	switch (b) {
	case 0x66: p->opsize = true; return true;
	case 0x67: p->addrsize = true; return true;
	case 0xf0: p->lock = true; return true;
	case 0xf2:
	case 0xf3: p->rep = b; return true;
	case 0x64: p->seg = S_FS; return true;
	case 0x65: p->seg = S_GS; return true;
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x26:
		if (mode != CODE_64)
			p->seg = b == 0x2e ? S_CS : b == 0x36 ? S_SS : b == 0x3e ? S_DS : S_ES;
		return true;
	}
	/* clang-format on */
	return false;
}

static uint8_t take_prefixes(struct cursor *k, struct prefixes *p, enum soft_code_mode mode)
{
	uint8_t b = (uint8_t)take(k, 1);

	while (!k->failed) {
		if (prefix(p, b, mode))
			p->rex = 0; /* REX counts only right before the opcode */
		else if (mode == CODE_64 && (b & 0xf0) == 0x40)
			p->rex = b;
		else
			break;
		b = (uint8_t)take(k, 1);
	}
	return b;
}

/* ---- ModRM ---- */

static void modrm16(struct cursor *k, struct soft_insn *i, unsigned int mod, unsigned int rm)
{
	static const uint8_t base[8] = { R_BX, R_BX, R_BP, R_BP, R_SI, R_DI, R_BP, R_BX };
	static const uint8_t index[8] = { R_SI,	       R_DI,	    R_SI,	 R_DI,
					  INSN_NO_REG, INSN_NO_REG, INSN_NO_REG, INSN_NO_REG };

	i->base = base[rm];
	i->index = index[rm];
	if (mod == 0 && rm == 6) {
		i->base = INSN_NO_REG;
		i->disp = (int32_t)take_signed(k, 2);
	} else if (mod == 1) {
		i->disp = (int32_t)take_signed(k, 1);
	} else if (mod == 2) {
		i->disp = (int32_t)take_signed(k, 2);
	}
	i->seg = i->base == R_BP ? S_SS : S_DS;
}

static void sib(struct cursor *k, struct soft_insn *i, unsigned int mod, uint8_t rex)
{
	uint8_t b = (uint8_t)take(k, 1);

	i->scale = b >> 6;
	i->index = (uint8_t)((b >> 3 & 7) | (rex & 2) << 2);
	if (i->index == R_SP)
		i->index = INSN_NO_REG;
	i->base = (uint8_t)((b & 7) | (rex & 1) << 3);
	if ((b & 7) == 5 && mod == 0) {
		i->base = INSN_NO_REG;
		i->disp = (int32_t)take_signed(k, 4);
	}
}

static void modrm32(struct cursor *k, struct soft_insn *i, unsigned int mod, unsigned int rm,
		    uint8_t rex, bool code64)
{
	i->index = INSN_NO_REG;
	if (rm == 4) {
		sib(k, i, mod, rex);
	} else if (rm == 5 && mod == 0) {
		i->base = INSN_NO_REG;
		i->disp = (int32_t)take_signed(k, 4);
		i->rip_relative = code64;
	} else {
		i->base = (uint8_t)(rm | (rex & 1) << 3);
	}
	if (mod == 1)
		i->disp = (int32_t)take_signed(k, 1);
	else if (mod == 2)
		i->disp = (int32_t)take_signed(k, 4);
	i->seg = i->base == R_SP || i->base == R_BP ? S_SS : S_DS;
}

/* Once the length is known: the shape of the memory operand for the fast path. */
static void finish_address(struct soft_insn *i, enum soft_code_mode mode)
{
	int32_t from_start;

	if (i->rip_relative && !__builtin_add_overflow(i->disp, i->len, &from_start)) {
		i->base = INSN_RIP;
		i->disp = from_start;
		i->rip_relative = false;
	}
	if (mode == CODE_64 && i->addr_width == 8 && !i->rip_relative)
		i->flat = i->seg >= S_FS ? FLAT_BASE : FLAT_YES;
}

static void take_modrm(struct cursor *k, struct soft_insn *i, const struct prefixes *p,
		       enum soft_code_mode mode)
{
	unsigned int mod = i->modrm >> 6, rm = i->modrm & 7;

	i->reg = (uint8_t)((i->modrm >> 3 & 7) | (p->rex & 4) << 1);
	i->is_mem = mod != 3;
	if (!i->is_mem) {
		i->rm = (uint8_t)(rm | (p->rex & 1) << 3);
		return;
	}
	if (i->addr_width == 2)
		modrm16(k, i, mod, rm);
	else
		modrm32(k, i, mod, rm, p->rex, mode == CODE_64);
	if (p->seg >= 0)
		i->seg = (uint8_t)p->seg;
}

/* ---- immediates ---- */

static void take_immediate(struct cursor *k, struct soft_insn *i, uint32_t flags,
			   enum soft_code_mode mode)
{
	if (flags & OPF_MOFFS)
		i->imm = (int64_t)take(k, i->addr_width);
	if (flags & OPF_IMM16)
		i->imm = (int64_t)take(k, 2);
	if (flags & OPF_IMM8)
		i->imm = take_signed(k, 1);
	if (flags & OPF_IMMZ)
		i->imm = take_signed(k, i->width == 2 ? 2 : 4);
	if (flags & OPF_IMMV)
		i->imm = take_signed(k, i->width);
	if (flags & OPF_IMM8_2)
		i->imm = (i->imm & 0xffff) | (int64_t)take(k, 1) << 16;
	if (flags & OPF_FAR) {
		uint64_t offset = take(k, i->width == 2 ? 2 : 4);

		i->imm = (int64_t)(offset | take(k, 2) << 32);
	}
	(void)mode;
}

/* ---- one instruction ---- */

static void set_sizes(struct soft_insn *i, const struct prefixes *p, enum soft_code_mode mode)
{
	bool wide = mode != CODE_16;

	if (p->opsize)
		wide = !wide;
	i->width = wide ? 4 : 2;
	if (mode == CODE_64) {
		i->addr_width = p->addrsize ? 4 : 8;
		if (p->rex & 8)
			i->width = 8;
	} else {
		i->addr_width = (mode == CODE_32) != p->addrsize ? 4 : 2;
	}
	i->opsize = p->opsize;
	i->rep = p->rep;
	i->lock = p->lock;
	i->rex = p->rex != 0;
	i->code64 = mode == CODE_64;
	i->base = i->index = INSN_NO_REG;
	i->seg = p->seg >= 0 ? (uint8_t)p->seg : S_DS;
}

static void take_opcode(struct cursor *k, struct soft_insn *i, uint8_t first)
{
	i->map = 0;
	i->opcode = first;
	if (first != 0x0f)
		return;
	i->map = 1;
	i->opcode = (uint8_t)take(k, 1);
	if (i->opcode == 0x38 || i->opcode == 0x3a) {
		i->map = i->opcode == 0x38 ? 2 : 3;
		i->opcode = (uint8_t)take(k, 1);
	}
}

static const struct soft_opcode *by_prefix(const struct soft_opcode *o, const struct soft_insn *i)
{
	unsigned int which = i->rep == 0xf3 ? 2 : i->rep == 0xf2 ? 3 : i->opsize ? 1 : 0;

	return present(&o->prefix[which]) ? &o->prefix[which] : NULL;
}

static enum soft_decode undefined(struct soft_insn *ret)
{
	ret->fn = op_undefined;
	return DECODE_UD;
}

/* The row that applies, after groups and mandatory prefixes; collects the flags on the way. */
static const struct soft_opcode *find_row(struct cursor *k, struct soft_insn *i,
					  const struct prefixes *p, enum soft_code_mode mode,
					  uint32_t *flags)
{
	const struct soft_opcode *o = maps[i->map][i->opcode];
	bool have_modrm = false;

	*flags = 0;
	while (o) {
		*flags |= o->flags;
		if ((o->group || (o->flags & OPF_MODRM)) && !have_modrm) {
			i->modrm = (uint8_t)take(k, 1);
			if (k->failed)
				return NULL;
			take_modrm(k, i, p, mode);
			have_modrm = true;
		}
		if (o->prefix)
			o = by_prefix(o, i);
		else if (o->group)
			o = present(&o->group[i->modrm >> 3 & 7]) ? &o->group[i->modrm >> 3 & 7] :
								    NULL;
		else
			break;
	}
	return o;
}

static bool lock_allowed(const struct soft_insn *i, uint32_t flags)
{
	return !i->lock || ((flags & OPF_LOCK) && i->is_mem);
}

static bool form_allowed(const struct soft_insn *i, uint32_t flags, enum soft_code_mode mode)
{
	if (mode == CODE_64 ? flags & OPF_I64 : flags & OPF_O64)
		return false;
	if ((flags & OPF_MEM && !i->is_mem) || (flags & OPF_REG && i->is_mem))
		return false;
	return lock_allowed(i, flags);
}

enum soft_decode soft_decode(enum soft_code_mode mode, const uint8_t *bytes, size_t len,
			     struct soft_insn *ret)
{
	struct cursor k = { .bytes = bytes, .len = len < SOFT_INSN_MAX ? len : SOFT_INSN_MAX };
	struct prefixes p = { .seg = -1 };
	struct soft_insn i = { 0 };
	const struct soft_opcode *o;
	uint32_t flags = 0;

	take_opcode(&k, &i, take_prefixes(&k, &p, mode));
	set_sizes(&i, &p, mode);
	i.rm = (uint8_t)((i.opcode & 7) | (p.rex & 1) << 3); /* of opcodes that hold a register */
	o = k.failed ? NULL : find_row(&k, &i, &p, mode, &flags);
	if (o) {
		if (flags & OPF_BYTE)
			i.width = 1;
		else if ((flags & OPF_D64) && mode == CODE_64)
			i.width = p.opsize && !(p.rex & 8) ? 2 : 8;
		else if ((flags & OPF_F64) && mode == CODE_64)
			i.width = 8;
		take_immediate(&k, &i, flags, mode);
	}
	i.len = (uint8_t)k.at;
	if (!k.failed)
		finish_address(&i, mode);
	*ret = i;
	if (k.failed) {
		ret->fn = op_too_long;
		return len >= SOFT_INSN_MAX ? DECODE_LONG : DECODE_SHORT;
	}
	if (!o || !form_allowed(&i, flags, mode))
		return undefined(ret);
	ret->fn = o->pick ? o->pick(ret) : o->fn;
	if (!ret->fn)
		return undefined(ret);
	return flags & OPF_END ? DECODE_END : DECODE_OK;
}
