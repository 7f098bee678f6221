/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random instructions by table. A row is one opcode with what may stand around it; which of the
 * flags that it leaves are undefined follows the "Flags Affected" of its page in SDM volume 2.
 */
#ifndef BULKHEAD_TESTS_SOFT_GEN_H
#define BULKHEAD_TESTS_SOFT_GEN_H

#include "tests/unit/soft_host.h"

/* ModRM.reg of a row. */
#define GEN_ANY (-1)  /* a register */
#define GEN_NONE (-2) /* no ModRM */

/* Rows' flags. */
#define GEN_BYTE (1U << 0)
#define GEN_LOCK (1U << 1)  /* LOCK where the operand is memory */
#define GEN_MEM (1U << 2)   /* no register form */
#define GEN_REG (1U << 3)   /* no memory form */
#define GEN_OPREG (1U << 4) /* a register in the opcode's low bits */
#define GEN_REP (1U << 5)   /* string instruction: REP, REPNE, index registers into the data */
#define GEN_NO66 (1U << 6)  /* with 66 undefined, or not the same on all CPUs */
#define GEN_NO_REX_W (1U << 7)
#define GEN_REL (1U << 8)      /* the immediate is a branch displacement */
#define GEN_READS (1U << 9)    /* depends on flags */
#define GEN_BITOFF (1U << 10)  /* ModRM.reg's register counts bits from the operand */
#define GEN_DIV (1U << 11)     /* rDX:rAX divided: seldom at random without #DE */
#define GEN_ALONE (1U << 12)   /* not in the middle of a block */
#define GEN_LEGACY (1U << 13)  /* 32-bit code only */
#define GEN_LONG (1U << 14)    /* 64-bit code only */
#define GEN_XMM (1U << 15)     /* reads or writes vector or x87 state */
#define GEN_ALIGNED (1U << 16) /* memory operand at 16 bytes, mostly */
#define GEN_ORDER (1U << 18)   /* which of two memory operands faults first is not defined */
#define GEN_PARTIAL (1U << 19) /* a fault may come with some registers loaded */
#define GEN_UPPER (1U << 17)   /* AMD and Intel differ in a 32-bit register's upper half */

enum gen_imm { IMM_NO, IMM_8, IMM_Z, IMM_V, IMM_16, IMM_MOFFS, IMM_ENTER };

/* Which flags, or other results, are not defined. */
enum gen_undef {
	UNDEF_NONE,
	UNDEF_AF,      /* logic */
	UNDEF_MUL,     /* SF ZF AF PF */
	UNDEF_ALL,     /* DIV */
	UNDEF_SHIFT,   /* by the count: AF; OF unless 1; CF above the width */
	UNDEF_ROTATE,  /* OF unless 1 */
	UNDEF_DOUBLE,  /* SHLD, SHRD: as shifts; result above the width */
	UNDEF_BIT,     /* BT: OF SF AF PF */
	UNDEF_SCAN,    /* BSF: CF OF SF AF PF; of zero, the result (volume 2, BSF) */
	UNDEF_DECIMAL, /* DAA: OF */
	UNDEF_AAA,     /* OF SF ZF PF */
	UNDEF_AAM,     /* OF AF CF */
	UNDEF_APPROX,  /* RCPPS, RSQRTPS: relative error up to 1.5 * 2^-12 */
};

struct gen_row {
	const char *name;
	uint8_t prefix; /* mandatory: 0, 66, F2, F3 */
	uint8_t map;	/* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A */
	uint8_t opcode;
	int8_t ext;    /* GEN_ANY, GEN_NONE or the opcode's part in ModRM.reg */
	uint8_t imm;   /* enum gen_imm */
	uint8_t undef; /* enum gen_undef */
	uint32_t flags;
};

struct gen_table {
	const struct gen_row *rows;
	unsigned int count;
};

extern const struct gen_table gen_int, gen_fp; /* soft_gen_int.c, soft_gen_fp.c */

#define GEN_INSNS_MAX 8

/* Code and the state that it starts with. */
struct gen_case {
	uint8_t code[GEN_INSNS_MAX * 16];
	unsigned int len;
	unsigned int n_insns;
	bool code32;
	const struct gen_row *rows[GEN_INSNS_MAX];
	struct soft_state state;
	uint32_t mask;	  /* arithmetic flags that are defined afterwards */
	bool skip_result; /* the result is not defined at all */
	bool approx;
	bool skip_fault; /* registers after a fault are not defined */
	bool any_fault;	 /* of several faults, any may come first */
};

void gen_seed(uint64_t seed);
uint64_t gen_random(void);
/* n_insns of them, beginning at state.rip. */
void gen_make(struct gen_case *g, unsigned int n_insns, bool code32);

#endif
