/* SPDX-License-Identifier: Apache-2.0 */
/* Far jumps, calls and returns, and IRET; see seg.h. */
#include "cmd/vmm/accel/soft/seg.h"

static void set_code(struct soft_cpu *c, uint16_t selector, const struct soft_desc *d, uint8_t cpl)
{
	soft_set_segment(c, S_CS, (uint16_t)((selector & ~3U) | cpl), d);
	c->cpl = cpl;
	soft_mode_changed(c);
}

static void check_code(struct soft_cpu *c, uint16_t selector, const struct soft_desc *d,
		       enum soft_vector absent)
{
	if (!(d->attr & SEG_S) || !(d->attr & SEG_CODE))
		soft_raise_error(c, EX_GP, selector & ~3U);
	if ((d->attr & SEG_L) && (d->attr & SEG_DB) && soft_long_mode(c))
		soft_raise_error(c, EX_GP, selector & ~3U);
	if (!(d->attr & SEG_P))
		soft_raise_error(c, absent, selector & ~3U);
}

/* The target of a far jump or call at the same privilege. */
static void direct_target(struct soft_cpu *c, uint16_t selector, struct soft_desc *d)
{
	if (!(selector & ~3))
		RAISE_GP0(c);
	soft_desc_read(c, selector, EX_GP, d);
	check_code(c, selector, d, EX_NP);
	if (d->attr & SEG_DC ? SEG_DPL(d->attr) > c->cpl :
			       SEG_DPL(d->attr) != c->cpl || (selector & 3) > c->cpl)
		soft_raise_error(c, EX_GP, selector & ~3U);
}

static uint64_t check_target(struct soft_cpu *c, const struct soft_desc *d, uint64_t offset)
{
	if (soft_long_mode(c) && (d->attr & SEG_L)) {
		if (!soft_canonical(offset))
			RAISE_GP0(c);
		return offset;
	}
	if ((uint32_t)offset > d->limit)
		RAISE_GP0(c);
	return (uint32_t)offset;
}

void soft_far_jump(struct soft_cpu *c, uint16_t selector, uint64_t offset)
{
	struct soft_desc d;

	if (!soft_protected(c)) {
		soft_load_real_segment(c, S_CS, selector);
		c->rip = (uint32_t)offset;
		return;
	}
	direct_target(c, selector, &d);
	offset = check_target(c, &d, offset);
	soft_mark_accessed(c, &d);
	set_code(c, selector, &d, c->cpl);
	c->rip = offset;
}

void soft_far_call(struct soft_cpu *c, uint16_t selector, uint64_t offset, unsigned int op_width,
		   unsigned int insn_len)
{
	uint64_t sp = c->gpr[R_SP];
	uint64_t back = c->rip + insn_len;
	struct soft_desc d;

	if (soft_protected(c)) {
		direct_target(c, selector, &d);
		offset = check_target(c, &d, offset);
	}
	soft_push_at(c, &sp, c->seg[S_CS].selector, op_width);
	soft_push_at(c, &sp, back, op_width);
	if (!soft_protected(c)) {
		soft_set_sp(c, sp);
		soft_load_real_segment(c, S_CS, selector);
		c->rip = (uint32_t)offset;
		return;
	}
	soft_mark_accessed(c, &d); /* may fault */
	soft_set_sp(c, sp);
	set_code(c, selector, &d, c->cpl);
	c->rip = offset;
}

/* ---- returns ---- */

/* What a return to another privilege pops beside CS and RIP. */
struct frame {
	uint64_t rip, flags, sp;
	uint16_t cs, ss;
	bool has_stack;
};

/* After a return to a less privileged level, data segments that it may not use become null. */
static void drop_data_segments(struct soft_cpu *c)
{
	static const enum soft_sreg data[] = { S_ES, S_DS, S_FS, S_GS };

	for (unsigned int i = 0; i < 4; i++) {
		struct soft_segment *s = &c->seg[data[i]];
		bool conforming = (s->attr & SEG_CODE) && (s->attr & SEG_DC);

		if ((s->attr & SEG_P) && !conforming && SEG_DPL(s->attr) < c->cpl) {
			s->selector = 0;
			s->attr = 0;
		}
	}
}

static void check_return_code(struct soft_cpu *c, uint16_t cs, struct soft_desc *d)
{
	unsigned int rpl = cs & 3;

	if (!(cs & ~3))
		RAISE_GP0(c);
	soft_desc_read(c, cs, EX_GP, d);
	check_code(c, cs, d, EX_NP);
	if (rpl < c->cpl || (d->attr & SEG_DC ? SEG_DPL(d->attr) > rpl : SEG_DPL(d->attr) != rpl))
		soft_raise_error(c, EX_GP, cs & ~3U);
}

/* The stack segment of a return; may be null in 64-bit code below ring 3. */
static void check_return_stack(struct soft_cpu *c, uint16_t ss, unsigned int rpl, bool to64,
			       struct soft_desc *d)
{
	if (!(ss & ~3)) {
		if (!to64 || rpl == 3 || (ss & 3) != rpl)
			RAISE_GP0(c);
		*d = (struct soft_desc){ .attr = (uint16_t)(SEG_P | SEG_S | SEG_RW | SEG_DB |
							    rpl << 5) };
		return;
	}
	soft_desc_read(c, ss, EX_GP, d);
	if ((ss & 3U) != rpl || !(d->attr & SEG_S) || (d->attr & (SEG_CODE | SEG_RW)) != SEG_RW ||
	    SEG_DPL(d->attr) != rpl)
		soft_raise_error(c, EX_GP, ss & ~3U);
	if (!(d->attr & SEG_P))
		soft_raise_error(c, EX_SS, ss & ~3U);
	soft_mark_accessed(c, d);
}

static void return_to(struct soft_cpu *c, const struct frame *f, uint64_t sp_after)
{
	unsigned int rpl = f->cs & 3;
	struct soft_desc code, stack;
	uint64_t rip;
	bool to64;

	check_return_code(c, f->cs, &code);
	to64 = soft_long_mode(c) && (code.attr & SEG_L);
	rip = check_target(c, &code, f->rip);
	if (f->has_stack)
		check_return_stack(c, f->ss, rpl, to64, &stack);
	soft_mark_accessed(c, &code);
	if (!f->has_stack) {
		soft_set_sp(c, sp_after);
		set_code(c, f->cs, &code, (uint8_t)rpl);
		c->rip = rip;
		return;
	}
	set_code(c, f->cs, &code, (uint8_t)rpl);
	c->seg[S_SS] = (struct soft_segment){ f->ss, stack.attr, stack.limit, stack.base };
	soft_mode_changed(c);
	if (to64)
		c->gpr[R_SP] = f->sp;
	else
		soft_set_sp(c, f->sp);
	drop_data_segments(c);
	c->rip = rip;
}

void soft_far_ret(struct soft_cpu *c, unsigned int op_width, unsigned int extra)
{
	uint64_t sp = c->gpr[R_SP];
	struct frame f = { 0 };

	f.rip = soft_pop_at(c, &sp, op_width);
	f.cs = (uint16_t)soft_pop_at(c, &sp, op_width);
	sp += extra;
	if (!soft_protected(c)) {
		soft_set_sp(c, sp);
		soft_load_real_segment(c, S_CS, f.cs);
		c->rip = (uint32_t)f.rip;
		return;
	}
	if ((f.cs & 3) > c->cpl) {
		f.has_stack = true;
		f.sp = soft_pop_at(c, &sp, op_width) + extra;
		f.ss = (uint16_t)soft_pop_at(c, &sp, op_width);
	}
	return_to(c, &f, sp);
}

/* Which bits of RFLAGS an IRET of this width at this privilege may change. */
static uint64_t iret_mask(const struct soft_cpu *c, unsigned int op_width)
{
	uint64_t mask = FL_ARITH | FL_TF | FL_DF | FL_NT;

	if (op_width > 2)
		mask |= FL_RF | FL_AC | FL_ID;
	if (c->cpl <= ((c->rflags & FL_IOPL) >> 12))
		mask |= FL_IF;
	if (c->cpl == 0)
		mask |= FL_IOPL | (op_width > 2 ? FL_VIF | FL_VIP : 0);
	return mask;
}

void soft_iret(struct soft_cpu *c, unsigned int op_width)
{
	uint64_t sp = c->gpr[R_SP];
	uint64_t old = soft_flags_get(c);
	struct frame f = { 0 };
	uint64_t mask = iret_mask(c, op_width);

	if (soft_long_mode(c) && (c->rflags & FL_NT))
		RAISE_GP0(c);
	f.rip = soft_pop_at(c, &sp, op_width);
	f.cs = (uint16_t)soft_pop_at(c, &sp, op_width);
	f.flags = soft_pop_at(c, &sp, op_width);
	if (!soft_protected(c)) {
		soft_set_sp(c, sp);
		soft_load_real_segment(c, S_CS, f.cs);
		c->rip = (uint32_t)f.rip;
	} else {
		if (c->long64 || (f.cs & 3) > c->cpl) {
			f.has_stack = true;
			f.sp = soft_pop_at(c, &sp, op_width);
			f.ss = (uint16_t)soft_pop_at(c, &sp, op_width);
		}
		return_to(c, &f, sp);
	}
	soft_flags_set(c, (old & ~mask) | (f.flags & mask));
	soft_mode_changed(c);
}
