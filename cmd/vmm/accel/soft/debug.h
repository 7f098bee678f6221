/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest's debuggers ask of the CPU: single steps, breakpoints, watchpoints (SDM volume 3,
 * 18.2 and 18.3), and the alignment check (7.15, interrupt 17). While one of them is on, the CPU
 * leaves its fast ways: c->checked keeps accesses from the TLB, soft_stepping from running blocks.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_DEBUG_H
#define BULKHEAD_VMM_ACCEL_SOFT_DEBUG_H

#include "cmd/vmm/accel/soft/insn.h"

#define DR6_BS (1U << 14)
#define DR6_BD (1U << 13)
#define DR7_GD (1U << 13)
#define DR7_ENABLED 0xffU

/* Bits of soft_cpu.checked: why accesses take the slow path. */
#define CHECK_ALIGNMENT (1U << 0)
#define CHECK_WATCHES (1U << 1)

/* soft_cpu.inhibit */
#define INHIBIT_STI 1
#define INHIBIT_SS 2 /* traps wait as well */

/* Whether instructions run one by one, with soft_debug_step. */
static inline bool soft_stepping(const struct soft_cpu *c)
{
	return (c->rflags & FL_TF) || (c->dr[7] & DR7_ENABLED);
}

/* What c->checked is to be in the present mode; for soft_mode_changed. */
uint8_t soft_checks(const struct soft_cpu *c);
/* Before an access, when c->checked; paging has allowed it. May leave by #AC. */
void soft_check_access(struct soft_cpu *c, uint64_t linear, unsigned int width, bool write,
		       enum soft_mmu mmu);
/* With an access to a port. */
void soft_check_port(struct soft_cpu *c, uint16_t port, unsigned int width);
/* Says in DR6 why there will be a #DB. */
void soft_debug_note(struct soft_cpu *c, uint64_t why);
/* A breakpoint on the instruction at rip: #DB in c->fault. */
[[nodiscard]] bool soft_breakpoint_here(struct soft_cpu *c);
/* Behind an instruction that began with single_step as TF and at rip `at`: whether it traps, with #DB
 * in c->fault. */
[[nodiscard]] bool soft_trap_behind(struct soft_cpu *c, const struct soft_insn *i, bool single_step,
				    uint64_t at);

#endif
