/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions that the decoder does not know: #UD in the guest, and a line for the user. The guest
 * can repeat them at will, so a line is said for the first, the second, the fourth, the eighth…:
 * at most 64 in a VM's life, each with the count so far.
 */
#include "cmd/vmm/accel/soft/decode.h"
#include "lib/base/log.h"

static const char *const map_names[] = { "", "0f ", "0f 38 ", "0f 3a " };

static void say(const struct soft_cpu *c, const struct soft_insn *i, uint64_t n)
{
	char rep[] = "f2 ";

	if (i->rep == 0xf3)
		rep[1] = '3';
	log_warning(
		"the software CPU does not know the instruction %s%s%s%s%02x at %#llx; so far: %llu",
		i->lock ? "lock " : "", i->opsize ? "66 " : "", i->rep ? rep : "",
		map_names[i->map], i->opcode, (unsigned long long)c->rip, (unsigned long long)n);
}

const struct soft_insn *op_undefined(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t n = atomic_fetch_add_explicit(&c->vm->n_undefined, 1, memory_order_relaxed) + 1;

	if ((n & (n - 1)) == 0)
		say(c, i, n);
	soft_raise(c, EX_UD);
}
