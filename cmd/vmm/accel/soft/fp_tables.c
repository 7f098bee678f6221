/* SPDX-License-Identifier: Apache-2.0 */
/* Where floating-point and vector instructions stand in the opcode maps. SDM volume 2,
 * appendix A. CRC32, POPCNT and the prefetch hints are in exec_tables.c. */
#include "cmd/vmm/accel/soft/fp_ops.h"

/* clang-format off */
#define P(name) { .pick = pick_##name }
#define UD { .fn = NULL }

/* Columns: no prefix, 66, F3, F2. */
#define ROW(more, np, p66, pf3, pf2)                                                          \
	{                                                                                     \
		.flags = OPF_MODRM | OPF_PREFIX | (more),                                     \
		.prefix = (const struct soft_opcode[4]){ np, p66, pf3, pf2 },                 \
	}
/* clang-format on */

#define MMX_SSE(map, op, name) [op] = ROW(0, P(mmx_##name), P(name), UD, UD),
#define SSE_66(map, op, name) [op] = ROW(0, UD, P(name), UD, UD),
#define LOGIC(op, name) [op] = ROW(0, P(name##s), P(name##d), UD, UD),
#define EXTEND(op, name, bytes) [op] = ROW(0, UD, P(name), UD, UD),
#define ARITH(op, name) [op] = ROW(0, P(name##ps), P(name##pd), P(name##ss), P(name##sd)),

/* The lists of fp_ops.h are of one map each or say which: rows of another map vanish. */
#define ONLY_1(m, op, name, make) ONLY_1_##m(op, name, make)
#define ONLY_1_1(op, name, make) make(1, op, name)
#define ONLY_1_2(op, name, make)
#define ONLY_2(m, op, name, make) ONLY_2_##m(op, name, make)
#define ONLY_2_1(op, name, make)
#define ONLY_2_2(op, name, make) make(2, op, name)
#define MMX_SSE_1(m, op, name) ONLY_1(m, op, name, MMX_SSE)
#define MMX_SSE_2(m, op, name) ONLY_2(m, op, name, MMX_SSE)
#define SSE_66_1(m, op, name) ONLY_1(m, op, name, SSE_66)
#define SSE_66_2(m, op, name) ONLY_2(m, op, name, SSE_66)

/* ---- groups ---- */

/* clang-format off */
static const struct soft_opcode shift_w_mmx[8] = {
	[2] = P(mmx_psrlw_imm), [4] = P(mmx_psraw_imm), [6] = P(mmx_psllw_imm),
};
static const struct soft_opcode shift_w[8] = {
	[2] = P(psrlw_imm), [4] = P(psraw_imm), [6] = P(psllw_imm),
};
static const struct soft_opcode shift_d_mmx[8] = {
	[2] = P(mmx_psrld_imm), [4] = P(mmx_psrad_imm), [6] = P(mmx_pslld_imm),
};
static const struct soft_opcode shift_d[8] = {
	[2] = P(psrld_imm), [4] = P(psrad_imm), [6] = P(pslld_imm),
};
static const struct soft_opcode shift_q_mmx[8] = {
	[2] = P(mmx_psrlq_imm), [6] = P(mmx_psllq_imm),
};
static const struct soft_opcode shift_q[8] = {
	[2] = P(psrlq_imm), [3] = P(psrldq_imm), [6] = P(psllq_imm), [7] = P(pslldq_imm),
};

/* 0F AE: /4 and the memory forms of /5 and /6 are XSAVE's, which is not there. */
static const struct soft_opcode group15[8] = {
	[0] = P(fxsave),  [1] = P(fxrstor), [2] = P(ldmxcsr), [3] = P(stmxcsr),
	[5] = P(fence), [6] = P(fence), [7] = P(fence),
};

#define GROUP(g) { .group = g }
#define X87 { .pick = pick_x87, .flags = OPF_MODRM }
/* clang-format on */

/* ---- maps ---- */

const struct soft_opcode soft_fp_map0[256] = {
	[0x9b] = P(wait), [0xd8] = X87, [0xd9] = X87, [0xda] = X87, [0xdb] = X87,
	[0xdc] = X87,	  [0xdd] = X87, [0xde] = X87, [0xdf] = X87,
};

const struct soft_opcode soft_fp_map1[256] = {
	[0x10] = ROW(0, P(load_unaligned), P(load_unaligned), P(load_ss), P(load_sd)),
	[0x11] = ROW(0, P(store_unaligned), P(store_unaligned), P(store_ss), P(store_sd)),
	[0x12] = ROW(0, P(load_low), P(load_low_pd), P(movsldup), P(movddup)),
	[0x13] = ROW(OPF_MEM, P(store_low), P(store_low), UD, UD),
	[0x16] = ROW(0, P(load_high), P(load_high_pd), P(movshdup), UD),
	[0x17] = ROW(OPF_MEM, P(store_high), P(store_high), UD, UD),
	[0x28] = ROW(0, P(load_aligned), P(load_aligned), UD, UD),
	[0x29] = ROW(0, P(store_aligned), P(store_aligned), UD, UD),
	[0x2a] = ROW(0, P(cvtpi2ps), P(cvtpi2pd), P(cvtsi2ss), P(cvtsi2sd)),
	[0x2b] = ROW(OPF_MEM, P(movntdq), P(movntdq), UD, UD),
	[0x2c] = ROW(0, P(cvttps2pi), P(cvttpd2pi), P(cvttss2si), P(cvttsd2si)),
	[0x2d] = ROW(0, P(cvtps2pi), P(cvtpd2pi), P(cvtss2si), P(cvtsd2si)),
	[0x2e] = ROW(0, P(ucomiss), P(ucomisd), UD, UD),
	[0x2f] = ROW(0, P(comiss), P(comisd), UD, UD),
	[0x50] = ROW(OPF_REG, P(movmskps), P(movmskpd), UD, UD),
	[0x52] = ROW(0, P(rsqrtps), UD, P(rsqrtss), UD),
	[0x53] = ROW(0, P(rcpps), UD, P(rcpss), UD),
	[0x5a] = ROW(0, P(cvtps2pd), P(cvtpd2ps), P(cvtss2sd), P(cvtsd2ss)),
	[0x5b] = ROW(0, P(cvtdq2ps), P(cvtps2dq), P(cvttps2dq), UD),
	FP_LIST_MMX_SSE(MMX_SSE_1) FP_LIST_UNPACK(MMX_SSE_1) FP_LIST_SSE_66(SSE_66_1) FP_LIST_LOGIC(
		LOGIC) FP_LIST_ARITH(ARITH)[0x6e] = ROW(0, P(movd_mmx), P(movd_xmm), UD, UD),
	[0x6f] = ROW(0, P(movq_mmx), P(load_aligned), P(load_unaligned), UD),
	[0x70] = ROW(OPF_IMM8, P(mmx_pshufw), P(pshufd), P(pshufhw), P(pshuflw)),
	[0x71] = ROW(OPF_IMM8 | OPF_REG, GROUP(shift_w_mmx), GROUP(shift_w), UD, UD),
	[0x72] = ROW(OPF_IMM8 | OPF_REG, GROUP(shift_d_mmx), GROUP(shift_d), UD, UD),
	[0x73] = ROW(OPF_IMM8 | OPF_REG, GROUP(shift_q_mmx), GROUP(shift_q), UD, UD),
	[0x77] = { .flags = OPF_PREFIX, .prefix = (const struct soft_opcode[4]){ P(emms) } },
	[0x7c] = ROW(0, UD, P(haddpd), UD, P(haddps)),
	[0x7d] = ROW(0, UD, P(hsubpd), UD, P(hsubps)),
	[0x7e] = ROW(0, P(movd_rm_mmx), P(movd_rm_xmm), P(load_q), UD),
	[0x7f] = ROW(0, P(movq_m_mmx), P(store_aligned), P(store_unaligned), UD),
	[0xae] = ROW(0, GROUP(group15), UD, P(fsgsbase), UD),
	[0xc2] = ROW(OPF_IMM8, P(cmpps), P(cmppd), P(cmpss), P(cmpsd)),
	[0xc3] = ROW(OPF_MEM, P(movnti), UD, UD, UD),
	[0xc4] = ROW(OPF_IMM8, P(mmx_pinsrw), P(pinsrw), UD, UD),
	[0xc5] = ROW(OPF_IMM8 | OPF_REG, P(mmx_pextrw), P(pextrw), UD, UD),
	[0xc6] = ROW(OPF_IMM8, P(shufps), P(shufpd), UD, UD),
	[0xd0] = ROW(0, UD, P(addsubpd), UD, P(addsubps)),
	[0xd6] = ROW(0, UD, P(store_q), P(movq2dq), P(movdq2q)),
	[0xd7] = ROW(OPF_REG, P(mmx_pmovmskb), P(pmovmskb), UD, UD),
	[0xe6] = ROW(0, UD, P(cvttpd2dq), P(cvtdq2pd), P(cvtpd2dq)),
	[0xe7] = ROW(OPF_MEM, P(movntq), P(movntdq), UD, UD),
	[0xf0] = ROW(OPF_MEM, UD, UD, UD, P(load_unaligned)), /* LDDQU */
	[0xf7] = ROW(OPF_REG, P(maskmovq), P(maskmovdqu), UD, UD),
};

const struct soft_opcode soft_fp_map2[256] = {
	FP_LIST_MMX_SSE(MMX_SSE_2) FP_LIST_SSE_66(SSE_66_2)
		FP_LIST_EXTEND(EXTEND)[0x10] = ROW(0, UD, P(pblendvb), UD, UD),
	[0x14] = ROW(0, UD, P(blendvps), UD, UD),
	[0x15] = ROW(0, UD, P(blendvpd), UD, UD),
	[0x17] = ROW(0, UD, P(ptest), UD, UD),
	[0x2a] = ROW(OPF_MEM, UD, P(movntdqa), UD, UD),
};

#define IMM_66(name) ROW(OPF_IMM8, UD, P(name), UD, UD)

const struct soft_opcode soft_fp_map3[256] = {
	[0x08] = IMM_66(roundps),   [0x09] = IMM_66(roundpd),
	[0x0a] = IMM_66(roundss),   [0x0b] = IMM_66(roundsd),
	[0x0c] = IMM_66(blendps),   [0x0d] = IMM_66(blendpd),
	[0x0e] = IMM_66(pblendw),   [0x0f] = ROW(OPF_IMM8, P(mmx_palignr), P(palignr), UD, UD),
	[0x14] = IMM_66(pextrb),    [0x15] = IMM_66(pextrw_m),
	[0x16] = IMM_66(pextrd),    [0x17] = IMM_66(extractps),
	[0x20] = IMM_66(pinsrb),    [0x21] = IMM_66(insertps),
	[0x22] = IMM_66(pinsrd),    [0x40] = IMM_66(dpps),
	[0x41] = IMM_66(dppd),	    [0x42] = IMM_66(mpsadbw),
	[0x60] = IMM_66(pcmpestrm), [0x61] = IMM_66(pcmpestri),
	[0x62] = IMM_66(pcmpistrm), [0x63] = IMM_66(pcmpistri),
};
