/* SPDX-License-Identifier: Apache-2.0 */
/* Where system instructions stand in the opcode maps. SDM volume 2, appendix A. */
#include "cmd/vmm/accel/soft/sys_ops.h"

/* 0F 00 */
static const struct soft_opcode group6[8] = {
	[0] = { .fn = op_sldt }, [1] = { .fn = op_str },  [2] = { .fn = op_lldt },
	[3] = { .fn = op_ltr },	 [4] = { .fn = op_verr }, [5] = { .fn = op_verw },
};

/* 0F 01: the register forms of groups 0, 2, 3 and 7 are instructions of their own. */
static soft_handler pick_0f01_0(const struct soft_insn *i)
{
	return i->is_mem ? op_sgdt : i->modrm == 0xc1 ? op_hypercall : NULL;
}

static soft_handler pick_0f01_1(const struct soft_insn *i)
{
	if (i->is_mem)
		return op_sidt;
	return i->modrm == 0xca ? op_clac : i->modrm == 0xcb ? op_stac : NULL;
}

/* VMMCALL is AMD's VMCALL. */
static soft_handler pick_0f01_3(const struct soft_insn *i)
{
	return i->is_mem ? op_lidt : i->modrm == 0xd9 ? op_hypercall : NULL;
}

static soft_handler pick_0f01_7(const struct soft_insn *i)
{
	if (i->is_mem)
		return op_invlpg;
	return i->modrm == 0xf8 ? op_swapgs : i->modrm == 0xf9 ? op_rdtscp : NULL;
}

static const struct soft_opcode group7[8] = {
	[0] = { .pick = pick_0f01_0 },
	[1] = { .pick = pick_0f01_1 },
	[2] = { .fn = op_lgdt, .flags = OPF_MEM },
	[3] = { .pick = pick_0f01_3 },
	[4] = { .fn = op_smsw },
	[6] = { .fn = op_lmsw, .flags = OPF_END },
	[7] = { .pick = pick_0f01_7, .flags = OPF_END },
};

const struct soft_opcode soft_sys_map0[256] = {
	[0x06] = { .fn = op_push_seg, .flags = OPF_I64 },
	[0x07] = { .fn = op_pop_seg, .flags = OPF_I64 | OPF_END },
	[0x0e] = { .fn = op_push_seg, .flags = OPF_I64 },
	[0x16] = { .fn = op_push_seg, .flags = OPF_I64 },
	[0x17] = { .fn = op_pop_seg, .flags = OPF_I64 | OPF_END },
	[0x1e] = { .fn = op_push_seg, .flags = OPF_I64 },
	[0x1f] = { .fn = op_pop_seg, .flags = OPF_I64 | OPF_END },
	[0x6c] = { .fn = op_ins, .flags = OPF_BYTE | OPF_END },
	[0x6d] = { .fn = op_ins, .flags = OPF_END },
	[0x6e] = { .fn = op_outs, .flags = OPF_BYTE | OPF_END },
	[0x6f] = { .fn = op_outs, .flags = OPF_END },
	[0x8c] = { .fn = op_mov_from_seg, .flags = OPF_MODRM },
	[0x8e] = { .fn = op_mov_to_seg, .flags = OPF_MODRM | OPF_END },
	[0x9a] = { .fn = op_far_call_imm, .flags = OPF_FAR | OPF_I64 | OPF_END },
	[0x9c] = { .fn = op_pushf, .flags = OPF_D64 },
	[0x9d] = { .fn = op_popf, .flags = OPF_D64 | OPF_END },
	[0xc4] = { .fn = op_load_far, .flags = OPF_MODRM | OPF_I64 | OPF_MEM | OPF_END },
	[0xc5] = { .fn = op_load_far, .flags = OPF_MODRM | OPF_I64 | OPF_MEM | OPF_END },
	[0xca] = { .fn = op_far_ret_imm, .flags = OPF_IMM16 | OPF_END },
	[0xcb] = { .fn = op_far_ret, .flags = OPF_END },
	[0xcc] = { .fn = op_int3, .flags = OPF_END },
	[0xcd] = { .fn = op_int, .flags = OPF_IMM8 | OPF_END },
	[0xce] = { .fn = op_into, .flags = OPF_I64 | OPF_END },
	[0xcf] = { .fn = op_iret, .flags = OPF_END },
	[0xe4] = { .fn = op_in_imm, .flags = OPF_IMM8 | OPF_BYTE },
	[0xe5] = { .fn = op_in_imm, .flags = OPF_IMM8 },
	[0xe6] = { .fn = op_out_imm, .flags = OPF_IMM8 | OPF_BYTE | OPF_END },
	[0xe7] = { .fn = op_out_imm, .flags = OPF_IMM8 | OPF_END },
	[0xea] = { .fn = op_far_jump_imm, .flags = OPF_FAR | OPF_I64 | OPF_END },
	[0xec] = { .fn = op_in_dx, .flags = OPF_BYTE },
	[0xed] = { .fn = op_in_dx },
	[0xee] = { .fn = op_out_dx, .flags = OPF_BYTE | OPF_END },
	[0xef] = { .fn = op_out_dx, .flags = OPF_END },
	[0xf4] = { .fn = op_hlt, .flags = OPF_END },
	[0xfa] = { .fn = op_cli },
	[0xfb] = { .fn = op_sti, .flags = OPF_END },
	/* FF /3 and /5, far CALL and JMP through memory, are in exec's group 5 */
};

/* F3 0F AE, register forms: RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE. The rest of 0F AE is fp's. */

const struct soft_opcode soft_sys_map1[256] = {
	[0x00] = { .group = group6, .flags = OPF_MODRM },
	[0x01] = { .group = group7, .flags = OPF_MODRM },
	[0x02] = { .fn = op_lar, .flags = OPF_MODRM },
	[0x03] = { .fn = op_lsl, .flags = OPF_MODRM },
	[0x05] = { .fn = op_syscall, .flags = OPF_END },
	[0x06] = { .fn = op_clts, .flags = OPF_END },
	[0x07] = { .fn = op_sysret, .flags = OPF_O64 | OPF_END },
	[0x08] = { .fn = op_wbinvd },
	[0x09] = { .fn = op_wbinvd },
	[0x20] = { .fn = op_mov_from_cr, .flags = OPF_MODRM },
	[0x21] = { .fn = op_mov_from_dr, .flags = OPF_MODRM },
	[0x22] = { .fn = op_mov_to_cr, .flags = OPF_MODRM | OPF_END },
	[0x23] = { .fn = op_mov_to_dr, .flags = OPF_MODRM },
	[0x30] = { .fn = op_wrmsr, .flags = OPF_END },
	[0x31] = { .fn = op_rdtsc },
	[0x32] = { .fn = op_rdmsr },
	[0x33] = { .fn = op_rdpmc },
	[0x34] = { .fn = op_sysenter, .flags = OPF_END },
	[0x35] = { .fn = op_sysexit, .flags = OPF_END },
	[0xa0] = { .fn = op_push_seg, .flags = OPF_D64 },
	[0xa1] = { .fn = op_pop_seg, .flags = OPF_D64 | OPF_END },
	[0xa2] = { .fn = op_cpuid },
	[0xa8] = { .fn = op_push_seg, .flags = OPF_D64 },
	[0xa9] = { .fn = op_pop_seg, .flags = OPF_D64 | OPF_END },
	[0xb2] = { .fn = op_load_far, .flags = OPF_MODRM | OPF_MEM | OPF_END },
	[0xb4] = { .fn = op_load_far, .flags = OPF_MODRM | OPF_MEM | OPF_END },
	[0xb5] = { .fn = op_load_far, .flags = OPF_MODRM | OPF_MEM | OPF_END },
};
