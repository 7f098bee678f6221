/* SPDX-License-Identifier: Apache-2.0 */
/* Runs decoded blocks; exceptions come back here. */
#include "cmd/vmm/accel/soft/alone.h"
#include "cmd/vmm/accel/soft/cache.h"
#include "cmd/vmm/accel/soft/debug.h"
#include "cmd/vmm/accel/soft/decode.h"
#include "cmd/vmm/accel/soft/operand.h"
#include "cmd/vmm/accel/soft/vcpu.h"

void soft_raise(struct soft_cpu *c, enum soft_vector vector)
{
	c->fault.vector = (uint8_t)vector;
	c->fault.has_error = false;
	c->fault.error = 0;
	if (c->is_alone)
		soft_alone_end(c);
	longjmp(c->escape, 1);
}

void soft_raise_error(struct soft_cpu *c, enum soft_vector vector, uint32_t error)
{
	c->fault.vector = (uint8_t)vector;
	c->fault.has_error = true;
	c->fault.error = error;
	if (c->is_alone)
		soft_alone_end(c);
	longjmp(c->escape, 1);
}

const struct soft_insn *op_leave(struct soft_cpu *c, const struct soft_insn *i)
{
	(void)c;
	(void)i;
	return NULL;
}

const struct soft_insn *op_too_long(struct soft_cpu *c, const struct soft_insn *i)
{
	(void)i;
	soft_raise_error(c, EX_GP, 0);
}

/* One instruction out of its block, for interrupt shadows and traps. */
static void step(struct soft_cpu *c)
{
	struct soft_insn alone[2] = { *soft_block_at(c), { .fn = op_leave } };

	alone[0].flags_dead = false;
	atomic_fetch_or_explicit(&c->wake, WAKE_STEP, memory_order_relaxed);
	(void)alone[0].fn(c, alone);
	atomic_fetch_and_explicit(&c->wake, ~WAKE_STEP, memory_order_relaxed);
}

/* One instruction with what debuggers want around it; true: #DB is in c->fault. */
static bool debug_step(struct soft_cpu *c)
{
	bool single_step = c->rflags & FL_TF;
	uint64_t at = c->rip;
	struct soft_insn i;

	if (soft_breakpoint_here(c))
		return true;
	i = *soft_block_at(c);
	c->watch_hits = c->watch_waiting;
	c->watch_waiting = 0;
	step(c);
	return soft_trap_behind(c, &i, single_step, at);
}

/* Handlers that call each other get so much of the stack. */
#define STACK_BYTES 32768

bool soft_execute(struct soft_cpu *c)
{
	c->stack_low = (uintptr_t)__builtin_frame_address(0) - STACK_BYTES;
	if (setjmp(c->escape)) {
		c->in_block = false;
		if (c->fault.vector != EX_ALONE)
			return true;
		if (setjmp(c->escape))
			return true;
		step(c);
		return false;
	}
	c->in_block = false;
	if (soft_stepping(c))
		return debug_step(c);
	if (c->single_step) {
		step(c);
		return false;
	}
	while (!atomic_load_explicit(&c->wake, memory_order_relaxed) && !c->halted) {
		const struct soft_insn *i = soft_block_at(c);

		c->in_block = true;
		do
			i = i->fn(c, i);
		while (i);
		if (soft_stepping(c))
			break;
	}
	c->in_block = false;
	return false;
}
