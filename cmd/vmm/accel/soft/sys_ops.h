/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers of system instructions, for the tables in sys_tables.c. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_SYS_OPS_H
#define BULKHEAD_VMM_ACCEL_SOFT_SYS_OPS_H

#include "cmd/vmm/accel/soft/insn.h"

#define SOFT_OP(name) const struct soft_insn *name(struct soft_cpu *c, const struct soft_insn *i)

/* sys_priv.c */
SOFT_OP(op_mov_from_cr);
SOFT_OP(op_mov_to_cr);
SOFT_OP(op_mov_from_dr);
SOFT_OP(op_mov_to_dr);
SOFT_OP(op_clts);
SOFT_OP(op_sldt);
SOFT_OP(op_str);
SOFT_OP(op_lldt);
SOFT_OP(op_ltr);
SOFT_OP(op_smsw);
SOFT_OP(op_lmsw);
SOFT_OP(op_verr);
SOFT_OP(op_verw);
SOFT_OP(op_lar);
SOFT_OP(op_lsl);
SOFT_OP(op_sgdt);
SOFT_OP(op_sidt);
SOFT_OP(op_lgdt);
SOFT_OP(op_lidt);
SOFT_OP(op_invlpg);
SOFT_OP(op_wbinvd);
SOFT_OP(op_swapgs);
SOFT_OP(op_clac);
SOFT_OP(op_stac);
SOFT_OP(op_rdmsr);
SOFT_OP(op_wrmsr);
SOFT_OP(op_rdtsc);
SOFT_OP(op_rdtscp);
SOFT_OP(op_cpuid);
SOFT_OP(op_hypercall);
SOFT_OP(op_hlt);
SOFT_OP(op_rdpmc);
SOFT_OP(op_fsgsbase);

/* sys_flow.c */
SOFT_OP(op_syscall);
SOFT_OP(op_sysret);
SOFT_OP(op_sysenter);
SOFT_OP(op_sysexit);
SOFT_OP(op_iret);
SOFT_OP(op_int);
SOFT_OP(op_int3);
SOFT_OP(op_into);
SOFT_OP(op_cli);
SOFT_OP(op_sti);
SOFT_OP(op_pushf);
SOFT_OP(op_popf);
SOFT_OP(op_in_imm);
SOFT_OP(op_out_imm);
SOFT_OP(op_in_dx);
SOFT_OP(op_out_dx);
SOFT_OP(op_ins);
SOFT_OP(op_outs);
SOFT_OP(op_mov_from_seg);
SOFT_OP(op_mov_to_seg);
SOFT_OP(op_push_seg);
SOFT_OP(op_pop_seg);
SOFT_OP(op_load_far);
SOFT_OP(op_far_jump_imm);
SOFT_OP(op_far_call_imm);
SOFT_OP(op_far_jump_mem);
SOFT_OP(op_far_call_mem);
SOFT_OP(op_far_ret);
SOFT_OP(op_far_ret_imm);

#endif
