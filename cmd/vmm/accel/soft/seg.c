/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors and segment registers; see seg.h. */
#include "cmd/vmm/accel/soft/seg.h"

#include "cmd/vmm/accel/soft/cache.h"
#include "cmd/vmm/accel/soft/debug.h"

#define DESC_LDT 0x2
#define DESC_TSS_AVAILABLE 0x9
#define DESC_TSS_BUSY 0xb

void soft_mode_changed(struct soft_cpu *c)
{
	bool paging_long = c->efer & (1U << 10);

	c->long64 = paging_long && (c->seg[S_CS].attr & SEG_L);
	c->code32 = !c->long64 && (c->seg[S_CS].attr & SEG_DB);
	c->stack32 = !c->long64 && (c->seg[S_SS].attr & SEG_DB);
	if (c->cpl == 3)
		c->mmu = MMU_USER;
	else
		c->mmu = c->rflags & FL_AC ? MMU_SUPERVISOR_AC : MMU_SUPERVISOR;
	c->checked = soft_checks(c);
	c->tlb_now = c->checked ? soft_tlb_misses : c->tlb[c->mmu];
	soft_jumps_mode(c);
}

_Noreturn static void segment_fault(struct soft_cpu *c, unsigned int seg)
{
	soft_raise_error(c, seg == S_SS ? EX_SS : EX_GP, 0);
}

static bool within_limit(const struct soft_segment *s, uint64_t offset, unsigned int width)
{
	uint64_t last = offset + width - 1;
	uint64_t top;

	if ((s->attr & (SEG_CODE | SEG_DC)) != SEG_DC) /* not expand-down data */
		return last <= s->limit;
	top = s->attr & SEG_DB ? UINT32_MAX : 0xffff;
	return offset > s->limit && last <= top;
}

uint64_t soft_linear_slow(struct soft_cpu *c, unsigned int seg, uint64_t offset, unsigned int width,
			  bool write)
{
	const struct soft_segment *s = &c->seg[seg];

	if (c->long64) {
		uint64_t linear = seg >= S_FS ? s->base + offset : offset;

		if (!soft_canonical(linear) || !soft_canonical(linear + width - 1))
			segment_fault(c, seg);
		return linear;
	}
	offset = (uint32_t)offset;
	if (soft_protected(c)) {
		if (!(s->attr & SEG_P))
			segment_fault(c, seg);
		if (write ? (s->attr & (SEG_CODE | SEG_RW)) != SEG_RW :
			    (s->attr & (SEG_CODE | SEG_RW)) == SEG_CODE)
			segment_fault(c, seg);
	}
	if (!within_limit(s, offset, width))
		segment_fault(c, seg);
	return (uint32_t)(s->base + offset);
}

/* ---- descriptors ---- */

static void unpack(struct soft_desc *d)
{
	uint64_t raw = d->raw;

	d->attr = (uint16_t)((raw >> 40) & 0xf0ff);
	d->limit = (uint32_t)((raw & 0xffff) | ((raw >> 32) & 0xf0000));
	d->base = ((raw >> 16) & 0xffffff) | ((raw >> 32) & 0xff000000);
	if (d->attr & SEG_G)
		d->limit = d->limit << 12 | 0xfff;
}

/* Where the descriptor stands, if its table is that long. */
static bool locate(struct soft_cpu *c, uint16_t selector, unsigned int size, uint64_t *ret)
{
	uint64_t base = selector & 4 ? c->ldtr.base : c->gdtr.base;
	uint32_t limit = selector & 4 ? c->ldtr.limit : c->gdtr.limit;
	uint32_t at = selector & ~7U;

	if ((selector & 4) && !(c->ldtr.attr & SEG_P))
		return false;
	if (at + size - 1 > limit)
		return false;
	*ret = base + at;
	return true;
}

static uint64_t read_system(struct soft_cpu *c, uint64_t linear, unsigned int width)
{
	return soft_read_slow(c, soft_long_mode(c) ? linear : (uint32_t)linear, width,
			      MMU_SUPERVISOR);
}

bool soft_desc_try(struct soft_cpu *c, uint16_t selector, struct soft_desc *ret)
{
	struct soft_desc d = { 0 };

	if (!(selector & ~3) || !locate(c, selector, 8, &d.address))
		return false;
	d.raw = read_system(c, d.address, 8);
	unpack(&d);
	if (!(d.attr & SEG_S) && soft_long_mode(c)) {
		uint64_t whole;

		if (!locate(c, selector, 16, &whole))
			return false;
		d.high = read_system(c, whole + 8, 8);
		d.base |= d.high << 32;
	}
	*ret = d;
	return true;
}

void soft_desc_read(struct soft_cpu *c, uint16_t selector, enum soft_vector vector,
		    struct soft_desc *ret)
{
	if (!soft_desc_try(c, selector, ret))
		soft_raise_error(c, vector, selector & ~3U);
}

/* As a locked operation. */
void soft_mark_accessed(struct soft_cpu *c, struct soft_desc *d)
{
	uint64_t at = d->address + 5;
	uint8_t *byte;

	if (d->attr & SEG_ACCESSED)
		return;
	d->attr |= SEG_ACCESSED;
	byte = soft_host_rmw(c, at, 1, MMU_SUPERVISOR);
	if (byte)
		__atomic_fetch_or(byte, SEG_ACCESSED, __ATOMIC_ACQ_REL);
}

void soft_set_segment(struct soft_cpu *c, enum soft_sreg s, uint16_t selector,
		      const struct soft_desc *d)
{
	c->seg[s] = (struct soft_segment){ selector, d->attr, d->limit, d->base };
}

void soft_load_real_segment(struct soft_cpu *c, enum soft_sreg s, uint16_t selector)
{
	c->seg[s].selector = selector;
	c->seg[s].base = (uint64_t)selector << 4;
	if (s == S_CS)
		c->seg[s].attr = SEG_P | SEG_S | SEG_CODE | SEG_RW | SEG_ACCESSED;
	soft_mode_changed(c);
}

static void load_null(struct soft_cpu *c, enum soft_sreg s, uint16_t selector)
{
	if (s == S_SS && !(c->long64 && c->cpl < 3 && (selector & 3) == c->cpl))
		RAISE_GP0(c);
	c->seg[s].selector = selector;
	c->seg[s].attr = s == S_SS ? (uint16_t)(SEG_P | SEG_S | SEG_RW | SEG_DB | c->cpl << 5) : 0;
	c->seg[s].base = 0;
	soft_mode_changed(c);
}

static void check_stack(struct soft_cpu *c, uint16_t selector, const struct soft_desc *d)
{
	if ((selector & 3) != c->cpl || !(d->attr & SEG_S) ||
	    (d->attr & (SEG_CODE | SEG_RW)) != SEG_RW || SEG_DPL(d->attr) != c->cpl)
		soft_raise_error(c, EX_GP, selector & ~3U);
	if (!(d->attr & SEG_P))
		soft_raise_error(c, EX_SS, selector & ~3U);
}

static void check_data(struct soft_cpu *c, uint16_t selector, const struct soft_desc *d)
{
	bool code = d->attr & SEG_CODE;
	bool conforming = code && (d->attr & SEG_DC);

	if (!(d->attr & SEG_S) || (code && !(d->attr & SEG_RW)))
		soft_raise_error(c, EX_GP, selector & ~3U);
	if (!conforming &&
	    (SEG_DPL(d->attr) < c->cpl || SEG_DPL(d->attr) < (unsigned int)(selector & 3)))
		soft_raise_error(c, EX_GP, selector & ~3U);
	if (!(d->attr & SEG_P))
		soft_raise_error(c, EX_NP, selector & ~3U);
}

void soft_load_data_segment(struct soft_cpu *c, enum soft_sreg s, uint16_t selector)
{
	struct soft_desc d;

	if (!soft_protected(c) || (c->rflags & FL_VM)) {
		soft_load_real_segment(c, s, selector);
		return;
	}
	if (!(selector & ~3)) {
		load_null(c, s, selector);
		return;
	}
	soft_desc_read(c, selector, EX_GP, &d);
	if (s == S_SS)
		check_stack(c, selector, &d);
	else
		check_data(c, selector, &d);
	soft_mark_accessed(c, &d);
	soft_set_segment(c, s, selector, &d);
	soft_mode_changed(c);
}

void soft_lldt(struct soft_cpu *c, uint16_t selector)
{
	struct soft_desc d;

	if (!(selector & ~3)) {
		c->ldtr = (struct soft_segment){ .selector = selector };
		return;
	}
	if (selector & 4)
		soft_raise_error(c, EX_GP, selector & ~3U);
	soft_desc_read(c, selector, EX_GP, &d);
	if ((d.attr & SEG_S) || SEG_TYPE(d.attr) != DESC_LDT)
		soft_raise_error(c, EX_GP, selector & ~3U);
	if (!(d.attr & SEG_P))
		soft_raise_error(c, EX_NP, selector & ~3U);
	c->ldtr = (struct soft_segment){ selector, d.attr, d.limit, d.base };
}

void soft_ltr(struct soft_cpu *c, uint16_t selector)
{
	struct soft_desc d;
	uint8_t *type;

	if (!(selector & ~3) || (selector & 4))
		soft_raise_error(c, EX_GP, selector & ~3U);
	soft_desc_read(c, selector, EX_GP, &d);
	if ((d.attr & SEG_S) || (SEG_TYPE(d.attr) != DESC_TSS_AVAILABLE &&
				 SEG_TYPE(d.attr) != (DESC_TSS_AVAILABLE & 7)))
		soft_raise_error(c, EX_GP, selector & ~3U);
	if (!(d.attr & SEG_P))
		soft_raise_error(c, EX_NP, selector & ~3U);
	type = soft_host_rmw(c, d.address + 5, 1, MMU_SUPERVISOR);
	if (type)
		__atomic_fetch_or(type, 2, __ATOMIC_ACQ_REL);
	c->tr = (struct soft_segment){ selector, d.attr | 2, d.limit, d.base };
}

/* ---- the stack ---- */

static uint64_t stack_mask(const struct soft_cpu *c)
{
	return c->long64 ? UINT64_MAX : c->stack32 ? UINT32_MAX : 0xffff;
}

void soft_set_sp(struct soft_cpu *c, uint64_t sp)
{
	uint64_t mask = stack_mask(c);

	if (mask == UINT32_MAX)
		c->gpr[R_SP] = (uint32_t)sp;
	else
		c->gpr[R_SP] = (c->gpr[R_SP] & ~mask) | (sp & mask);
}

void soft_push_at(struct soft_cpu *c, uint64_t *sp, uint64_t v, unsigned int width)
{
	uint64_t to = (*sp - width) & stack_mask(c);

	soft_write(c, soft_linear(c, S_SS, to, width, true), width, v);
	*sp = to;
}

uint64_t soft_pop_at(struct soft_cpu *c, uint64_t *sp, unsigned int width)
{
	uint64_t from = *sp & stack_mask(c);
	uint64_t v = soft_read(c, soft_linear(c, S_SS, from, width, false), width);

	*sp = (from + width) & stack_mask(c);
	return v;
}

void soft_push(struct soft_cpu *c, uint64_t v, unsigned int width)
{
	uint64_t sp = c->gpr[R_SP];

	soft_push_at(c, &sp, v, width);
	soft_set_sp(c, sp);
}

uint64_t soft_pop(struct soft_cpu *c, unsigned int width)
{
	uint64_t sp = c->gpr[R_SP];
	uint64_t v = soft_pop_at(c, &sp, width);

	soft_set_sp(c, sp);
	return v;
}
