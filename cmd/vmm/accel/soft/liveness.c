/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags that nobody sees: those of an instruction when all of them are written again before
 * anything reads them, faults or leaves the block. Handlers for which flags are dear ask
 * soft_insn.flags_dead. Whatever is not listed here keeps them alive.
 */
#include "cmd/vmm/accel/soft/exec.h"

/* Writes all arithmetic flags, reads none, and cannot fault. */
static bool overwrites(const struct soft_insn *i)
{
	unsigned int op = i->opcode, ext = i->modrm >> 3 & 7;

	if (i->map != 0)
		return false;
	if (op < 0x40 && (op & 7) < 6) /* ADD and its like; not ADC and SBB */
		return (op & 0x30) != 0x10 && ((op & 7) >= 4 || !i->is_mem);
	switch (op) {
	case 0x80:
	case 0x81:
	case 0x83:
		return !i->is_mem && ext != 2 && ext != 3;
	case 0x84:
	case 0x85:
		return !i->is_mem;
	case 0xa8:
	case 0xa9:
		return true;
	case 0xf6:
	case 0xf7:
		return !i->is_mem && (ext == 0 || ext == 1 || ext == 3);
	}
	return false;
}

/* Leaves flags alone, does not read them, and cannot fault. */
static bool passes(const struct soft_insn *i)
{
	unsigned int op = i->opcode;

	if (i->map == 0)
		return (op >= 0x88 && op <= 0x8b && !i->is_mem) || op == 0x8d ||
		       (op >= 0xb0 && op <= 0xbf) || (op == 0x63 && i->code64 && !i->is_mem) ||
		       (op >= 0x91 && op <= 0x99);
	if (i->map == 1)
		return (op >= 0xc8 && op <= 0xcf) ||
		       ((op == 0xb6 || op == 0xb7 || op == 0xbe || op == 0xbf) && !i->is_mem);
	return false;
}

void soft_mark_flags(struct soft_insn *first, size_t n)
{
	bool dead = false;

	while (n--) {
		struct soft_insn *i = &first[n];

		i->flags_dead = dead;
		if (overwrites(i))
			dead = true;
		else if (!passes(i))
			dead = false;
	}
}
