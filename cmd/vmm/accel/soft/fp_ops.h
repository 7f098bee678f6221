/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lists of floating-point and vector instructions from which handlers (fp_*.c), table rows
 * (fp_tables.c) and tests are made. A picker pick_NAME gives the handler by operand form.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_FP_OPS_H
#define BULKHEAD_VMM_ACCEL_SOFT_FP_OPS_H

#include "cmd/vmm/accel/soft/insn.h"

/* mm, mm/m64 without prefix; xmm, xmm/m128 with 66. X(map, opcode, name) */
/* clang-format off */
#define FP_LIST_MMX_SSE(X)                                                                    \
	X(1, 0x63, packsswb) X(1, 0x64, pcmpgtb) X(1, 0x65, pcmpgtw) X(1, 0x66, pcmpgtd)      \
	X(1, 0x67, packuswb) X(1, 0x68, punpckhbw) X(1, 0x69, punpckhwd)                      \
	X(1, 0x6a, punpckhdq) X(1, 0x6b, packssdw) X(1, 0x74, pcmpeqb) X(1, 0x75, pcmpeqw)    \
	X(1, 0x76, pcmpeqd) X(1, 0xd1, psrlw) X(1, 0xd2, psrld) X(1, 0xd3, psrlq)             \
	X(1, 0xd4, paddq) X(1, 0xd5, pmullw) X(1, 0xd8, psubusb) X(1, 0xd9, psubusw)          \
	X(1, 0xda, pminub) X(1, 0xdb, pand) X(1, 0xdc, paddusb) X(1, 0xdd, paddusw)           \
	X(1, 0xde, pmaxub) X(1, 0xdf, pandn) X(1, 0xe0, pavgb) X(1, 0xe1, psraw)              \
	X(1, 0xe2, psrad) X(1, 0xe3, pavgw) X(1, 0xe4, pmulhuw) X(1, 0xe5, pmulhw)            \
	X(1, 0xe8, psubsb) X(1, 0xe9, psubsw) X(1, 0xea, pminsw) X(1, 0xeb, por)              \
	X(1, 0xec, paddsb) X(1, 0xed, paddsw) X(1, 0xee, pmaxsw) X(1, 0xef, pxor)             \
	X(1, 0xf1, psllw) X(1, 0xf2, pslld) X(1, 0xf3, psllq) X(1, 0xf4, pmuludq)             \
	X(1, 0xf5, pmaddwd) X(1, 0xf6, psadbw) X(1, 0xf8, psubb) X(1, 0xf9, psubw)            \
	X(1, 0xfa, psubd) X(1, 0xfb, psubq) X(1, 0xfc, paddb) X(1, 0xfd, paddw)               \
	X(1, 0xfe, paddd) X(2, 0x00, pshufb) X(2, 0x01, phaddw) X(2, 0x02, phaddd)            \
	X(2, 0x03, phaddsw) X(2, 0x04, pmaddubsw) X(2, 0x05, phsubw) X(2, 0x06, phsubd)       \
	X(2, 0x07, phsubsw) X(2, 0x08, psignb) X(2, 0x09, psignw) X(2, 0x0a, psignd)          \
	X(2, 0x0b, pmulhrsw) X(2, 0x1c, pabsb) X(2, 0x1d, pabsw) X(2, 0x1e, pabsd)

/* The same, but the MMX form reads four bytes of memory. */
#define FP_LIST_UNPACK(X) X(1, 0x60, punpcklbw) X(1, 0x61, punpcklwd) X(1, 0x62, punpckldq)

/* xmm, xmm/m128 with 66 only. */
#define FP_LIST_SSE_66(X)                                                                     \
	X(1, 0x6c, punpcklqdq) X(1, 0x6d, punpckhqdq) X(2, 0x28, pmuldq) X(2, 0x29, pcmpeqq)  \
	X(2, 0x2b, packusdw) X(2, 0x37, pcmpgtq) X(2, 0x38, pminsb) X(2, 0x39, pminsd)        \
	X(2, 0x3a, pminuw) X(2, 0x3b, pminud) X(2, 0x3c, pmaxsb) X(2, 0x3d, pmaxsd)           \
	X(2, 0x3e, pmaxuw) X(2, 0x3f, pmaxud) X(2, 0x40, pmulld) X(2, 0x41, phminposuw)

/* ps without prefix, pd with 66; no MXCSR. X(opcode, name) */
#define FP_LIST_LOGIC(X)                                                                      \
	X(0x14, unpcklp) X(0x15, unpckhp) X(0x54, andp) X(0x55, andnp) X(0x56, orp)           \
	X(0x57, xorp)

/* ps, pd, ss, sd by prefix; MXCSR. */
#define FP_LIST_ARITH(X)                                                                      \
	X(0x51, sqrt) X(0x58, add) X(0x59, mul) X(0x5c, sub) X(0x5d, min) X(0x5e, div)        \
	X(0x5f, max)

/* 66 0F 38, xmm, xmm/m of `bytes`. X(opcode, name, bytes) */
#define FP_LIST_EXTEND(X)                                                                     \
	X(0x20, pmovsxbw, 8) X(0x21, pmovsxbd, 4) X(0x22, pmovsxbq, 2) X(0x23, pmovsxwd, 8)   \
	X(0x24, pmovsxwq, 4) X(0x25, pmovsxdq, 8) X(0x30, pmovzxbw, 8) X(0x31, pmovzxbd, 4)   \
	X(0x32, pmovzxbq, 2) X(0x33, pmovzxwd, 8) X(0x34, pmovzxwq, 4) X(0x35, pmovzxdq, 8)

/* xmm, xmm/m, imm8. X(map, opcode, prefix column, name, memory bytes, uses MXCSR) */
#define FP_LIST_IMM(X)                                                                        \
	X(1, 0x70, 1, pshufd, 16, 0) X(1, 0x70, 2, pshufhw, 16, 0)                            \
	X(1, 0x70, 3, pshuflw, 16, 0) X(1, 0xc2, 0, cmpps, 16, 1) X(1, 0xc2, 1, cmppd, 16, 1) \
	X(1, 0xc2, 2, cmpss, 4, 1) X(1, 0xc2, 3, cmpsd, 8, 1) X(1, 0xc6, 0, shufps, 16, 0)    \
	X(1, 0xc6, 1, shufpd, 16, 0) X(3, 0x08, 1, roundps, 16, 1)                            \
	X(3, 0x09, 1, roundpd, 16, 1) X(3, 0x0a, 1, roundss, 4, 1)                            \
	X(3, 0x0b, 1, roundsd, 8, 1) X(3, 0x0c, 1, blendps, 16, 0)                            \
	X(3, 0x0d, 1, blendpd, 16, 0) X(3, 0x0e, 1, pblendw, 16, 0)                           \
	X(3, 0x0f, 1, palignr, 16, 0) X(3, 0x40, 1, dpps, 16, 1) X(3, 0x41, 1, dppd, 16, 1)   \
	X(3, 0x42, 1, mpsadbw, 16, 0)

/* Shifts by an immediate. X(opcode, ModRM.reg, name) */
#define FP_LIST_SHIFT(X)                                                                      \
	X(0x71, 2, psrlw) X(0x71, 4, psraw) X(0x71, 6, psllw) X(0x72, 2, psrld)               \
	X(0x72, 4, psrad) X(0x72, 6, pslld) X(0x73, 2, psrlq) X(0x73, 6, psllq)
#define FP_LIST_SHIFT_SSE(X) X(0x73, 3, psrldq) X(0x73, 7, pslldq)

/* Others with a picker each. */
#define FP_LIST_OTHER(X)                                                                      \
	X(rsqrtps) X(rsqrtss) X(rcpps) X(rcpss) X(haddpd) X(haddps) X(hsubpd) X(hsubps)       \
	X(addsubpd) X(addsubps) X(movsldup) X(movshdup) X(movddup) X(cvtps2pd) X(cvtpd2ps)    \
	X(cvtss2sd) X(cvtsd2ss) X(cvtdq2ps) X(cvtps2dq) X(cvttps2dq) X(cvttpd2dq)             \
	X(cvtpd2dq) X(cvtdq2pd) X(cvtpi2ps) X(cvtpi2pd) X(cvtsi2ss) X(cvtsi2sd)               \
	X(cvttps2pi) X(cvttpd2pi) X(cvttss2si) X(cvttsd2si) X(cvtps2pi) X(cvtpd2pi)           \
	X(cvtss2si) X(cvtsd2si) X(ucomiss) X(ucomisd) X(comiss) X(comisd) X(movmskps)         \
	X(movmskpd) X(pmovmskb) X(mmx_pmovmskb) X(ptest) X(pblendvb) X(blendvps)              \
	X(blendvpd) X(load_aligned) X(store_aligned) X(load_unaligned) X(store_unaligned)     \
	X(load_ss) X(store_ss) X(load_sd) X(store_sd) X(load_low) X(store_low)                \
	X(load_high) X(store_high) X(load_low_pd) X(load_high_pd) X(load_q) X(store_q)        \
	X(movntdq) X(movntdqa) X(movnti) X(movd_xmm) X(movd_rm_xmm) X(movd_mmx)               \
	X(movd_rm_mmx) X(movq_mmx) X(movq_m_mmx) X(movntq) X(movq2dq) X(movdq2q)              \
	X(maskmovq) X(maskmovdqu) X(pinsrw) X(mmx_pinsrw) X(pextrw) X(mmx_pextrw) X(pextrb)   \
	X(pextrw_m) X(pextrd) X(extractps) X(pinsrb) X(pinsrd) X(insertps) X(pcmpestrm)       \
	X(pcmpestri) X(pcmpistrm) X(pcmpistri) X(mmx_pshufw) X(mmx_palignr) X(emms)           \
	X(fxsave) X(fxrstor) X(ldmxcsr) X(stmxcsr) X(fence) X(fsgsbase)         \
	X(wait) X(x87)
/* clang-format on */

#define FP_PICK(name) soft_handler pick_##name(const struct soft_insn *i)

/* clang-format off */
#define FP_DECLARE3(map, op, name) FP_PICK(name); FP_PICK(mmx_##name);
#define FP_DECLARE_66(map, op, name) FP_PICK(name);
#define FP_DECLARE_LOGIC(op, name) FP_PICK(name##s); FP_PICK(name##d);
#define FP_DECLARE_ARITH(op, name) \
	FP_PICK(name##ps); FP_PICK(name##pd); FP_PICK(name##ss); FP_PICK(name##sd);
#define FP_DECLARE_EXTEND(op, name, bytes) FP_PICK(name);
#define FP_DECLARE_IMM(map, op, column, name, bytes, mx) FP_PICK(name);
#define FP_DECLARE_SHIFT(op, reg, name) FP_PICK(name##_imm); FP_PICK(mmx_##name##_imm);
#define FP_DECLARE_SHIFT_SSE(op, reg, name) FP_PICK(name##_imm);
#define FP_DECLARE_OTHER(name) FP_PICK(name);
/* clang-format on */

FP_LIST_MMX_SSE(FP_DECLARE3)
FP_LIST_UNPACK(FP_DECLARE3)
FP_LIST_SSE_66(FP_DECLARE_66)
FP_LIST_LOGIC(FP_DECLARE_LOGIC)
FP_LIST_ARITH(FP_DECLARE_ARITH)
FP_LIST_EXTEND(FP_DECLARE_EXTEND)
FP_LIST_IMM(FP_DECLARE_IMM)
FP_LIST_SHIFT(FP_DECLARE_SHIFT)
FP_LIST_SHIFT_SSE(FP_DECLARE_SHIFT_SSE)
FP_LIST_OTHER(FP_DECLARE_OTHER)

#endif
