/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software CPU with a guest that is the fuzzer: code, registers, page tables, descriptors, MSRs,
 * LAPIC registers and interrupts in every mode, on one to three vCPUs that take turns. It must reach
 * nothing but guest RAM and its own state, and be stopped whenever it is asked to.
 *
 * Input: a byte of modes (bits 0-2: enum world_mode, 3-4: vCPUs - 1, 5: more vCPUs than cores), then
 * records: a kind, and what it needs.
 */
#include "cmd/vmm/accel/soft/lapic.h"
#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/vcpu.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/softworld.h"

#define TURNS 2
#define TURN_MICROSECONDS 300

struct input {
	const uint8_t *at;
	size_t left;
};

static uint64_t take(struct input *in, unsigned int n)
{
	uint64_t v = 0;

	if (n > in->left)
		n = (unsigned int)in->left;
	memcpy(&v, in->at, n);
	in->at += n;
	in->left -= n;
	return v;
}

/* Up to 255 bytes, a count first, to where there is RAM for them. */
static void take_bytes(struct input *in, uint64_t gpa)
{
	size_t n = (size_t)take(in, 1);
	uint8_t *to;

	if (n > in->left)
		n = in->left;
	to = world_ram(gpa, n);
	if (to)
		memcpy(to, in->at, n);
	in->at += n;
	in->left -= n;
}

/* ---- records: which of these, by the kind's low bits; the CPU by its high ones ---- */

static void put_code(struct soft_cpu *c, struct input *in)
{
	take_bytes(in, WORLD_CODE + c->index * 0x1000 + take(in, 1) * 16);
}

static void put_register(struct soft_cpu *c, struct input *in)
{
	unsigned int r = (unsigned int)take(in, 1) & 31;

	if (r < 16)
		c->gpr[r] = take(in, 8);
	else if (r == 16)
		c->rip = take(in, 8);
	else if (r == 17)
		soft_flags_set(c, take(in, 4));
	else
		c->gpr[r & 15] = WORLD_DATA + take(in, 2);
}

/* By the way a guest would take, so that no state is there that it could not reach. */
static void put_control(struct soft_cpu *c, struct input *in)
{
	unsigned int which = (unsigned int)take(in, 1) & 7;
	uint64_t v = take(in, 8);

	if (setjmp(c->escape))
		return;
	switch (which) {
	case 0:
		soft_set_cr0(c, c->cr0 ^ v);
		break;
	case 1:
		soft_set_cr3(c, v);
		break;
	case 2:
		soft_set_cr4(c, c->cr4 ^ v);
		break;
	case 3:
		(void)soft_set_efer(c, c->efer ^ v);
		break;
	case 4:
		c->gdtr.base = v;
		break;
	case 5:
		c->idtr.base = v;
		c->idtr.limit = (uint16_t)(v >> 8);
		break;
	case 6:
		c->tr.base = v;
		break;
	default:
		(void)soft_wrmsr(c, (uint32_t)v, take(in, 8));
	}
}

static void put_segment(struct soft_cpu *c, struct input *in)
{
	unsigned int s = (unsigned int)take(in, 1) % 6;

	c->seg[s].base = take(in, 4);
	c->seg[s].limit = (uint32_t)take(in, 4);
	c->seg[s].attr = (uint16_t)((take(in, 2) & 0xf09f) | (c->seg[s].attr & 0x60));
	soft_mode_changed(c);
}

static void put_memory(struct soft_cpu *c, struct input *in)
{
	uint64_t gpa = take(in, 3);

	(void)c;
	take_bytes(in, gpa & 0x800000 ? HIGH_RAM_START + (gpa & 0xffff) : gpa & 0x1ffff);
}

static void put_entry(struct soft_cpu *c, struct input *in)
{
	uint64_t at = WORLD_TABLES + (take(in, 2) & 0x6fff);
	uint64_t v = take(in, 8);

	(void)c;
	memcpy(world_ram(at & ~7ULL, 8), &v, 8);
}

static void put_lapic(struct soft_cpu *c, struct input *in)
{
	uint8_t data[4] = { 0 };
	uint64_t offset = take(in, 2) & 0xfff;
	uint32_t v = (uint32_t)take(in, 4);

	memcpy(data, &v, 4);
	soft_lapic_mmio(c, offset, 4, true, data);
}

static void raise_interrupt(struct soft_cpu *c, struct input *in)
{
	const struct msi msi = { LAPIC_START | take(in, 2) << 4, (uint32_t)take(in, 2) };

	soft_lapic_msi(c->vm, &msi);
}

static void (*const records[8])(struct soft_cpu *c, struct input *in) = {
	put_code,   put_register, put_control, put_segment,
	put_memory, put_entry,	  put_lapic,   raise_interrupt,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t mode = (uint8_t)take(&in, 1);
	unsigned int n = 1 + (mode >> 3 & 3) % WORLD_CPUS;
	struct world *w = world_new(n);

	w->vm.crowded = mode & 0x20;
	for (unsigned int i = 0; i < n; i++) {
		world_start(w->cpu[i], (enum world_mode)(mode & 7));
		w->cpu[i]->rip += i * 0x1000;
	}
	while (in.left) {
		uint8_t kind = (uint8_t)take(&in, 1);

		records[kind & 7](w->cpu[(kind >> 6) % n], &in);
	}
	for (unsigned int turn = 0; turn < TURNS; turn++)
		for (unsigned int i = 0; i < n; i++) {
			world_run(w->cpu[i], TURN_MICROSECONDS);
			world_check(w->cpu[i]);
		}
	return 0;
}
