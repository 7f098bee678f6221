/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers and pickers of integer instructions, for the tables in exec_tables.c. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_EXEC_H
#define BULKHEAD_VMM_ACCEL_SOFT_EXEC_H

#include "cmd/vmm/accel/soft/insn.h"

#define SOFT_PICK(name) soft_handler name(const struct soft_insn *i)
#define SOFT_INT_OP(name) \
	const struct soft_insn *name(struct soft_cpu *c, const struct soft_insn *i)

/* exec_alu.c */
SOFT_PICK(pick_alu_rm_r);
SOFT_PICK(pick_alu_r_rm);
SOFT_PICK(pick_alu_a_i);
SOFT_PICK(pick_alu_group1);
SOFT_PICK(pick_test_rm_r);
SOFT_PICK(pick_test_rm_i);
SOFT_PICK(pick_test_a_i);
SOFT_PICK(pick_inc);
SOFT_PICK(pick_dec);
SOFT_PICK(pick_neg);
SOFT_PICK(pick_not);
SOFT_INT_OP(op_inc_reg);

/* exec_mov.c */
SOFT_PICK(pick_mov_rm_r);
SOFT_PICK(pick_mov_r_rm);
SOFT_PICK(pick_mov_rm_i);
SOFT_PICK(pick_mov_r_i);
SOFT_PICK(pick_movzx8);
SOFT_PICK(pick_movzx16);
SOFT_PICK(pick_movsx8);
SOFT_PICK(pick_movsx16);
SOFT_PICK(pick_movsxd);
SOFT_PICK(pick_lea);
SOFT_PICK(pick_xchg);
SOFT_PICK(pick_xchg_a);
SOFT_PICK(pick_cmov);
SOFT_INT_OP(op_mov_a_moffs);
SOFT_INT_OP(op_mov_moffs_a);
SOFT_INT_OP(op_setcc);
SOFT_INT_OP(op_bswap);
SOFT_INT_OP(op_cbw);
SOFT_INT_OP(op_cwd);
SOFT_INT_OP(op_movnti);

/* exec_stack.c */
SOFT_PICK(pick_push_r);
SOFT_PICK(pick_pop_r);
SOFT_PICK(pick_leave);
SOFT_INT_OP(op_push_imm);
SOFT_INT_OP(op_push_rm);
SOFT_INT_OP(op_pop_rm);
SOFT_INT_OP(op_pusha);
SOFT_INT_OP(op_popa);
SOFT_INT_OP(op_enter);

/* exec_flow.c */
/* liveness.c: n instructions that follow each other in a block. */
void soft_mark_flags(struct soft_insn *first, size_t n);
/* An instruction just decoded, with its place in the page: a branch within the page becomes one that
 * remembers its target's block. */
void soft_link_prepare(struct soft_insn *i);
SOFT_PICK(pick_jmp);
SOFT_PICK(pick_jmp_rm);
SOFT_PICK(pick_jcc);
SOFT_PICK(pick_call);
SOFT_PICK(pick_call_rm);
SOFT_PICK(pick_ret);
SOFT_INT_OP(op_loop);
SOFT_INT_OP(op_nop);
SOFT_INT_OP(op_pause);
SOFT_INT_OP(op_ud);
SOFT_INT_OP(op_int1);
SOFT_INT_OP(op_bound);
SOFT_INT_OP(op_arpl);

/* exec_shift.c */
SOFT_PICK(pick_shift);
SOFT_PICK(pick_shift_double);

/* exec_bit.c */
SOFT_PICK(pick_bit_test);
SOFT_PICK(pick_scan);
SOFT_PICK(pick_popcnt);
SOFT_PICK(pick_cmpxchg);
SOFT_PICK(pick_xadd);
SOFT_PICK(pick_cmpxchg8b);
SOFT_INT_OP(op_crc32);
SOFT_INT_OP(op_cmpxchg8b);
SOFT_INT_OP(op_cmpxchg16b);

/* exec_mul.c */
SOFT_PICK(pick_mul);
SOFT_PICK(pick_imul);
SOFT_PICK(pick_imul_r);
SOFT_PICK(pick_imul_i);
SOFT_PICK(pick_div);
SOFT_PICK(pick_idiv);
SOFT_INT_OP(op_daa);
SOFT_INT_OP(op_aaa);
SOFT_INT_OP(op_aam);
SOFT_INT_OP(op_aad);

/* exec_string.c */
SOFT_PICK(pick_movs);
SOFT_PICK(pick_stos);
SOFT_PICK(pick_lods);
SOFT_PICK(pick_scas);
SOFT_PICK(pick_cmps);
SOFT_INT_OP(op_xlat);

/* exec_flag.c */
SOFT_INT_OP(op_clc);
SOFT_INT_OP(op_stc);
SOFT_INT_OP(op_cmc);
SOFT_INT_OP(op_cld);
SOFT_INT_OP(op_std);
SOFT_INT_OP(op_lahf);
SOFT_INT_OP(op_sahf);

#endif
