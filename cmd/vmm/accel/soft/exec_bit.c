/* SPDX-License-Identifier: Apache-2.0 */
/* BT, BTS, BTR, BTC, BSF, BSR, POPCNT, CRC32, CMPXCHG, CMPXCHG8B and 16B, XADD. */
#include "cmd/vmm/accel/soft/exec.h"
#include "cmd/vmm/accel/soft/operand.h"

/* ---- bit tests ---- */

enum bit { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

INLINE uint64_t bit_result(enum bit op, uint64_t a, uint64_t bit)
{
	/* clang-format off */
	switch (op) {
	case BIT_SET: return a | bit;
	case BIT_RESET: return a & ~bit;
	case BIT_COMPLEMENT: return a ^ bit;
	default: return a;
	}
	/* clang-format on */
}

INLINE void put_carry(struct soft_cpu *c, bool carry)
{
	soft_flags_put(c, (soft_flags_arith(c) & ~FL_CF) | (carry ? FL_CF : 0));
}

/* The operation stands in bits 4:3 of the opcode or, for 0F BA, of ModRM. */
static enum bit bit_op(const struct soft_insn *i)
{
	return (enum bit)((i->opcode == 0xba ? i->modrm : i->opcode) >> 3 & 3);
}

/* A bit offset in a register reaches words on both sides of the operand. */
static uint64_t bit_address(struct soft_cpu *c, const struct soft_insn *i, unsigned int w,
			    uint64_t *bit, bool write)
{
	uint64_t offset = soft_offset(c, i);

	if (i->opcode != 0xba) {
		unsigned int shift = 64 - 8 * w;
		int64_t at = (int64_t)(*bit << shift) >> shift;

		offset += (uint64_t)((at >> (log2_width(w) + 3)) * (int64_t)w);
		if (i->addr_width != 8)
			offset &= width_mask(i->addr_width);
	}
	*bit &= 8 * w - 1;
	return soft_linear(c, i->seg, offset, w, write);
}

INLINE void bit_mem(struct soft_cpu *c, const struct soft_insn *i, unsigned int w, enum bit op,
		    uint64_t bit)
{
	uint64_t at = bit_address(c, i, w, &bit, op != BIT_TEST);
	struct rmw m;

	if (op == BIT_TEST) {
		put_carry(c, soft_read(c, at, w) >> bit & 1);
		return;
	}
	soft_rmw_begin_slow(c, at, w, i->lock, &m);
	while (!rmw_end(c, i, w, &m, bit_result(op, m.old, 1ULL << bit)))
		;
	put_carry(c, m.old >> bit & 1);
}

BODY_RM(bit_test)
{
	enum bit op = bit_op(i);
	uint64_t bit = i->opcode == 0xba ? (uint64_t)i->imm : c->gpr[i->reg];
	uint64_t a;

	if (mem) {
		bit_mem(c, i, w, op, bit);
		return soft_next(c, i);
	}
	bit &= 8 * w - 1;
	a = reg_get(c, i, i->rm, w);
	if (op != BIT_TEST)
		reg_put(c, i, i->rm, w, bit_result(op, a, 1ULL << bit));
	put_carry(c, a >> bit & 1);
	return soft_next(c, i);
}

BODY(bit_test_reg)
{
	return bit_test(c, i, w, false, NULL);
}

BODY(bit_test_mem)
{
	return bit_test(c, i, w, true, NULL);
}

OP_WIDTHS(bit_test_reg_w, bit_test_reg)
OP_WIDTHS(bit_test_mem_w, bit_test_mem)

/* LOCK BT is #UD. */
soft_handler pick_bit_test(const struct soft_insn *i)
{
	if (i->lock && bit_op(i) == BIT_TEST)
		return NULL;
	return i->is_mem ? bit_test_mem_w(i) : bit_test_reg_w(i);
}

/* ---- BSF, BSR, POPCNT ---- */

/* A source of 0 sets ZF and leaves the destination alone. */
BODY_RM(scan)
{
	uint64_t v = src_get(c, i, w, mem, p);
	uint32_t f = soft_flags_arith(c) & ~FL_ZF;

	if (v)
		reg_put(c, i, i->reg, w,
			(uint64_t)(i->opcode == 0xbc ? __builtin_ctzll(v) :
						       63 - __builtin_clzll(v)));
	soft_flags_put(c, f | (v ? 0 : FL_ZF));
	return soft_next(c, i);
}

BODY_RM(popcnt)
{
	uint64_t v = src_get(c, i, w, mem, p);

	reg_put(c, i, i->reg, w, (uint64_t)__builtin_popcountll(v));
	soft_flags_put(c, v ? 0 : FL_ZF);
	return soft_next(c, i);
}

OP_RM_READ(scan_w, scan)
OP_RM_READ(popcnt_w, popcnt)

soft_handler pick_scan(const struct soft_insn *i)
{
	return scan_w(i);
}
soft_handler pick_popcnt(const struct soft_insn *i)
{
	return popcnt_w(i);
}

/* ---- CRC32 ---- */

/* The host's own: a host without SSE 4.2 is not one that soft_open accepts. */
__attribute__((target("sse4.2"))) static uint32_t crc(uint32_t a, uint64_t v, unsigned int w)
{
	/* clang-format off */
	switch (w) {
	case 1: return __builtin_ia32_crc32qi(a, (uint8_t)v);
	case 2: return __builtin_ia32_crc32hi(a, (uint16_t)v);
	case 4: return __builtin_ia32_crc32si(a, (uint32_t)v);
	default: return (uint32_t)__builtin_ia32_crc32di(a, v);
	}
	/* clang-format on */
}

/* F2 0F 38 F0 and F1: the source's width is the operand size, or 1. */
const struct soft_insn *op_crc32(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t v = rm_get(c, i, i->width);

	c->gpr[i->reg] = crc((uint32_t)c->gpr[i->reg], v, i->width);
	return soft_next(c, i);
}

/* ---- CMPXCHG, XADD ---- */

BODY(cmpxchg_mem)
{
	uint64_t a = reg_get(c, i, R_AX, w), v = reg_get(c, i, i->reg, w);
	struct rmw m = rmw_begin(c, i, w, mem_hit(c, i, w, ACC_WRITE));

	while (m.old == a)
		if (rmw_end(c, i, w, &m, v))
			goto done;
	/* the CPU writes what it read; for others nothing has changed */
	rmw_cancel(c, i, &m);
	reg_put(c, i, R_AX, w, m.old);
done:
	cc_set(c, CC_SUB, w, (a - m.old) & width_mask(w), a, m.old);
	return soft_next(c, i);
}

/* Unequal, the destination keeps even its upper half, as on AMD's CPUs. */
BODY(cmpxchg_reg)
{
	uint64_t a = reg_get(c, i, R_AX, w), old = reg_get(c, i, i->rm, w);

	if (a == old)
		reg_put(c, i, i->rm, w, reg_get(c, i, i->reg, w));
	else
		reg_put(c, i, R_AX, w, old);
	cc_set(c, CC_SUB, w, (a - old) & width_mask(w), a, old);
	return soft_next(c, i);
}

BODY(xadd_mem)
{
	uint64_t b = reg_get(c, i, i->reg, w);
	struct rmw m = rmw_begin(c, i, w, mem_hit(c, i, w, ACC_WRITE));

	while (!rmw_end(c, i, w, &m, (m.old + b) & width_mask(w)))
		;
	reg_put(c, i, i->reg, w, m.old);
	cc_set(c, CC_ADD, w, (m.old + b) & width_mask(w), m.old, b);
	return soft_next(c, i);
}

BODY(xadd_reg)
{
	uint64_t a = reg_get(c, i, i->rm, w), b = reg_get(c, i, i->reg, w);
	uint64_t r = (a + b) & width_mask(w);

	reg_put(c, i, i->reg, w, a);
	reg_put(c, i, i->rm, w, r);
	cc_set(c, CC_ADD, w, r, a, b);
	return soft_next(c, i);
}

OP_WIDTHS(cmpxchg_mem_w, cmpxchg_mem)
OP_WIDTHS(cmpxchg_reg_w, cmpxchg_reg)
OP_WIDTHS(xadd_mem_w, xadd_mem)
OP_WIDTHS(xadd_reg_w, xadd_reg)

soft_handler pick_cmpxchg(const struct soft_insn *i)
{
	return i->is_mem ? cmpxchg_mem_w(i) : cmpxchg_reg_w(i);
}

soft_handler pick_xadd(const struct soft_insn *i)
{
	return i->is_mem ? xadd_mem_w(i) : xadd_reg_w(i);
}

/* ---- CMPXCHG8B, CMPXCHG16B ---- */

static void put_zero(struct soft_cpu *c, bool zero)
{
	soft_flags_put(c, (soft_flags_arith(c) & ~FL_ZF) | (zero ? FL_ZF : 0));
}

const struct soft_insn *op_cmpxchg8b(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t a = c->gpr[R_DX] << 32 | (uint32_t)c->gpr[R_AX];
	uint64_t v = (uint32_t)c->gpr[R_BX];
	struct rmw m;

	v |= c->gpr[R_CX] << 32;
	m = rmw_begin(c, i, 8, mem_hit(c, i, 8, ACC_WRITE));
	while (m.old == a) {
		if (rmw_end(c, i, 8, &m, v)) {
			put_zero(c, true);
			return soft_next(c, i);
		}
	}
	rmw_cancel(c, i, &m);
	c->gpr[R_AX] = (uint32_t)m.old;
	c->gpr[R_DX] = m.old >> 32;
	put_zero(c, false);
	return soft_next(c, i);
}

/* Aligned, so never on two pages; locked on the host whether it is in the guest or not. */
__attribute__((target("cx16"))) static bool cas16(wide *p, uint64_t *low, uint64_t *high,
						  uint64_t new_low, uint64_t new_high)
{
	bool done;

	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(done), "+m"(*p), "+a"(*low), "+d"(*high)
			 : "b"(new_low), "c"(new_high)
			 : "memory");
	return done;
}

const struct soft_insn *op_cmpxchg16b(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t low = c->gpr[R_AX], high = c->gpr[R_DX];
	uint64_t base = i->seg >= S_FS ? c->seg[i->seg].base : 0; /* 64-bit code only */
	void *p;
	bool done;

	/* the host's own would fault: a base that does not count must not count here either */
	if ((soft_offset(c, i) + base) & 15)
		RAISE_GP0(c);
	p = soft_host_rmw(c, mem_address(c, i, 16, true), 16, c->mmu);
	if (!p) /* device memory: no device has such registers */
		RAISE_GP0(c);
	done = cas16(p, &low, &high, c->gpr[R_BX], c->gpr[R_CX]);
	if (!done) {
		c->gpr[R_AX] = low;
		c->gpr[R_DX] = high;
	}
	put_zero(c, done);
	return soft_next(c, i);
}

soft_handler pick_cmpxchg8b(const struct soft_insn *i)
{
	return i->width == 8 ? op_cmpxchg16b : op_cmpxchg8b;
}
