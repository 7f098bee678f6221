/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoded blocks of one vCPU. A block is a run of instructions from one physical page up to the
 * first that may leave it, keyed by physical address and code mode, valid while its page's version
 * stands. Instructions live in one arena; when it is full everything is dropped and decoding begins
 * anew, so memory is bounded however much code a guest runs.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_CACHE_H
#define BULKHEAD_VMM_ACCEL_SOFT_CACHE_H

#include "cmd/vmm/accel/soft/insn.h"

#define SOFT_CACHE_INSNS ((size_t)128 << 10) /* 40 bytes each: 5 MiB a vCPU */
#define SOFT_CACHE_BLOCKS ((size_t)32 << 10)
#define SOFT_BLOCK_MAX 64L	/* instructions */
#define SOFT_CACHE_BYTES MIB(7) /* of a vCPU, at most */

/* Forgets all ways by which soft_follow reaches blocks: with every change of what code is where, or
 * of the mode. */
void soft_jumps_forget(struct soft_cpu *c);
/* After a change of mode or privilege. */
void soft_jumps_mode(struct soft_cpu *c);

/* Enters the block that starts at c->rip, decoded if need be: its first instruction. Faults of the
 * fetch leave by soft_raise. */
const struct soft_insn *soft_block_at(struct soft_cpu *c);

#endif
