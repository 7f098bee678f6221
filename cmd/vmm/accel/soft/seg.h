/* SPDX-License-Identifier: Apache-2.0 */
/* Segmentation, privilege changes and the delivery of interrupts. SDM volume 3, 3, 5, 6 and 7.7. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_SEG_H
#define BULKHEAD_VMM_ACCEL_SOFT_SEG_H

#include "cmd/vmm/accel/soft/soft_mem.h"

/* soft_segment.attr: descriptor bits 40-47 in bits 0-7, bits 52-55 in bits 12-15. */
#define SEG_TYPE(a) ((a)&0xf)
#define SEG_ACCESSED 0x1
#define SEG_RW 0x2 /* data: writable; code: readable */
#define SEG_DC 0x4 /* data: expand-down; code: conforming */
#define SEG_CODE 0x8
#define SEG_S 0x10
#define SEG_DPL(a) (((a) >> 5) & 3)
#define SEG_P 0x80
#define SEG_L 0x2000
#define SEG_DB 0x4000
#define SEG_G 0x8000

/* A descriptor as it stands in memory, taken apart. */
struct soft_desc {
	uint64_t address; /* linear, of the descriptor itself */
	uint64_t raw;
	uint64_t high; /* of 16-byte system descriptors in long mode */
	uint16_t attr;
	uint32_t limit;
	uint64_t base;
};

/* Reads the descriptor that a selector names; vector(selector) when it is outside its table. */
void soft_desc_read(struct soft_cpu *c, uint16_t selector, enum soft_vector vector,
		    struct soft_desc *ret);
/* The same without a fault: false when there is none (LAR, LSL, VERR, VERW). */
bool soft_desc_try(struct soft_cpu *c, uint16_t selector, struct soft_desc *ret);

/* Sets a code or data descriptor's accessed bit, in memory too. May fault. */
void soft_mark_accessed(struct soft_cpu *c, struct soft_desc *d);
/* What the descriptor says, without a check. */
void soft_set_segment(struct soft_cpu *c, enum soft_sreg s, uint16_t selector,
		      const struct soft_desc *d);
/* MOV and POP to ES, SS, DS, FS, GS. */
void soft_load_data_segment(struct soft_cpu *c, enum soft_sreg s, uint16_t selector);
/* Real and virtual-8086 style. */
void soft_load_real_segment(struct soft_cpu *c, enum soft_sreg s, uint16_t selector);
void soft_lldt(struct soft_cpu *c, uint16_t selector);
void soft_ltr(struct soft_cpu *c, uint16_t selector);
/* far.c: far JMP, CALL and RET; op_width 2, 4 or 8. */
void soft_far_jump(struct soft_cpu *c, uint16_t selector, uint64_t offset);
void soft_far_call(struct soft_cpu *c, uint16_t selector, uint64_t offset, unsigned int op_width,
		   unsigned int insn_len);
void soft_far_ret(struct soft_cpu *c, unsigned int op_width, unsigned int extra);
void soft_iret(struct soft_cpu *c, unsigned int op_width);

/* Pushes and pops on the current stack at the current stack width. */
void soft_push(struct soft_cpu *c, uint64_t v, unsigned int width);
uint64_t soft_pop(struct soft_cpu *c, unsigned int width);
/* The same on a copy of the stack pointer, so that an instruction with several can fault in any of
 * them; soft_set_sp makes it real. */
void soft_push_at(struct soft_cpu *c, uint64_t *sp, uint64_t v, unsigned int width);
uint64_t soft_pop_at(struct soft_cpu *c, uint64_t *sp, unsigned int width);
void soft_set_sp(struct soft_cpu *c, uint64_t sp);

/* flags.c: RFLAGS as a whole, lazy flags worked out. */
uint64_t soft_flags_get(struct soft_cpu *c);
/* Bits outside the architecture's are dropped; does not check privilege. */
void soft_flags_set(struct soft_cpu *c, uint64_t flags);

/*
 * Delivers a vector through the IDT. soft: INT n, INT3, INTO (privilege of the gate is checked).
 * May itself leave by soft_raise; soft_deliver_fault handles what that means.
 */
void soft_interrupt(struct soft_cpu *c, uint8_t vector, bool soft, bool has_error, uint32_t error,
		    uint64_t return_rip);
/* The exception in c->fault; turns faults during delivery into #DF. False: triple fault. With
 * c->redeliver set something else comes first: to be called again. */
[[nodiscard]] bool soft_deliver_fault(struct soft_cpu *c);

static inline bool soft_protected(const struct soft_cpu *c)
{
	return c->cr0 & 1;
}

#endif
