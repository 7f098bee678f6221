/* SPDX-License-Identifier: Apache-2.0 */
/* Debug registers, single steps and the alignment check; see debug.h. */
#include "cmd/vmm/accel/soft/debug.h"

#include "cmd/vmm/accel/soft/soft_mem.h"
#include "cmd/vmm/accel/soft/sys.h"

enum watch_kind { ON_EXECUTION, ON_WRITE, ON_PORT, ON_ACCESS };

static bool enabled(const struct soft_cpu *c, unsigned int n)
{
	return c->dr[7] >> 2 * n & 3;
}

static enum watch_kind kind_of(const struct soft_cpu *c, unsigned int n)
{
	return c->dr[7] >> (16 + 4 * n) & 3;
}

static unsigned int length_of(const struct soft_cpu *c, unsigned int n)
{
	static const uint8_t lengths[] = { 1, 2, 8, 4 };

	return lengths[c->dr[7] >> (18 + 4 * n) & 3];
}

uint8_t soft_checks(const struct soft_cpu *c)
{
	uint8_t checks = 0;

	if (c->cpl == 3 && (c->cr0 & CR0_AM) && (c->rflags & FL_AC))
		checks |= CHECK_ALIGNMENT;
	for (unsigned int n = 0; (c->dr[7] & DR7_ENABLED) && n < 4; n++)
		if (enabled(c, n) && kind_of(c, n) != ON_EXECUTION)
			checks |= CHECK_WATCHES;
	return checks;
}

/* ---- alignment ---- */

/* SDM volume 3, table 6-7: by the type of data; the images of the x87 count as their parts. */
static unsigned int alignment_of(unsigned int width)
{
	switch (width) {
	case 10: /* an extended float */
		return 8;
	case 14: /* x87 state, as FNSTENV and FNSAVE write it */
	case 94:
		return 2;
	case 28:
	case 108:
		return 4;
	}
	return width & (width - 1) ? 1 : width;
}

/* ---- watchpoints ---- */

/* kinds: bits of those that the access is. */
static void note_watches(struct soft_cpu *c, uint64_t where, unsigned int width, unsigned int kinds)
{
	for (unsigned int n = 0; n < 4; n++) {
		unsigned int length = length_of(c, n);
		uint64_t at = c->dr[n] & ~(uint64_t)(length - 1);

		if (!enabled(c, n) || !(kinds & 1U << kind_of(c, n)))
			continue;
		if (where - at < length || at - where < width)
			c->watch_hits |= (uint8_t)(1U << n);
	}
}

void soft_check_access(struct soft_cpu *c, uint64_t linear, unsigned int width, bool write,
		       enum soft_mmu mmu)
{
	if ((c->checked & CHECK_ALIGNMENT) && mmu == MMU_USER &&
	    (linear & (alignment_of(width) - 1)))
		soft_raise_error(c, EX_AC, 0);
	if (c->checked & CHECK_WATCHES)
		note_watches(c, linear, width, 1U << ON_ACCESS | (write ? 1U << ON_WRITE : 0));
}

void soft_check_port(struct soft_cpu *c, uint16_t port, unsigned int width)
{
	if ((c->checked & CHECK_WATCHES) && (c->cr4 & CR4_DE))
		note_watches(c, port, width, 1U << ON_PORT);
}

/* ---- #DB ---- */

void soft_debug_note(struct soft_cpu *c, uint64_t why)
{
	c->dr[6] |= why;
	c->dr[7] &= ~(uint64_t)DR7_GD; /* so that the handler can look */
}

static bool debug_exception(struct soft_cpu *c, uint64_t why)
{
	soft_debug_note(c, why);
	c->halted = false; /* a trap behind HLT ends it */
	c->fault.vector = EX_DB;
	c->fault.has_error = false;
	return true;
}

bool soft_breakpoint_here(struct soft_cpu *c)
{
	uint64_t linear = c->long64 ? c->rip : (uint32_t)(c->rip + c->seg[S_CS].base);
	uint64_t hits = 0;

	if (c->rflags & FL_RF)
		return false;
	for (unsigned int n = 0; n < 4; n++)
		if (enabled(c, n) && kind_of(c, n) == ON_EXECUTION && c->dr[n] == linear)
			hits |= 1U << n;
	return hits && debug_exception(c, hits);
}

/* Those that clear TF on their way into the kernel are not stepped over. */
static bool enters_kernel(const struct soft_insn *i)
{
	return (i->map == 0 && (i->opcode >= 0xcc && i->opcode <= 0xce)) ||
	       (i->map == 1 && i->opcode == 0x05);
}

static bool is_iret(const struct soft_insn *i)
{
	return i->map == 0 && i->opcode == 0xcf;
}

bool soft_trap_behind(struct soft_cpu *c, const struct soft_insn *i, bool single_step, uint64_t at)
{
	uint64_t why = c->watch_hits;

	if (!is_iret(i))
		c->rflags &= ~(uint64_t)FL_RF;
	if (c->inhibit == INHIBIT_SS) {
		c->watch_waiting = c->watch_hits;
		return false;
	}
	if (single_step && !enters_kernel(i))
		why |= DR6_BS;
	if (!why)
		return false;
	if (c->rip == at && i->rep) /* in the middle of a string: it has been looked at */
		c->rflags |= FL_RF;
	return debug_exception(c, why);
}
