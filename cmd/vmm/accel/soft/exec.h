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

#endif
