/* SPDX-License-Identifier: Apache-2.0 */
/* Where integer instructions stand in the opcode maps. SDM volume 2, appendix A. */
#include "cmd/vmm/accel/soft/exec.h"
#include "cmd/vmm/accel/soft/sys_ops.h"

/* The six forms of ADD, OR, ADC, SBB, AND, SUB, XOR, CMP. */
#define ALU(base, lock)                                                                \
	[base + 0] = { .pick = pick_alu_rm_r, .flags = OPF_MODRM | OPF_BYTE | lock },  \
		[base + 1] = { .pick = pick_alu_rm_r, .flags = OPF_MODRM | lock },     \
		[base + 2] = { .pick = pick_alu_r_rm, .flags = OPF_MODRM | OPF_BYTE }, \
		[base + 3] = { .pick = pick_alu_r_rm, .flags = OPF_MODRM },            \
		[base + 4] = { .pick = pick_alu_a_i, .flags = OPF_BYTE | OPF_IMM8 },   \
		[base + 5] = { .pick = pick_alu_a_i, .flags = OPF_IMMZ }

#define EIGHT(base, ...)                                                                      \
	[base + 0] = __VA_ARGS__, [base + 1] = __VA_ARGS__, [base + 2] = __VA_ARGS__,         \
		[base + 3] = __VA_ARGS__, [base + 4] = __VA_ARGS__, [base + 5] = __VA_ARGS__, \
		[base + 6] = __VA_ARGS__, [base + 7] = __VA_ARGS__

#define SIXTEEN(base, ...) EIGHT(base, __VA_ARGS__), EIGHT(base + 8, __VA_ARGS__)

/* 8F */
static const struct soft_opcode group1a[8] = {
	[0] = { .fn = op_pop_rm, .flags = OPF_D64 },
};

/* C6, C7 */
static const struct soft_opcode group11_8[8] = {
	[0] = { .pick = pick_mov_rm_i, .flags = OPF_IMM8 },
};
static const struct soft_opcode group11[8] = {
	[0] = { .pick = pick_mov_rm_i, .flags = OPF_IMMZ },
};

/* F6, F7; /1 is TEST as well */
static const struct soft_opcode group3_8[8] = {
	[0] = { .pick = pick_test_rm_i, .flags = OPF_IMM8 },
	[1] = { .pick = pick_test_rm_i, .flags = OPF_IMM8 },
	[2] = { .pick = pick_not, .flags = OPF_LOCK },
	[3] = { .pick = pick_neg, .flags = OPF_LOCK },
	[4] = { .pick = pick_mul },
	[5] = { .pick = pick_imul },
	[6] = { .pick = pick_div },
	[7] = { .pick = pick_idiv },
};
static const struct soft_opcode group3[8] = {
	[0] = { .pick = pick_test_rm_i, .flags = OPF_IMMZ },
	[1] = { .pick = pick_test_rm_i, .flags = OPF_IMMZ },
	[2] = { .pick = pick_not, .flags = OPF_LOCK },
	[3] = { .pick = pick_neg, .flags = OPF_LOCK },
	[4] = { .pick = pick_mul },
	[5] = { .pick = pick_imul },
	[6] = { .pick = pick_div },
	[7] = { .pick = pick_idiv },
};

/* FE, FF */
static const struct soft_opcode group4[8] = {
	[0] = { .pick = pick_inc, .flags = OPF_LOCK },
	[1] = { .pick = pick_dec, .flags = OPF_LOCK },
};
static const struct soft_opcode group5[8] = {
	[0] = { .pick = pick_inc, .flags = OPF_LOCK },
	[1] = { .pick = pick_dec, .flags = OPF_LOCK },
	[2] = { .pick = pick_call_rm, .flags = OPF_F64 | OPF_END },
	[3] = { .fn = op_far_call_mem, .flags = OPF_MEM | OPF_END },
	[4] = { .pick = pick_jmp_rm, .flags = OPF_F64 | OPF_END },
	[5] = { .fn = op_far_jump_mem, .flags = OPF_MEM | OPF_END },
	[6] = { .fn = op_push_rm, .flags = OPF_D64 },
};

const struct soft_opcode soft_int_map0[256] = {
	ALU(0x00, OPF_LOCK),
	ALU(0x08, OPF_LOCK),
	ALU(0x10, OPF_LOCK),
	ALU(0x18, OPF_LOCK),
	ALU(0x20, OPF_LOCK),
	[0x27] = { .fn = op_daa, .flags = OPF_I64 },
	ALU(0x28, OPF_LOCK),
	[0x2f] = { .fn = op_daa, .flags = OPF_I64 },
	ALU(0x30, OPF_LOCK),
	[0x37] = { .fn = op_aaa, .flags = OPF_I64 },
	ALU(0x38, 0),
	[0x3f] = { .fn = op_aaa, .flags = OPF_I64 },
	SIXTEEN(0x40, { .fn = op_inc_reg, .flags = OPF_I64 }),
	EIGHT(0x50, { .pick = pick_push_r, .flags = OPF_D64 }),
	EIGHT(0x58, { .pick = pick_pop_r, .flags = OPF_D64 }),
	[0x60] = { .fn = op_pusha, .flags = OPF_I64 },
	[0x61] = { .fn = op_popa, .flags = OPF_I64 },
	[0x62] = { .fn = op_bound, .flags = OPF_MODRM | OPF_MEM | OPF_I64 },
	[0x63] = { .pick = pick_movsxd, .flags = OPF_MODRM },
	[0x68] = { .fn = op_push_imm, .flags = OPF_D64 | OPF_IMMZ },
	[0x69] = { .pick = pick_imul_i, .flags = OPF_MODRM | OPF_IMMZ },
	[0x6a] = { .fn = op_push_imm, .flags = OPF_D64 | OPF_IMM8 },
	[0x6b] = { .pick = pick_imul_i, .flags = OPF_MODRM | OPF_IMM8 },
	SIXTEEN(0x70, { .pick = pick_jcc, .flags = OPF_F64 | OPF_IMM8 }),
	[0x80] = { .pick = pick_alu_group1, .flags = OPF_MODRM | OPF_BYTE | OPF_IMM8 | OPF_LOCK },
	[0x81] = { .pick = pick_alu_group1, .flags = OPF_MODRM | OPF_IMMZ | OPF_LOCK },
	[0x82] = { .pick = pick_alu_group1,
		   .flags = OPF_MODRM | OPF_BYTE | OPF_IMM8 | OPF_LOCK | OPF_I64 },
	[0x83] = { .pick = pick_alu_group1, .flags = OPF_MODRM | OPF_IMM8 | OPF_LOCK },
	[0x84] = { .pick = pick_test_rm_r, .flags = OPF_MODRM | OPF_BYTE },
	[0x85] = { .pick = pick_test_rm_r, .flags = OPF_MODRM },
	[0x86] = { .pick = pick_xchg, .flags = OPF_MODRM | OPF_BYTE | OPF_LOCK },
	[0x87] = { .pick = pick_xchg, .flags = OPF_MODRM | OPF_LOCK },
	[0x88] = { .pick = pick_mov_rm_r, .flags = OPF_MODRM | OPF_BYTE },
	[0x89] = { .pick = pick_mov_rm_r, .flags = OPF_MODRM },
	[0x8a] = { .pick = pick_mov_r_rm, .flags = OPF_MODRM | OPF_BYTE },
	[0x8b] = { .pick = pick_mov_r_rm, .flags = OPF_MODRM },
	[0x8d] = { .pick = pick_lea, .flags = OPF_MODRM | OPF_MEM },
	[0x8f] = { .group = group1a, .flags = OPF_MODRM },
	EIGHT(0x90, { .pick = pick_xchg_a }),
	[0x98] = { .fn = op_cbw },
	[0x99] = { .fn = op_cwd },
	[0x9e] = { .fn = op_sahf },
	[0x9f] = { .fn = op_lahf },
	[0xa0] = { .fn = op_mov_a_moffs, .flags = OPF_BYTE | OPF_MOFFS },
	[0xa1] = { .fn = op_mov_a_moffs, .flags = OPF_MOFFS },
	[0xa2] = { .fn = op_mov_moffs_a, .flags = OPF_BYTE | OPF_MOFFS },
	[0xa3] = { .fn = op_mov_moffs_a, .flags = OPF_MOFFS },
	[0xa4] = { .pick = pick_movs, .flags = OPF_BYTE },
	[0xa5] = { .pick = pick_movs },
	[0xa6] = { .pick = pick_cmps, .flags = OPF_BYTE },
	[0xa7] = { .pick = pick_cmps },
	[0xa8] = { .pick = pick_test_a_i, .flags = OPF_BYTE | OPF_IMM8 },
	[0xa9] = { .pick = pick_test_a_i, .flags = OPF_IMMZ },
	[0xaa] = { .pick = pick_stos, .flags = OPF_BYTE },
	[0xab] = { .pick = pick_stos },
	[0xac] = { .pick = pick_lods, .flags = OPF_BYTE },
	[0xad] = { .pick = pick_lods },
	[0xae] = { .pick = pick_scas, .flags = OPF_BYTE },
	[0xaf] = { .pick = pick_scas },
	EIGHT(0xb0, { .pick = pick_mov_r_i, .flags = OPF_BYTE | OPF_IMM8 }),
	EIGHT(0xb8, { .pick = pick_mov_r_i, .flags = OPF_IMMV }),
	[0xc0] = { .pick = pick_shift, .flags = OPF_MODRM | OPF_BYTE | OPF_IMM8 },
	[0xc1] = { .pick = pick_shift, .flags = OPF_MODRM | OPF_IMM8 },
	[0xc2] = { .pick = pick_ret, .flags = OPF_F64 | OPF_IMM16 | OPF_END },
	[0xc3] = { .pick = pick_ret, .flags = OPF_F64 | OPF_END },
	[0xc6] = { .group = group11_8, .flags = OPF_MODRM | OPF_BYTE },
	[0xc7] = { .group = group11, .flags = OPF_MODRM },
	[0xc8] = { .fn = op_enter, .flags = OPF_D64 | OPF_IMM16 | OPF_IMM8_2 },
	[0xc9] = { .pick = pick_leave, .flags = OPF_D64 },
	[0xd0] = { .pick = pick_shift, .flags = OPF_MODRM | OPF_BYTE },
	[0xd1] = { .pick = pick_shift, .flags = OPF_MODRM },
	[0xd2] = { .pick = pick_shift, .flags = OPF_MODRM | OPF_BYTE },
	[0xd3] = { .pick = pick_shift, .flags = OPF_MODRM },
	[0xd4] = { .fn = op_aam, .flags = OPF_IMM8 | OPF_I64 },
	[0xd5] = { .fn = op_aad, .flags = OPF_IMM8 | OPF_I64 },
	[0xd7] = { .fn = op_xlat },
	[0xe0] = { .fn = op_loop, .flags = OPF_F64 | OPF_IMM8 },
	[0xe1] = { .fn = op_loop, .flags = OPF_F64 | OPF_IMM8 },
	[0xe2] = { .fn = op_loop, .flags = OPF_F64 | OPF_IMM8 },
	[0xe3] = { .fn = op_loop, .flags = OPF_F64 | OPF_IMM8 },
	[0xe8] = { .pick = pick_call, .flags = OPF_F64 | OPF_IMMZ | OPF_END },
	[0xe9] = { .pick = pick_jmp, .flags = OPF_F64 | OPF_IMMZ | OPF_END },
	[0xeb] = { .pick = pick_jmp, .flags = OPF_F64 | OPF_IMM8 | OPF_END },
	[0xf1] = { .fn = op_int1, .flags = OPF_END },
	[0xf5] = { .fn = op_cmc },
	[0xf6] = { .group = group3_8, .flags = OPF_MODRM | OPF_BYTE },
	[0xf7] = { .group = group3, .flags = OPF_MODRM },
	[0xf8] = { .fn = op_clc },
	[0xf9] = { .fn = op_stc },
	[0xfc] = { .fn = op_cld },
	[0xfd] = { .fn = op_std },
	[0xfe] = { .group = group4, .flags = OPF_MODRM | OPF_BYTE },
	[0xff] = { .group = group5, .flags = OPF_MODRM },
};

/* 0F BA */
static const struct soft_opcode group8[8] = {
	[4] = { .pick = pick_bit_test, .flags = OPF_IMM8 | OPF_LOCK },
	[5] = { .pick = pick_bit_test, .flags = OPF_IMM8 | OPF_LOCK },
	[6] = { .pick = pick_bit_test, .flags = OPF_IMM8 | OPF_LOCK },
	[7] = { .pick = pick_bit_test, .flags = OPF_IMM8 | OPF_LOCK },
};

/* 0F C7; RDRAND, RDSEED and RDPID (/6, /7) are not there */
static const struct soft_opcode group9[8] = {
	[1] = { .pick = pick_cmpxchg8b, .flags = OPF_MEM | OPF_LOCK },
};

/* 0F B8: POPCNT with F3 only */
static const struct soft_opcode by_prefix_b8[4] = {
	[2] = { .pick = pick_popcnt },
};

/* 0F C3: MOVNTI without a prefix */
static const struct soft_opcode by_prefix_c3[4] = {
	[0] = { .fn = op_movnti, .flags = OPF_MEM },
};

const struct soft_opcode soft_int_map1[256] = {
	[0x0b] = { .fn = op_ud, .flags = OPF_END },
	[0x0d] = { .fn = op_nop, .flags = OPF_MODRM },
	EIGHT(0x18, { .fn = op_nop, .flags = OPF_MODRM }),
	SIXTEEN(0x40, { .pick = pick_cmov, .flags = OPF_MODRM }),
	SIXTEEN(0x80, { .pick = pick_jcc, .flags = OPF_F64 | OPF_IMMZ }),
	SIXTEEN(0x90, { .fn = op_setcc, .flags = OPF_MODRM | OPF_BYTE }),
	[0xa3] = { .pick = pick_bit_test, .flags = OPF_MODRM | OPF_LOCK },
	[0xa4] = { .pick = pick_shift_double, .flags = OPF_MODRM | OPF_IMM8 },
	[0xa5] = { .pick = pick_shift_double, .flags = OPF_MODRM },
	[0xab] = { .pick = pick_bit_test, .flags = OPF_MODRM | OPF_LOCK },
	[0xac] = { .pick = pick_shift_double, .flags = OPF_MODRM | OPF_IMM8 },
	[0xad] = { .pick = pick_shift_double, .flags = OPF_MODRM },
	[0xaf] = { .pick = pick_imul_r, .flags = OPF_MODRM },
	[0xb0] = { .pick = pick_cmpxchg, .flags = OPF_MODRM | OPF_BYTE | OPF_LOCK },
	[0xb1] = { .pick = pick_cmpxchg, .flags = OPF_MODRM | OPF_LOCK },
	[0xb3] = { .pick = pick_bit_test, .flags = OPF_MODRM | OPF_LOCK },
	[0xb6] = { .pick = pick_movzx8, .flags = OPF_MODRM },
	[0xb7] = { .pick = pick_movzx16, .flags = OPF_MODRM },
	[0xb8] = { .prefix = by_prefix_b8, .flags = OPF_MODRM },
	[0xb9] = { .fn = op_ud, .flags = OPF_MODRM | OPF_END },
	[0xba] = { .group = group8, .flags = OPF_MODRM },
	[0xbb] = { .pick = pick_bit_test, .flags = OPF_MODRM | OPF_LOCK },
	[0xbc] = { .pick = pick_scan, .flags = OPF_MODRM },
	[0xbd] = { .pick = pick_scan, .flags = OPF_MODRM },
	[0xbe] = { .pick = pick_movsx8, .flags = OPF_MODRM },
	[0xbf] = { .pick = pick_movsx16, .flags = OPF_MODRM },
	[0xc0] = { .pick = pick_xadd, .flags = OPF_MODRM | OPF_BYTE | OPF_LOCK },
	[0xc1] = { .pick = pick_xadd, .flags = OPF_MODRM | OPF_LOCK },
	[0xc3] = { .prefix = by_prefix_c3, .flags = OPF_MODRM },
	[0xc7] = { .group = group9, .flags = OPF_MODRM },
	EIGHT(0xc8, { .fn = op_bswap }),
	[0xff] = { .fn = op_ud, .flags = OPF_MODRM | OPF_END },
};

/* CRC32 with F2 */
static const struct soft_opcode by_prefix_f0[4] = {
	[3] = { .fn = op_crc32, .flags = OPF_BYTE },
};
static const struct soft_opcode by_prefix_f1[4] = {
	[3] = { .fn = op_crc32 },
};

const struct soft_opcode soft_int_map2[256] = {
	[0xf0] = { .prefix = by_prefix_f0, .flags = OPF_MODRM },
	[0xf1] = { .prefix = by_prefix_f1, .flags = OPF_MODRM },
};

const struct soft_opcode soft_int_map3[256] = { 0 };
