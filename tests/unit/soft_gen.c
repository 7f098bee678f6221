/* SPDX-License-Identifier: Apache-2.0 */
/* Random instructions and states; see soft_gen.h. */
#include "tests/unit/soft_gen.h"

#include <string.h>

#define CF 0x001U
#define PF 0x004U
#define AF 0x010U
#define ZF 0x040U
#define SF 0x080U
#define OF 0x800U
#define ARITH (CF | PF | AF | ZF | SF | OF)

static uint64_t seed_state;

void gen_seed(uint64_t seed)
{
	seed_state = seed;
	seed_state = gen_random() ^ gen_random() << 1; /* neighbours must not overlap */
}

/* splitmix64 */
uint64_t gen_random(void)
{
	uint64_t z = seed_state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static unsigned int below(unsigned int n)
{
	return (unsigned int)(gen_random() >> 32) % n;
}

static bool chance(unsigned int percent)
{
	return below(100) < percent;
}

/* A value where mistakes show. */
static uint64_t value(void)
{
	unsigned int bit = below(64);

	switch (below(8)) {
	case 0:
		return below(64);
	case 1:
		return -(uint64_t)below(64);
	case 2:
		return 1ULL << bit;
	case 3:
		return (1ULL << bit) - 1;
	case 4:
		return ~(1ULL << bit);
	case 5:
		return gen_random() & 0xffffffff;
	case 6:
		return gen_random() & 0xffff;
	default:
		return gen_random();
	}
}

/* An address of data: often at the edge of a page, seldom outside. */
static uint64_t data_address(bool aligned)
{
	unsigned int edge = below(4) * 4096;
	uint64_t a;

	if (chance(10))
		a = SOFT_DATA + edge + below(48) - 32;
	else if (chance(1))
		a = gen_random();
	else
		a = SOFT_DATA + below(SOFT_DATA_WRITABLE - 64);
	return aligned && !chance(10) ? a & ~15ULL : a;
}

/* One instruction while it is put together. */
struct making {
	struct gen_case *g;
	const struct gen_row *row;
	uint64_t start;
	uint8_t bytes[32];
	unsigned int len;
	bool opsize, rex_w, addr32;
	uint8_t rex;
	int mem_disp_at; /* a displacement that counts from the end: -1 */
	uint64_t rip_target;
	unsigned int addr_width; /* bytes */
	unsigned int reg;	 /* ModRM.reg or the opcode's, with REX */
	uint32_t count;		 /* immediate, for shifts */
	unsigned int left;	 /* instructions to come */
};

static void put(struct making *m, uint64_t v, unsigned int n)
{
	memcpy(m->bytes + m->len, &v, n);
	m->len += n;
}

static unsigned int width_of(const struct making *m)
{
	if (m->row->flags & GEN_BYTE)
		return 1;
	return m->rex_w ? 8 : m->opsize ? 2 : 4;
}

static void put_prefixes(struct making *m)
{
	uint32_t f = m->row->flags;

	if (m->row->prefix != 0x66 && !(f & GEN_NO66) && !(f & GEN_BYTE) && chance(20)) {
		m->opsize = true;
		put(m, 0x66, 1);
	}
	if (chance(4) && !(f & GEN_REP)) {
		m->addr32 = !m->g->code32; /* 16-bit addresses reach no data */
		if (m->addr32)
			put(m, 0x67, 1);
	}
	if ((f & GEN_REP) && chance(60))
		put(m, chance(50) ? 0xf3 : 0xf2, 1);
	if (chance(2) && !m->g->code32)
		put(m, 0x3e, 1); /* DS: nothing in 64-bit code */
	if (m->row->prefix)
		put(m, m->row->prefix, 1);
}

static void put_rex(struct making *m)
{
	m->rex = 0;
	if (m->g->code32 || !chance(60))
		return;
	m->rex = (uint8_t)(0x40 | below(16));
	if (m->row->flags & GEN_NO_REX_W)
		m->rex &= 0xf7;
	m->rex_w = m->rex & 8;
	put(m, m->rex, 1);
}

static void put_opcode(struct making *m)
{
	uint8_t op = m->row->opcode;

	if (m->row->map)
		put(m, 0x0f, 1);
	if (m->row->map >= 2)
		put(m, m->row->map == 2 ? 0x38 : 0x3a, 1);
	if (m->row->flags & GEN_OPREG) {
		op |= (uint8_t)below(8);
		m->reg = (op & 7U) | (m->rex & 1U) << 3;
	}
	put(m, op, 1);
}

/* Makes base + index * scale + disp come out at `at`, as far as registers can be chosen. */
static void aim(struct making *m, uint64_t at, int base, int index, unsigned int scale,
		int64_t disp)
{
	uint64_t *gpr = m->g->state.gpr;

	if (m->g->n_insns != 1 && chance(70))
		return; /* the registers have been given out already */
	if (index >= 0 && index != base)
		gpr[index] = base >= 0 ? below(16) : (at - (uint64_t)disp) >> scale;
	if (base < 0)
		return;
	if (base == index) {
		gpr[base] = (at - (uint64_t)disp) / (1 + (1U << scale));
		return;
	}
	gpr[base] = at - (uint64_t)disp;
	if (index >= 0)
		gpr[base] -= gpr[index] << scale;
}

static int64_t put_disp(struct making *m, unsigned int mod)
{
	int64_t disp = 0;

	if (mod == 1) {
		disp = (int8_t)gen_random();
		put(m, (uint64_t)disp, 1);
	} else if (mod == 2) {
		disp = (int32_t)gen_random();
		put(m, (uint64_t)disp, 4);
	}
	return disp;
}

static void put_memory(struct making *m, unsigned int reg)
{
	uint64_t at = data_address(m->row->flags & GEN_ALIGNED);
	unsigned int mod = below(3), rm = below(8), scale = 0;
	int base, index = -1;
	int64_t disp;

	put(m, mod << 6 | reg << 3 | rm, 1);
	if (rm == 5 && mod == 0) { /* RIP-relative, or absolute */
		m->mem_disp_at = (int)m->len;
		m->rip_target = at;
		put(m, m->g->code32 ? at : 0, 4);
		if (m->g->code32)
			m->mem_disp_at = -1;
		return;
	}
	base = (int)(rm | (m->rex & 1U) << 3);
	if (rm == 4) {
		uint8_t sib = (uint8_t)gen_random();

		put(m, sib, 1);
		scale = sib >> 6;
		index = (sib >> 3 & 7) | (m->rex & 2) << 2;
		base = (sib & 7) | (m->rex & 1) << 3;
		if (index == 4)
			index = -1;
		if ((sib & 7) == 5 && mod == 0) {
			if (index < 0) {
				put(m, at, 4);
				return;
			}
			disp = (int32_t)gen_random();
			put(m, (uint64_t)disp, 4);
			aim(m, at, -1, index, scale, disp);
			return;
		}
	}
	disp = put_disp(m, mod);
	aim(m, at, base, index, scale, disp);
}

static void put_modrm(struct making *m)
{
	uint32_t f = m->row->flags;
	unsigned int reg;
	bool memory;

	if (m->row->ext == GEN_NONE)
		return;
	reg = m->row->ext == GEN_ANY ? below(8) : (unsigned int)m->row->ext;
	m->reg = reg | (m->rex & 4U) << 1;
	memory = f & GEN_MEM || (!(f & GEN_REG) && chance(60));
	if (f & GEN_UPPER && m->g->n_insns > 1)
		memory = true;
	if (m->row->undef ==
	    UNDEF_SCAN) /* of nothing: the result, which some leave and some extend */
		m->g->state.gpr[m->reg] &= 0xffffffff;
	if (f & GEN_BITOFF && !chance(20))
		m->g->state.gpr[m->reg] = (uint64_t)below(32768) - 16384;
	if (!memory) {
		unsigned int rm = below(8);

		if (f & GEN_UPPER)
			m->g->state.gpr[rm | (m->rex & 1U) << 3] &= 0xffffffff;
		put(m, 0xc0 | reg << 3 | rm, 1);
		return;
	}
	if (f & GEN_LOCK && chance(20)) {
		memmove(m->bytes + 1, m->bytes, m->len);
		m->bytes[0] = 0xf0;
		m->len++;
	}
	put_memory(m, reg);
}

/* To the next instruction, or to INT3s before or behind the code: never back into it. */
static uint64_t displacement(const struct making *m, unsigned int width)
{
	int64_t behind = (int64_t)m->g->len + 17, ahead = (int64_t)m->left * 16, d;

	for (unsigned int try = 0; try < 32; try++) {
		d = width == 1 ? (int8_t)gen_random() : (int32_t)below(3000) - 1500;
		if (d < -behind || d >= ahead)
			return (uint64_t)d;
	}
	return 0;
}

static void put_immediate(struct making *m)
{
	unsigned int z = m->opsize && !m->rex_w ? 2 : 4;
	uint64_t v = chance(50) ? value() : gen_random();

	if (m->row->flags & GEN_REL)
		v = displacement(m, m->row->imm == IMM_8 ? 1 : 4);
	m->count = v & 0xff;
	switch (m->row->imm) {
	case IMM_8:
		put(m, v, 1);
		break;
	case IMM_Z:
		put(m, v, z);
		break;
	case IMM_V:
		put(m, v, m->rex_w ? 8 : z);
		break;
	case IMM_16:
		put(m, v, 2);
		break;
	case IMM_MOFFS:
		put(m, data_address(false), m->addr_width);
		break;
	case IMM_ENTER:
		put(m, below(4096), 2);
		put(m, chance(60) ? 0 : gen_random(), 1);
		break;
	}
}

/* ---- what is defined ---- */

static uint32_t shift_undefined(const struct making *m, unsigned int n, bool is_double)
{
	unsigned int bits = 8 * width_of(m);

	n &= bits == 64 ? 63 : 31;
	if (!n)
		return 0;
	if (is_double && n > bits)
		return ARITH;
	return AF | (n != 1 ? OF : 0) | (n >= bits ? CF : 0);
}

static unsigned int shift_count(const struct making *m)
{
	uint8_t op = m->row->opcode;

	if (m->row->imm == IMM_8)
		return m->count;
	if (m->row->map == 0 && op < 0xd2)
		return 1;
	return (unsigned int)m->g->state.gpr[1];
}

static uint32_t undefined_flags(const struct making *m)
{
	unsigned int n = shift_count(m);
	bool shifts = m->row->undef == UNDEF_SHIFT || m->row->undef == UNDEF_DOUBLE;

	if (shifts && m->g->n_insns > 1 && (m->row->flags & GEN_ALONE))
		return AF | OF | CF; /* by CL, which may have changed on the way */
	switch (m->row->undef) {
	case UNDEF_AF:
		return AF;
	case UNDEF_MUL:
		return SF | ZF | AF | PF;
	case UNDEF_ALL:
		return ARITH;
	case UNDEF_SHIFT:
		return shift_undefined(m, n, false);
	case UNDEF_DOUBLE:
		return shift_undefined(m, n, true);
	case UNDEF_ROTATE:
		return (n & (m->rex_w ? 63 : 31)) == 1 ? 0 : OF;
	case UNDEF_BIT:
		return OF | SF | AF | PF;
	case UNDEF_SCAN:
		return CF | OF | SF | AF | PF;
	case UNDEF_DECIMAL:
		return OF;
	case UNDEF_AAA:
		return OF | SF | ZF | PF;
	case UNDEF_AAM:
		return OF | AF | CF;
	default:
		return 0;
	}
}

static void note_undefined(struct making *m)
{
	m->g->mask &= ~undefined_flags(m);
	if (m->row->undef == UNDEF_DOUBLE &&
	    (shift_count(m) & (m->rex_w ? 63 : 31)) > 8 * width_of(m))
		m->g->skip_result = true;
	if (m->row->flags & GEN_PARTIAL)
		m->g->skip_fault = true;
	if (m->row->flags & GEN_ORDER)
		m->g->any_fault = true;
	if (m->row->undef == UNDEF_APPROX)
		m->g->approx = true;
}

/* ---- states ---- */

static void arrange(struct making *m)
{
	uint64_t *gpr = m->g->state.gpr;

	if (m->row->flags & GEN_REP) {
		gpr[6] = data_address(false);
		gpr[7] = chance(20) ? gpr[6] + below(32) - 16 : data_address(false);
		gpr[1] = chance(10) ? below(5000) : below(300);
	}
	if ((m->row->flags & GEN_DIV) && !chance(20))
		gpr[2] = chance(50) ? 0 : (uint64_t)((int64_t)gpr[0] >> 63);
	if (m->row->opcode == 0xd7 && m->row->map == 0)
		gpr[3] = data_address(false);
	if ((m->row->opcode == 0xc9 || m->row->opcode == 0xc8) && m->row->map == 0)
		gpr[5] = data_address(false);
	if (m->row->opcode >= 0xe0 && m->row->opcode <= 0xe3 && m->row->map == 0)
		gpr[1] = below(4) | (chance(50) ? gen_random() << 32 : 0);
	if (m->row->opcode == 0xc7 && m->row->map == 1 && chance(50))
		gpr[0] = gpr[2] = 0;
}

static void random_state(struct gen_case *g)
{
	struct soft_state *s = &g->state;

	for (unsigned int r = 0; r < 16; r++)
		s->gpr[r] = chance(15) ? data_address(false) : value();
	s->gpr[4] = chance(97) ? SOFT_DATA + 256 + below(SOFT_DATA_WRITABLE - 512) :
				 data_address(false);
	s->rflags = gen_random() & ARITH;
	if (chance(15))
		s->rflags |= 0x400; /* DF */
	for (unsigned int k = 160; k < 416; k += 8) {
		uint64_t v = value();

		memcpy(s->fx + k, &v, 8);
	}
	memcpy(s->fx, "\x7f\x03", 2);
	memcpy(s->fx + 24, "\x80\x1f\0", 4);
}

/* ---- ---- */

static bool fits(const struct gen_case *g, const struct gen_row *row, unsigned int n)
{
	if (row->flags & (g->code32 ? GEN_LONG : GEN_LEGACY))
		return false;
	if (g->n_insns == 1)
		return true;
	if ((row->undef == UNDEF_DOUBLE && row->imm != IMM_8) || row->undef == UNDEF_APPROX ||
	    row->undef == UNDEF_SCAN)
		return false;
	if ((row->flags & GEN_READS) && g->mask != ARITH)
		return false;
	return !(row->flags & GEN_ALONE) || n == g->n_insns - 1;
}

static const struct gen_row *pick_row(const struct gen_case *g, unsigned int n)
{
	unsigned int total = gen_int.count + gen_fp.count;
	const struct gen_row *row;

	do {
		unsigned int k = below(total);

		row = k < gen_int.count ? &gen_int.rows[k] : &gen_fp.rows[k - gen_int.count];
	} while (!fits(g, row, n));
	return row;
}

static void make_one(struct gen_case *g, unsigned int n)
{
	struct making m = {
		.g = g, .row = pick_row(g, n), .mem_disp_at = -1, .left = g->n_insns - n - 1
	};

	g->rows[n] = m.row;
	m.start = g->state.rip + g->len;
	put_prefixes(&m);
	m.addr_width = g->code32 || m.addr32 ? 4 : 8;
	put_rex(&m);
	put_opcode(&m);
	if (n == 0 || chance(30))
		arrange(&m);
	put_modrm(&m);
	put_immediate(&m);
	if (m.mem_disp_at >= 0) {
		uint64_t disp = m.rip_target - (m.start + m.len);

		memcpy(m.bytes + m.mem_disp_at, &disp, 4);
	}
	note_undefined(&m);
	memcpy(g->code + g->len, m.bytes, m.len);
	g->len += m.len;
}

void gen_make(struct gen_case *g, unsigned int n_insns, bool code32)
{
	memset(g, 0, sizeof(*g));
	g->n_insns = n_insns;
	g->code32 = code32;
	g->mask = ARITH;
	random_state(g);
	g->state.rip = SOFT_CODE + 2048 + below(64);
	for (unsigned int n = 0; n < n_insns; n++)
		make_one(g, n);
	if (code32)
		for (unsigned int r = 0; r < 16; r++)
			g->state.gpr[r] = r < 8 ? (uint32_t)g->state.gpr[r] : 0;
}
