/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts and exceptions: through the IDT, with stack switches and double faults; see seg.h. */
#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/sys.h"

#define GATE_INTERRUPT 0xe
#define GATE_TRAP 0xf
#define GATE_INTERRUPT16 0x6
#define GATE_TRAP16 0x7
#define ERROR_IDT 2U
#define ERROR_EXT 1U

struct gate {
	uint16_t selector;
	uint64_t offset;
	uint8_t type, dpl, ist;
	bool present;
};

/* One delivery: what is pushed and where execution goes on. */
struct delivery {
	struct gate gate;
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint64_t return_rip;
	uint64_t flags;
	uint32_t ext; /* for the error codes of faults on the way */
	unsigned int width;
};

static uint64_t read_sup(struct soft_cpu *c, uint64_t linear, unsigned int width)
{
	if (!soft_long_mode(c))
		linear = (uint32_t)linear;
	return soft_read_slow(c, linear, width, MMU_SUPERVISOR);
}

_Noreturn static void idt_fault(struct soft_cpu *c, enum soft_vector ex, const struct delivery *d)
{
	soft_raise_error(c, ex, (uint32_t)d->vector * 8 | ERROR_IDT | d->ext);
}

static void read_gate(struct soft_cpu *c, struct delivery *d, bool soft)
{
	bool lm = soft_long_mode(c);
	unsigned int size = lm ? 16 : 8;
	uint64_t at = c->idtr.base + (uint64_t)d->vector * size;
	uint64_t low;
	struct gate *g = &d->gate;

	if ((uint32_t)d->vector * size + size - 1 > c->idtr.limit)
		idt_fault(c, EX_GP, d);
	low = read_sup(c, at, 8);
	*g = (struct gate){
		.selector = (uint16_t)(low >> 16),
		.offset = (low & 0xffff) | ((low >> 32) & 0xffff0000),
		.type = (low >> 40) & 0x1f,
		.dpl = (low >> 45) & 3,
		.ist = lm ? (low >> 32) & 7 : 0,
		.present = (low >> 47) & 1,
	};
	if (lm)
		g->offset |= read_sup(c, at + 8, 4) << 32;
	if (g->type != GATE_INTERRUPT && g->type != GATE_TRAP &&
	    (lm || (g->type != GATE_INTERRUPT16 && g->type != GATE_TRAP16)))
		idt_fault(c, EX_GP, d);
	if (soft && g->dpl < c->cpl)
		soft_raise_error(c, EX_GP, (uint32_t)d->vector * 8 | ERROR_IDT);
	if (!g->present)
		idt_fault(c, EX_NP, d);
	d->width = lm ? 8 : g->type & 8 ? 4 : 2;
	if (d->width == 2)
		g->offset &= 0xffff;
}

static uint64_t tss_read(struct soft_cpu *c, uint32_t offset, unsigned int width,
			 const struct delivery *d)
{
	if (offset + width - 1 > c->tr.limit)
		soft_raise_error(c, EX_TS, (c->tr.selector & ~3U) | d->ext);
	return read_sup(c, c->tr.base + offset, width);
}

static void check_handler(struct soft_cpu *c, const struct delivery *d, struct soft_desc *code)
{
	uint32_t error = (d->gate.selector & ~3U) | d->ext;

	if (!(d->gate.selector & ~3))
		soft_raise_error(c, EX_GP, d->ext);
	if (!soft_desc_try(c, d->gate.selector, code))
		soft_raise_error(c, EX_GP, error);
	if (!(code->attr & SEG_S) || !(code->attr & SEG_CODE) || SEG_DPL(code->attr) > c->cpl)
		soft_raise_error(c, EX_GP, error);
	if (soft_long_mode(c) && (!(code->attr & SEG_L) || (code->attr & SEG_DB)))
		soft_raise_error(c, EX_GP, error);
	if (!(code->attr & SEG_P))
		soft_raise_error(c, EX_NP, error);
}

/* A stack that is not, or not yet, the current one. */
struct stack {
	uint64_t base, sp, mask;
	uint32_t limit;
	uint16_t selector, attr;
	bool flat; /* 64-bit: no base, no limit */
};

static void push_to(struct soft_cpu *c, struct stack *s, const struct delivery *d, uint64_t v)
{
	unsigned int width = d->width;

	s->sp = (s->sp - width) & s->mask;
	if (s->flat ? !soft_canonical(s->sp) : s->sp + width - 1 > s->limit && !(s->attr & SEG_DC))
		soft_raise_error(c, EX_SS, d->ext);
	soft_write_slow(c, s->flat ? s->sp : (uint32_t)(s->base + s->sp), width, v,
			c->cpl == 3 && s->selector == c->seg[S_SS].selector ? MMU_USER :
									      MMU_SUPERVISOR);
}

static struct stack current_stack(const struct soft_cpu *c)
{
	const struct soft_segment *ss = &c->seg[S_SS];

	return (struct stack){
		.base = ss->base,
		.sp = c->gpr[R_SP],
		.mask = c->long64  ? UINT64_MAX :
			c->stack32 ? UINT32_MAX :
				     0xffff,
		.limit = ss->limit,
		.selector = ss->selector,
		.attr = ss->attr,
		.flat = soft_long_mode(c),
	};
}

static struct stack stack64(struct soft_cpu *c, const struct delivery *d, uint8_t new_cpl)
{
	struct stack s = { .mask = UINT64_MAX,
			   .flat = true,
			   .limit = UINT32_MAX,
			   .attr = SEG_P | SEG_S | SEG_RW | SEG_DB };

	if (d->gate.ist)
		s.sp = tss_read(c, 36 + 8 * (d->gate.ist - 1U), 8, d);
	else if (new_cpl != c->cpl)
		s.sp = tss_read(c, 4 + 8U * new_cpl, 8, d);
	else
		s.sp = c->gpr[R_SP];
	s.sp &= ~0xfULL;
	s.selector = new_cpl != c->cpl ? new_cpl : c->seg[S_SS].selector;
	return s;
}

static struct stack stack32(struct soft_cpu *c, const struct delivery *d, uint8_t new_cpl)
{
	bool tss32 = SEG_TYPE(c->tr.attr) & 8;
	unsigned int width = tss32 ? 4 : 2;
	uint32_t at = tss32 ? 4 + 8U * new_cpl : 2 + 4U * new_cpl;
	uint64_t sp = tss_read(c, at, width, d);
	uint16_t selector = (uint16_t)tss_read(c, at + width, 2, d);
	struct soft_desc ss;

	if (!(selector & ~3) || !soft_desc_try(c, selector, &ss) || (selector & 3) != new_cpl ||
	    SEG_DPL(ss.attr) != new_cpl || !(ss.attr & SEG_S) ||
	    (ss.attr & (SEG_CODE | SEG_RW)) != SEG_RW)
		soft_raise_error(c, EX_TS, (selector & ~3U) | d->ext);
	if (!(ss.attr & SEG_P))
		soft_raise_error(c, EX_SS, (selector & ~3U) | d->ext);
	return (struct stack){ .base = ss.base,
			       .sp = sp,
			       .mask = ss.attr & SEG_DB ? UINT32_MAX : 0xffff,
			       .limit = ss.limit,
			       .selector = selector,
			       .attr = ss.attr };
}

static void push_frame(struct soft_cpu *c, struct stack *s, const struct delivery *d,
		       bool with_stack)
{
	if (with_stack) {
		push_to(c, s, d, c->seg[S_SS].selector);
		push_to(c, s, d, c->gpr[R_SP]);
	}
	push_to(c, s, d, d->flags);
	push_to(c, s, d, c->seg[S_CS].selector);
	push_to(c, s, d, d->return_rip);
	if (d->has_error)
		push_to(c, s, d, d->error);
}

static void enter_handler(struct soft_cpu *c, const struct delivery *d, const struct stack *s,
			  const struct soft_desc *code, uint8_t new_cpl, bool switched)
{
	uint64_t flags = soft_flags_get(c) & ~(uint64_t)(FL_TF | FL_NT | FL_RF | FL_VM);

	if (!(d->gate.type & 1))
		flags &= ~(uint64_t)FL_IF;
	if (switched || soft_long_mode(c)) {
		uint64_t base = soft_long_mode(c) ? 0 : s->base;

		if (switched)
			c->seg[S_SS] = (struct soft_segment){
				s->selector, (uint16_t)((s->attr & ~(3U << 5)) | new_cpl << 5),
				s->limit, base
			};
	}
	c->seg[S_CS] = (struct soft_segment){ (uint16_t)((d->gate.selector & ~3U) | new_cpl),
					      code->attr | SEG_ACCESSED, code->limit, code->base };
	c->cpl = new_cpl;
	soft_flags_set(c, flags);
	soft_mode_changed(c);
	if (soft_long_mode(c))
		c->gpr[R_SP] = s->sp;
	else
		c->gpr[R_SP] = (c->gpr[R_SP] & ~s->mask) | (s->sp & s->mask);
	c->rip = d->gate.offset;
}

static void deliver_protected(struct soft_cpu *c, struct delivery *d, bool soft)
{
	struct soft_desc code;
	struct stack s;
	uint8_t new_cpl;
	bool switched;

	read_gate(c, d, soft);
	check_handler(c, d, &code);
	new_cpl = code.attr & SEG_DC ? c->cpl : (uint8_t)SEG_DPL(code.attr);
	switched = new_cpl != c->cpl;
	if (soft_long_mode(c))
		s = stack64(c, d, new_cpl);
	else if (switched)
		s = stack32(c, d, new_cpl);
	else
		s = current_stack(c);
	push_frame(c, &s, d, switched || soft_long_mode(c));
	enter_handler(c, d, &s, &code, new_cpl, switched);
}

static void deliver_real(struct soft_cpu *c, const struct delivery *d)
{
	struct stack s = current_stack(c);
	uint64_t entry;

	if (d->vector * 4U + 3 > c->idtr.limit)
		soft_raise(c, EX_GP);
	entry = read_sup(c, c->idtr.base + d->vector * 4ULL, 4);
	push_to(c, &s, d, d->flags);
	push_to(c, &s, d, c->seg[S_CS].selector);
	push_to(c, &s, d, d->return_rip);
	c->gpr[R_SP] = (c->gpr[R_SP] & ~s.mask) | (s.sp & s.mask);
	soft_flags_set(c, d->flags & ~(uint64_t)(FL_IF | FL_TF | FL_AC));
	soft_load_real_segment(c, S_CS, (uint16_t)(entry >> 16));
	c->rip = entry & 0xffff;
}

void soft_interrupt(struct soft_cpu *c, uint8_t vector, bool soft, bool has_error, uint32_t error,
		    uint64_t return_rip)
{
	struct delivery d = {
		.vector = vector,
		.has_error = has_error,
		.error = error,
		.return_rip = return_rip,
		.flags = soft_flags_get(c),
		.ext = soft ? 0 : ERROR_EXT,
		.width = 2, /* of real mode; gates have their own */
	};

	if (soft_protected(c))
		deliver_protected(c, &d, soft);
	else
		deliver_real(c, &d);
}

/* SDM volume 3, 6.15, table 6-5 */
enum fault_class { BENIGN, CONTRIBUTORY, PAGE };

static enum fault_class class_of(uint8_t vector)
{
	switch (vector) {
	case EX_DE:
	case EX_TS:
	case EX_NP:
	case EX_SS:
	case EX_GP:
		return CONTRIBUTORY;
	case EX_PF:
		return PAGE;
	default:
		return BENIGN;
	}
}

static bool makes_double_fault(uint8_t first, uint8_t second)
{
	enum fault_class a = class_of(first), b = class_of(second);

	return (a == CONTRIBUTORY && b == CONTRIBUTORY) || (a == PAGE && b != BENIGN);
}

/* What other threads ask for between two deliveries: faults upon faults may have no end, as #AC upon
 * #AC where the handler's stack is misaligned (SDM volume 3, table 6-5: handled serially). */
#define WAKE_BETWEEN_FAULTS (WAKE_KICK | WAKE_LEAVE | WAKE_CODE)

static void deliver_once(struct soft_cpu *c)
{
	uint8_t vector = c->fault.vector;

	if (!c->fault.soft && vector != EX_DB && vector != EX_BP)
		c->rflags |= FL_RF;
	soft_interrupt(c, vector, false, c->fault.has_error, c->fault.error, c->rip);
}

bool soft_deliver_fault(struct soft_cpu *c)
{
	jmp_buf outer;
	volatile bool delivered = false;

	memcpy(&outer, &c->escape, sizeof(outer));
	while (!delivered && !c->redeliver) {
		volatile uint8_t first = c->fault.vector;

		if (setjmp(c->escape) == 0) {
			deliver_once(c);
			delivered = true;
			break;
		}
		/* a fault on the way to a handler */
		if (first == EX_DF)
			break; /* triple fault */
		if (makes_double_fault(first, c->fault.vector)) {
			c->fault.vector = EX_DF;
			c->fault.has_error = true;
			c->fault.error = 0;
		}
		c->redeliver = atomic_load(&c->wake) & WAKE_BETWEEN_FAULTS;
	}
	memcpy(&c->escape, &outer, sizeof(outer));
	return delivered || c->redeliver;
}
