/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for fp_*.c while they are not there. */
#include "cmd/vmm/accel/soft/insn.h"

const struct soft_opcode soft_fp_map0[256] = { 0 };
const struct soft_opcode soft_fp_map1[256] = { 0 };
const struct soft_opcode soft_fp_map2[256] = { 0 };
const struct soft_opcode soft_fp_map3[256] = { 0 };
