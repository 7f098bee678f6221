/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87, MMX and SSE instructions for the generator; see soft_gen.h. Operands here are plain random
 * ones and the control words as at power-on: test_soft_fp has the hard values; this mixes the
 * instructions with others and with all forms of addresses. Without those whose memory images or
 * faults are the processor's choice: FNSTENV, FNSAVE, FXSAVE and what loads such, MASKMOVQ. Ten
 * bytes are two accesses on some: GEN_ORDER, where they meet the end of the segment.
 */
#include "tests/unit/soft_gen.h"

#include "cmd/vmm/accel/soft/fp_ops.h"

#define N GEN_NO66
/* clang-format off */
#define ROW(n, p, m, o, e, i, f)                                                              \
	{ .name = n, .prefix = p, .map = m, .opcode = o, .ext = e, .imm = i,                  \
	  .flags = GEN_XMM | (f) },
#define PLAIN(n, m, o, f) ROW(n, 0, m, o, GEN_ANY, IMM_NO, N | (f))
#define P66(n, m, o, f) ROW(n, 0x66, m, o, GEN_ANY, IMM_NO, f)
#define PF3(n, m, o, f) ROW(n, 0xf3, m, o, GEN_ANY, IMM_NO, N | (f))
#define PF2(n, m, o, f) ROW(n, 0xf2, m, o, GEN_ANY, IMM_NO, N | (f))
#define FOUR(n, o, f)                                                                         \
	PLAIN(n "ps", 1, o, GEN_ALIGNED | (f)) P66(n "pd", 1, o, GEN_ALIGNED | (f))           \
	PF3(n "ss", 1, o, f) PF2(n "sd", 1, o, f)

#define MMX_SSE(map, op, name) PLAIN("mmx " #name, map, op, 0) P66(#name, map, op, GEN_ALIGNED)
#define SSE_66(map, op, name) P66(#name, map, op, GEN_ALIGNED)
#define LOGIC(op, name) PLAIN(#name "s", 1, op, GEN_ALIGNED) P66(#name "d", 1, op, GEN_ALIGNED)
#define ARITH(op, name) FOUR(#name, op, 0)
#define EXTEND(op, name, bytes) P66(#name, 2, op, 0)
#define IMM(map, op, column, name, bytes, mx)                                                 \
	ROW(#name, (column) == 0 ? 0 : (column) == 1 ? 0x66 : (column) == 2 ? 0xf3 : 0xf2,    \
	    map, op, GEN_ANY, IMM_8,                                                          \
	    ((column) == 1 ? 0 : N) | ((bytes) == 16 ? GEN_ALIGNED : 0))
#define SHIFT(op, reg, name)                                                                  \
	ROW("mmx " #name, 0, 1, op, reg, IMM_8, N | GEN_REG)                                  \
	ROW(#name, 0x66, 1, op, reg, IMM_8, GEN_REG)
#define SHIFT_SSE(op, reg, name) ROW(#name, 0x66, 1, op, reg, IMM_8, GEN_REG)
#define IMM_66(n, o) ROW(n, 0x66, 3, o, GEN_ANY, IMM_8, 0)
#define X87(n, o, ext, f) ROW(n, 0, 0, o, ext, IMM_NO, N | (f))
#define X87_EIGHT(n, o, f)                                                                    \
	X87(n, o, 0, f) X87(n, o, 1, f) X87(n, o, 2, f) X87(n, o, 3, f)                       \
	X87(n, o, 4, 0) X87(n, o, 5, 0) X87(n, o, 6, 0) X87(n, o, 7, 0)

static const struct gen_row rows[] = {
	FP_LIST_MMX_SSE(MMX_SSE)
	FP_LIST_UNPACK(MMX_SSE)
	FP_LIST_SSE_66(SSE_66)
	FP_LIST_LOGIC(LOGIC)
	FP_LIST_ARITH(ARITH)
	FP_LIST_EXTEND(EXTEND)
	FP_LIST_IMM(IMM)
	FP_LIST_SHIFT(SHIFT)
	FP_LIST_SHIFT_SSE(SHIFT_SSE)
	PLAIN("movups", 1, 0x10, 0) P66("movupd", 1, 0x10, 0)
	PF3("movss", 1, 0x10, 0) PF2("movsd", 1, 0x10, 0)
	PLAIN("movups", 1, 0x11, 0) P66("movupd", 1, 0x11, 0)
	PF3("movss", 1, 0x11, 0) PF2("movsd", 1, 0x11, 0)
	PLAIN("movlps", 1, 0x12, 0) P66("movlpd", 1, 0x12, GEN_MEM)
	PF3("movsldup", 1, 0x12, GEN_ALIGNED) PF2("movddup", 1, 0x12, 0)
	PLAIN("movlps", 1, 0x13, GEN_MEM) P66("movlpd", 1, 0x13, GEN_MEM)
	PLAIN("movhps", 1, 0x16, 0) P66("movhpd", 1, 0x16, GEN_MEM)
	PF3("movshdup", 1, 0x16, GEN_ALIGNED)
	PLAIN("movhps", 1, 0x17, GEN_MEM) P66("movhpd", 1, 0x17, GEN_MEM)
	PLAIN("movaps", 1, 0x28, GEN_ALIGNED) P66("movapd", 1, 0x28, GEN_ALIGNED)
	PLAIN("movaps", 1, 0x29, GEN_ALIGNED) P66("movapd", 1, 0x29, GEN_ALIGNED)
	PLAIN("cvtpi2ps", 1, 0x2a, 0) P66("cvtpi2pd", 1, 0x2a, 0)
	PF3("cvtsi2ss", 1, 0x2a, 0) PF2("cvtsi2sd", 1, 0x2a, 0)
	PLAIN("movntps", 1, 0x2b, GEN_MEM | GEN_ALIGNED) P66("movntpd", 1, 0x2b, GEN_MEM | GEN_ALIGNED)
	PLAIN("cvttps2pi", 1, 0x2c, 0) P66("cvttpd2pi", 1, 0x2c, GEN_ALIGNED)
	PF3("cvttss2si", 1, 0x2c, 0) PF2("cvttsd2si", 1, 0x2c, 0)
	PLAIN("cvtps2pi", 1, 0x2d, 0) P66("cvtpd2pi", 1, 0x2d, GEN_ALIGNED)
	PF3("cvtss2si", 1, 0x2d, 0) PF2("cvtsd2si", 1, 0x2d, 0)
	PLAIN("ucomiss", 1, 0x2e, 0) P66("ucomisd", 1, 0x2e, 0)
	PLAIN("comiss", 1, 0x2f, 0) P66("comisd", 1, 0x2f, 0)
	PLAIN("movmskps", 1, 0x50, GEN_REG) P66("movmskpd", 1, 0x50, GEN_REG)
	PLAIN("rsqrtps", 1, 0x52, GEN_ALIGNED) PF3("rsqrtss", 1, 0x52, 0)
	PLAIN("rcpps", 1, 0x53, GEN_ALIGNED) PF3("rcpss", 1, 0x53, 0)
	PLAIN("cvtps2pd", 1, 0x5a, 0) P66("cvtpd2ps", 1, 0x5a, GEN_ALIGNED)
	PF3("cvtss2sd", 1, 0x5a, 0) PF2("cvtsd2ss", 1, 0x5a, 0)
	PLAIN("cvtdq2ps", 1, 0x5b, GEN_ALIGNED) P66("cvtps2dq", 1, 0x5b, GEN_ALIGNED)
	PF3("cvttps2dq", 1, 0x5b, GEN_ALIGNED)
	PLAIN("movd mmx", 1, 0x6e, 0) P66("movd", 1, 0x6e, 0)
	PLAIN("movq mmx", 1, 0x6f, 0) P66("movdqa", 1, 0x6f, GEN_ALIGNED) PF3("movdqu", 1, 0x6f, 0)
	ROW("pshufw", 0, 1, 0x70, GEN_ANY, IMM_8, N)
	X87("fwait", 0x9b, GEN_NONE, 0) ROW("emms", 0, 1, 0x77, GEN_NONE, IMM_NO, N)
	P66("haddpd", 1, 0x7c, GEN_ALIGNED) PF2("haddps", 1, 0x7c, GEN_ALIGNED)
	P66("hsubpd", 1, 0x7d, GEN_ALIGNED) PF2("hsubps", 1, 0x7d, GEN_ALIGNED)
	PLAIN("movd mmx", 1, 0x7e, 0) P66("movd", 1, 0x7e, 0) PF3("movq", 1, 0x7e, 0)
	PLAIN("movq mmx", 1, 0x7f, 0) P66("movdqa", 1, 0x7f, GEN_ALIGNED) PF3("movdqu", 1, 0x7f, 0)
	ROW("stmxcsr", 0, 1, 0xae, 3, IMM_NO, N | GEN_MEM)
	PLAIN("movnti", 1, 0xc3, GEN_MEM)
	ROW("pinsrw mmx", 0, 1, 0xc4, GEN_ANY, IMM_8, N) ROW("pinsrw", 0x66, 1, 0xc4, GEN_ANY, IMM_8, 0)
	ROW("pextrw mmx", 0, 1, 0xc5, GEN_ANY, IMM_8, N | GEN_REG)
	ROW("pextrw", 0x66, 1, 0xc5, GEN_ANY, IMM_8, GEN_REG)
	P66("addsubpd", 1, 0xd0, GEN_ALIGNED) PF2("addsubps", 1, 0xd0, GEN_ALIGNED)
	P66("movq", 1, 0xd6, 0) PF3("movq2dq", 1, 0xd6, GEN_REG) PF2("movdq2q", 1, 0xd6, GEN_REG)
	PLAIN("pmovmskb mmx", 1, 0xd7, GEN_REG) P66("pmovmskb", 1, 0xd7, GEN_REG)
	P66("cvttpd2dq", 1, 0xe6, GEN_ALIGNED) PF3("cvtdq2pd", 1, 0xe6, 0)
	PF2("cvtpd2dq", 1, 0xe6, GEN_ALIGNED)
	PLAIN("movntq", 1, 0xe7, GEN_MEM) P66("movntdq", 1, 0xe7, GEN_MEM | GEN_ALIGNED)
	PF2("lddqu", 1, 0xf0, GEN_MEM)
	P66("pblendvb", 2, 0x10, GEN_ALIGNED) P66("blendvps", 2, 0x14, GEN_ALIGNED)
	P66("blendvpd", 2, 0x15, GEN_ALIGNED) P66("ptest", 2, 0x17, GEN_ALIGNED)
	P66("movntdqa", 2, 0x2a, GEN_MEM | GEN_ALIGNED)
	ROW("palignr mmx", 0, 3, 0x0f, GEN_ANY, IMM_8, N)
	IMM_66("pextrb", 0x14) IMM_66("pextrw", 0x15) IMM_66("pextrd", 0x16) IMM_66("extractps", 0x17)
	IMM_66("pinsrb", 0x20) IMM_66("insertps", 0x21) IMM_66("pinsrd", 0x22)
	IMM_66("pcmpestrm", 0x60) IMM_66("pcmpestri", 0x61) IMM_66("pcmpistrm", 0x62)
	IMM_66("pcmpistri", 0x63)
	X87_EIGHT("x87 d8", 0xd8, 0) X87_EIGHT("x87 dc", 0xdc, 0) X87_EIGHT("x87 de", 0xde, 0)
	X87_EIGHT("x87 da", 0xda, GEN_READS) /* FCMOVcc */
	X87("x87 db", 0xdb, 0, GEN_READS) X87("x87 db", 0xdb, 1, GEN_READS)
	X87("x87 db", 0xdb, 2, GEN_READS) X87("x87 db", 0xdb, 3, GEN_READS)
	X87("x87 db", 0xdb, 4, 0) X87("x87 db", 0xdb, 5, GEN_ORDER) X87("x87 db", 0xdb, 6, 0)
	X87("x87 db", 0xdb, 7, GEN_ORDER)
	X87("x87 df", 0xdf, 0, 0) X87("x87 df", 0xdf, 1, 0) X87("x87 df", 0xdf, 2, 0)
	X87("x87 df", 0xdf, 3, 0) X87("x87 df", 0xdf, 4, GEN_ORDER) X87("x87 df", 0xdf, 5, 0)
	X87("x87 df", 0xdf, 6, GEN_ORDER) X87("x87 df", 0xdf, 7, 0)
	X87("x87 d9", 0xd9, 0, 0) X87("x87 d9", 0xd9, 1, 0) X87("x87 d9", 0xd9, 2, 0)
	X87("x87 d9", 0xd9, 3, 0) X87("x87 d9", 0xd9, 4, GEN_REG) X87("x87 d9", 0xd9, 5, GEN_REG)
	X87("x87 d9", 0xd9, 6, GEN_REG) X87("x87 d9", 0xd9, 7, 0)
	X87("x87 dd", 0xdd, 0, 0) X87("x87 dd", 0xdd, 1, 0) X87("x87 dd", 0xdd, 2, 0)
	X87("x87 dd", 0xdd, 3, 0) X87("x87 dd", 0xdd, 4, GEN_REG) X87("x87 dd", 0xdd, 5, GEN_REG)
	X87("x87 dd", 0xdd, 7, 0)
};
/* clang-format on */

const struct gen_table gen_fp = { rows, sizeof(rows) / sizeof(rows[0]) };
