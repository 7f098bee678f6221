/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoded instruction, and the tables by which the decoder finds its handler. decode.c fills it;
 * the handlers of exec_*.c, sys_*.c and fp_*.c run it.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_INSN_H
#define BULKHEAD_VMM_ACCEL_SOFT_INSN_H

#include "cmd/vmm/accel/soft/soft.h"

#include <assert.h>

/* Runs one instruction. Faults leave by soft_raise before anything was changed that a restart would
 * see twice. On return cpu->rip is at the next instruction to run. Returns the next decoded
 * instruction of the block, or NULL to leave the block (jumps, mode changes, wake). */
typedef const struct soft_insn *(*soft_handler)(struct soft_cpu *c, const struct soft_insn *i);

/* Bases and indexes of addresses: numbers of soft_cpu.regs. */
#define INSN_RIP 16    /* disp counts from the instruction's start */
#define INSN_NO_REG 17 /* soft_cpu.zero */

/* How an operand's linear address comes about. */
enum insn_flat {
	FLAT_NO,   /* by soft_linear: truncation, limits */
	FLAT_YES,  /* 64-bit code, segment without base */
	FLAT_BASE, /* 64-bit code, FS or GS */
};

struct soft_insn {
	soft_handler fn;
	union {
		int64_t imm; /* immediate, sign-extended; moffs; branch target offset */
		const struct soft_insn *to; /* branches within a page: the block there, once known */
	};
	int32_t disp;  /* of those: the target's offset in the page */
	uint8_t len;   /* bytes, 1 to 15 */
	uint8_t width; /* operand size in bytes: 1, 2, 4, 8 */
	uint8_t reg;   /* ModRM.reg with REX.R (0-15); high byte registers are 4-7 without rex */
	uint8_t rm;    /* ModRM.rm with REX.B when it is a register */
	uint8_t base, index, scale; /* memory operand: numbers of soft_cpu.regs; scale 0-3 */
	uint8_t flat;		    /* enum insn_flat */
	uint8_t seg;		    /* enum soft_sreg that applies */
	uint8_t addr_width;	    /* 2, 4 or 8 */
	uint8_t opcode;		    /* last opcode byte */
	uint8_t map;		    /* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A */
	uint8_t rep;		    /* 0, 0xf2 or 0xf3 */
	uint8_t modrm;
	uint16_t next;	       /* where the next one begins in this page */
	bool is_mem : 1;       /* ModRM is a memory operand */
	bool rip_relative : 1; /* disp counts from the next instruction (when it did not fit INSN_RIP) */
	bool rex : 1, lock : 1;
	bool flags_dead : 1; /* nobody sees its flags: liveness.c */
	bool code64 : 1;     /* decoded for 64-bit code */
	bool opsize : 1;     /* 66 prefix (a mandatory prefix of SSE) */
};

static_assert(sizeof(struct soft_insn) == 40, "one arena slot");

/*
 * How an opcode decodes. Tables: map x opcode (x mandatory prefix where it selects) -> one entry,
 * or a group by ModRM.reg. An entry with pick calls it to choose by operand form and width.
 */
#define OPF_MODRM (1U << 0)
#define OPF_IMM8 (1U << 1) /* signed byte */
#define OPF_IMMZ (1U << 2) /* 2 or 4 bytes by operand size, sign-extended */
#define OPF_IMMV (1U << 3) /* 2, 4 or 8 bytes (MOV r, imm) */
#define OPF_IMM16 (1U << 4)
#define OPF_MOFFS (1U << 5)
#define OPF_BYTE (1U << 6)    /* operand size is 1 */
#define OPF_D64 (1U << 7)     /* 64-bit default in long mode (push, call…) */
#define OPF_LOCK (1U << 8)    /* LOCK allowed with a memory destination */
#define OPF_END (1U << 9)     /* ends a block */
#define OPF_I64 (1U << 10)    /* invalid in 64-bit mode */
#define OPF_O64 (1U << 11)    /* valid in 64-bit mode only */
#define OPF_MEM (1U << 12)    /* register form is #UD */
#define OPF_REG (1U << 13)    /* memory form is #UD */
#define OPF_IMM8_2 (1U << 14) /* a second byte follows (ENTER) */
#define OPF_PREFIX (1U << 15) /* indexed by mandatory prefix: none, 66, F3, F2 */
#define OPF_FAR (1U << 16)    /* ptr16:16/32 */
#define OPF_F64 (1U << 17)    /* 64 bits in long mode whatever the prefixes (near branches) */

struct soft_opcode {
	soft_handler fn;
	soft_handler (*pick)(const struct soft_insn *i); /* NULL result: #UD */
	const struct soft_opcode *group;		 /* by ModRM.reg, 8 entries */
	const struct soft_opcode *prefix;		 /* with OPF_PREFIX: 4 entries */
	uint32_t flags;
};

/* Each part's own rows: exec_tables.c merges them. fn of zero: not this part's. */
extern const struct soft_opcode soft_int_map0[256], soft_int_map1[256], soft_int_map2[256],
	soft_int_map3[256];						/* exec_*.c */
extern const struct soft_opcode soft_sys_map0[256], soft_sys_map1[256]; /* sys_*.c */
extern const struct soft_opcode soft_fp_map0[256], soft_fp_map1[256], soft_fp_map2[256],
	soft_fp_map3[256]; /* fp_*.c */

/* The effective address within its segment, truncated to the address size. */
static inline uint64_t soft_offset(const struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t a =
		(uint64_t)(int64_t)i->disp + c->regs[i->base] + (c->regs[i->index] << i->scale);

	if (i->rip_relative)
		a += c->rip + i->len;
	if (i->addr_width == 4)
		a = (uint32_t)a;
	else if (i->addr_width == 2)
		a = (uint16_t)a;
	return a;
}

/* Moves on to the next instruction of the block: a tail call in optimised builds; in others it
 * nests as deep as a block is long. */
static inline const struct soft_insn *soft_next(struct soft_cpu *c, const struct soft_insn *i)
{
	c->rip = c->rip_base + i->next; /* no sum of sums: that would be every CPU cycle there is */
	i++;
	return i->fn(c, i);
}

/* Before a block runs, with c->rip at its first instruction. */
static inline void soft_enter(struct soft_cpu *c, const struct soft_insn *first,
			      const struct soft_page *page, uint32_t version)
{
	c->code_page = page;
	c->code_version = version;
	c->rip_base = c->rip - (unsigned int)(first->next - first->len);
}

/* Whether the running block's page is still what was decoded, and nothing waits. */
static inline bool soft_undisturbed(const struct soft_cpu *c)
{
	return !atomic_load_explicit(&c->wake, memory_order_relaxed) &&
	       atomic_load_explicit(&c->code_page->version, memory_order_relaxed) ==
		       c->code_version;
}

/* Runs a block from within the last instruction of another: a tail call in optimised builds. Where
 * handlers nest instead, the stack is unwound by way of soft_execute's loop before it gets deep. */
static inline const struct soft_insn *soft_chain(struct soft_cpu *c, const struct soft_insn *to)
{
	uintptr_t sp;

	__asm__("mov %%rsp, %0" : "=r"(sp));
	return __builtin_expect(sp < c->stack_low, 0) ? to : to->fn(c, to);
}

/* After a jump, with c->rip at the target: enters the block there when it is known and nothing
 * waits; NULL otherwise, for the way through soft_execute's loop. */
static inline const struct soft_insn *soft_known_block(struct soft_cpu *c)
{
	const struct soft_jump *j = &c->jumps[SOFT_JUMP_SLOT(c->rip)];

	if (__builtin_expect(j->key != (c->rip ^ c->code_key), 0) ||
	    atomic_load_explicit(&c->wake, memory_order_relaxed) ||
	    atomic_load_explicit(&j->page->version, memory_order_relaxed) != j->version)
		return NULL;
	soft_enter(c, j->first, j->page, j->version);
	return j->first;
}

static inline const struct soft_insn *soft_follow(struct soft_cpu *c)
{
	const struct soft_insn *to = soft_known_block(c);

	return to ? soft_chain(c, to) : NULL;
}

#endif
