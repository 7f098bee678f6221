/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System instructions that change where or how execution goes on: system calls, interrupts,
 * segment loads, far transfers, interrupt flag, I/O ports. SDM volume 2.
 */
#include "cmd/vmm/accel/soft/alone.h"
#include "cmd/vmm/accel/soft/debug.h"
#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/sys_ops.h"
#include "cmd/vmm/accel/soft/vcpu.h"

static unsigned int iopl(const struct soft_cpu *c)
{
	return (c->rflags & FL_IOPL) >> 12;
}

/* ---- system calls ---- */

static const struct soft_segment flat_code64 = {
	.attr = SEG_P | SEG_S | SEG_CODE | SEG_RW | SEG_ACCESSED | SEG_L | SEG_G,
	.limit = UINT32_MAX,
};
static const struct soft_segment flat_code32 = {
	.attr = SEG_P | SEG_S | SEG_CODE | SEG_RW | SEG_ACCESSED | SEG_DB | SEG_G,
	.limit = UINT32_MAX,
};
static const struct soft_segment flat_data = {
	.attr = SEG_P | SEG_S | SEG_RW | SEG_ACCESSED | SEG_DB | SEG_G,
	.limit = UINT32_MAX,
};

static void set_flat(struct soft_cpu *c, bool code64, uint16_t cs, uint16_t ss, uint8_t cpl)
{
	c->seg[S_CS] = code64 ? flat_code64 : flat_code32;
	c->seg[S_SS] = flat_data;
	c->seg[S_CS].selector = cs;
	c->seg[S_SS].selector = ss;
	c->seg[S_CS].attr |= (uint16_t)(cpl << 5);
	c->seg[S_SS].attr |= (uint16_t)(cpl << 5);
	c->cpl = cpl;
	soft_mode_changed(c);
}

const struct soft_insn *op_syscall(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t flags = soft_flags_get(c);
	uint16_t selector = (uint16_t)(c->star >> 32);
	bool from64 = c->long64;

	if (!(c->efer & EFER_SCE) || !from64) /* as Intel: 64-bit code only */
		soft_raise(c, EX_UD);
	c->gpr[R_CX] = c->rip + i->len;
	c->gpr[11] = flags & ~(uint64_t)FL_RF;
	c->rip = c->lstar;
	soft_flags_set(c, flags & ~(c->sfmask | FL_RF));
	set_flat(c, true, selector & ~3U, (uint16_t)((selector & ~3U) + 8), 0);
	return NULL;
}

const struct soft_insn *op_sysret(struct soft_cpu *c, const struct soft_insn *i)
{
	uint16_t selector = (uint16_t)(c->star >> 48);
	uint64_t flags = c->gpr[11];
	bool to64 = i->width == 8;

	if (!(c->efer & EFER_SCE) || !c->long64)
		soft_raise(c, EX_UD);
	if (c->cpl != 0 || (to64 && !soft_canonical(c->gpr[R_CX])))
		RAISE_GP0(c);
	c->rip = to64 ? c->gpr[R_CX] : (uint32_t)c->gpr[R_CX];
	soft_flags_set(c, flags & ~(uint64_t)(FL_RF | FL_VM));
	set_flat(c, to64, (uint16_t)((selector + (to64 ? 16 : 0)) | 3),
		 (uint16_t)((selector + 8) | 3), 3);
	soft_gate_opened(c);
	return NULL;
}

const struct soft_insn *op_sysenter(struct soft_cpu *c, const struct soft_insn *i)
{
	uint16_t cs = (uint16_t)c->sysenter_cs & ~3U;
	bool lm = soft_long_mode(c);

	(void)i;
	if (!soft_protected(c) || !cs)
		RAISE_GP0(c);
	soft_flags_set(c, soft_flags_get(c) & ~(uint64_t)(FL_VM | FL_IF | FL_RF));
	c->gpr[R_SP] = lm ? c->sysenter_esp : (uint32_t)c->sysenter_esp;
	c->rip = lm ? c->sysenter_eip : (uint32_t)c->sysenter_eip;
	set_flat(c, lm, cs, (uint16_t)(cs + 8), 0);
	return NULL;
}

const struct soft_insn *op_sysexit(struct soft_cpu *c, const struct soft_insn *i)
{
	uint16_t cs = (uint16_t)c->sysenter_cs & ~3U;
	bool to64 = i->width == 8;

	if (!soft_protected(c) || c->cpl != 0 || !cs)
		RAISE_GP0(c);
	if (to64 && (!soft_canonical(c->gpr[R_CX]) || !soft_canonical(c->gpr[R_DX])))
		RAISE_GP0(c);
	c->gpr[R_SP] = to64 ? c->gpr[R_CX] : (uint32_t)c->gpr[R_CX];
	c->rip = to64 ? c->gpr[R_DX] : (uint32_t)c->gpr[R_DX];
	set_flat(c, to64, (uint16_t)((cs + (to64 ? 32 : 16)) | 3),
		 (uint16_t)((cs + (to64 ? 40 : 24)) | 3), 3);
	return NULL;
}

/* ---- interrupts ---- */

const struct soft_insn *op_iret(struct soft_cpu *c, const struct soft_insn *i)
{
	c->nmi_blocked = false; /* also when it faults */
	soft_gate_opened(c);
	soft_iret(c, i->width);
	return NULL;
}

const struct soft_insn *op_int(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_interrupt(c, (uint8_t)i->imm, true, false, 0, c->rip + i->len);
	return NULL;
}

const struct soft_insn *op_int3(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_interrupt(c, EX_BP, true, false, 0, c->rip + i->len);
	return NULL;
}

const struct soft_insn *op_into(struct soft_cpu *c, const struct soft_insn *i)
{
	if (!(soft_flags_get(c) & FL_OF))
		return soft_next(c, i);
	soft_interrupt(c, EX_OF, true, false, 0, c->rip + i->len);
	return NULL;
}

const struct soft_insn *op_cli(struct soft_cpu *c, const struct soft_insn *i)
{
	if (soft_protected(c) && c->cpl > iopl(c))
		RAISE_GP0(c);
	c->rflags &= ~(uint64_t)FL_IF;
	return soft_next(c, i);
}

/*
 * Interrupts that wait are taken behind the instruction after this one. Of several loads of SS in a row
 * only the first has that (SDM volume 3, 6.8.3), so that no chain of them keeps interrupts out.
 */
static void begin_shadow(struct soft_cpu *c, uint8_t kind)
{
	if (kind != INHIBIT_SS || c->shadow != INHIBIT_SS)
		c->inhibit = kind;
	atomic_fetch_or_explicit(&c->wake, WAKE_INTERRUPT, memory_order_relaxed);
}

const struct soft_insn *op_sti(struct soft_cpu *c, const struct soft_insn *i)
{
	if (soft_protected(c) && c->cpl > iopl(c))
		RAISE_GP0(c);
	if (!(c->rflags & FL_IF)) {
		c->rflags |= FL_IF;
		begin_shadow(c, INHIBIT_STI);
	}
	c->rip += i->len;
	return NULL;
}

const struct soft_insn *op_pushf(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_push(c, soft_flags_get(c) & ~(uint64_t)(FL_RF | FL_VM), i->width);
	return soft_next(c, i);
}

const struct soft_insn *op_popf(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t old = soft_flags_get(c);
	uint64_t mask = FL_ARITH | FL_TF | FL_DF | FL_NT;
	uint64_t v = soft_pop(c, i->width);

	if (i->width > 2)
		mask |= FL_AC | FL_ID;
	if (c->cpl <= iopl(c))
		mask |= FL_IF;
	if (c->cpl == 0)
		mask |= FL_IOPL;
	soft_flags_set(c, (old & ~(mask | FL_RF)) | (v & mask));
	soft_mode_changed(c);
	c->rip += i->len;
	soft_gate_opened(c);
	return NULL;
}

/* ---- I/O ports ---- */

#define PORT_RUN_MAX 256U

/* The TSS's permission bitmap decides for those above IOPL. */
static void check_port(struct soft_cpu *c, uint16_t port, unsigned int width)
{
	uint32_t map, at;
	uint16_t bits;

	if (!soft_protected(c) || (c->cpl <= iopl(c) && !(c->rflags & FL_VM)))
		return;
	if (c->tr.limit < 103)
		RAISE_GP0(c);
	map = (uint32_t)soft_read_slow(c, c->tr.base + 102, 2, MMU_SUPERVISOR);
	at = map + port / 8;
	if (at + 1 > c->tr.limit)
		RAISE_GP0(c);
	bits = (uint16_t)soft_read_slow(c, c->tr.base + at, 2, MMU_SUPERVISOR);
	if (bits >> (port % 8) & ((1U << width) - 1))
		RAISE_GP0(c);
}

static void port_access(struct soft_cpu *c, uint16_t port, unsigned int width, bool write,
			uint8_t *data)
{
	struct accel_exit e = {
		.kind = ACCEL_EXIT_PIO,
		.write = write,
		.width = (uint8_t)width,
		.count = 1,
		.address = port,
		.data = data,
	};

	soft_check_port(c, port, width);
	soft_io(c, &e);
}

static unsigned int port_width(const struct soft_insn *i)
{
	return i->width == 8 ? 4 : i->width;
}

static const struct soft_insn *in(struct soft_cpu *c, const struct soft_insn *i, uint16_t port)
{
	unsigned int width = port_width(i);
	uint32_t v = 0;

	check_port(c, port, width);
	port_access(c, port, width, false, (uint8_t *)&v);
	if (width == 4)
		c->gpr[R_AX] = v;
	else if (width == 2)
		c->gpr[R_AX] = (c->gpr[R_AX] & ~0xffffULL) | (v & 0xffff);
	else
		c->gpr[R_AX] = (c->gpr[R_AX] & ~0xffULL) | (v & 0xff);
	return soft_next(c, i);
}

static const struct soft_insn *out(struct soft_cpu *c, const struct soft_insn *i, uint16_t port)
{
	uint32_t v = (uint32_t)c->gpr[R_AX];

	check_port(c, port, port_width(i));
	port_access(c, port, port_width(i), true, (uint8_t *)&v);
	c->rip += i->len;
	return NULL; /* it may have been the reset register */
}

const struct soft_insn *op_in_imm(struct soft_cpu *c, const struct soft_insn *i)
{
	return in(c, i, (uint8_t)i->imm);
}

const struct soft_insn *op_out_imm(struct soft_cpu *c, const struct soft_insn *i)
{
	return out(c, i, (uint8_t)i->imm);
}

const struct soft_insn *op_in_dx(struct soft_cpu *c, const struct soft_insn *i)
{
	return in(c, i, (uint16_t)c->gpr[R_DX]);
}

const struct soft_insn *op_out_dx(struct soft_cpu *c, const struct soft_insn *i)
{
	return out(c, i, (uint16_t)c->gpr[R_DX]);
}

/* A counter or index register at the address size. */
static uint64_t get_index(const struct soft_cpu *c, const struct soft_insn *i, enum soft_reg r)
{
	uint64_t v = c->gpr[r];

	return i->addr_width == 8 ? v : i->addr_width == 4 ? (uint32_t)v : (uint16_t)v;
}

static void add_index(struct soft_cpu *c, const struct soft_insn *i, enum soft_reg r, int64_t n)
{
	uint64_t v = c->gpr[r] + (uint64_t)n;

	if (i->addr_width == 8)
		c->gpr[r] = v;
	else if (i->addr_width == 4)
		c->gpr[r] = (uint32_t)v;
	else
		c->gpr[r] = (c->gpr[r] & ~0xffffULL) | (v & 0xffff);
}

/*
 * REP INSB into a page of RAM, which is how firmware reads a file: so many bytes go together as fit a message. The
 * others of 64-bit code take one byte each, as before; so does what is watched or traced. 0: not now.
 */
static uint32_t run_of_bytes(struct soft_cpu *c, const struct soft_insn *i, uint64_t linear)
{
	const uint64_t in_page = 4096 - (linear & 0xfff), asked = get_index(c, i, R_CX);
	uint64_t n = asked < in_page ? asked : in_page;

	if (!i->rep || port_width(i) != 1 || !i->code64 || i->addr_width != 8 || c->checked ||
	    c->rflags & (FL_DF | FL_TF))
		return 0;
	n = n < PORT_RUN_MAX ? n : PORT_RUN_MAX;
	return n > 1 && soft_host_rmw(c, linear, (unsigned int)n, c->mmu) ? (uint32_t)n : 0;
}

static const struct soft_insn *read_run(struct soft_cpu *c, const struct soft_insn *i,
					uint64_t linear, uint32_t n)
{
	uint8_t data[PORT_RUN_MAX];
	struct accel_exit e = { .kind = ACCEL_EXIT_PIO,
				.width = 1,
				.count = n,
				.address = (uint16_t)c->gpr[R_DX],
				.data = data };

	soft_check_port(c, (uint16_t)c->gpr[R_DX], 1);
	soft_io(c, &e);
	soft_write_bytes(c, linear, data, n);
	add_index(c, i, R_DI, n);
	add_index(c, i, R_CX, -(int64_t)n);
	if (!get_index(c, i, R_CX))
		c->rip += i->len;
	return NULL;
}

/* One step of INS or OUTS; REP runs one step at a time, or a run of bytes, and stays on the instruction. */
static const struct soft_insn *port_string(struct soft_cpu *c, const struct soft_insn *i,
					   bool write)
{
	unsigned int width = port_width(i);
	enum soft_reg index = write ? R_SI : R_DI;
	uint64_t linear;
	uint32_t v = 0, n;

	if (i->rep && !get_index(c, i, R_CX))
		return soft_next(c, i);
	check_port(c, (uint16_t)c->gpr[R_DX], width);
	linear = soft_linear(c, write ? i->seg : S_ES, get_index(c, i, index), width, !write);
	n = write ? 0 : run_of_bytes(c, i, linear);
	if (n)
		return read_run(c, i, linear, n);
	if (write)
		v = (uint32_t)soft_read(c, linear, width);
	else
		(void)soft_host_rmw(c, linear, width, c->mmu); /* may fault: before the port */
	port_access(c, (uint16_t)c->gpr[R_DX], width, write, (uint8_t *)&v);
	if (!write)
		soft_write(c, linear, width, v);
	add_index(c, i, index, c->rflags & FL_DF ? -(int64_t)width : width);
	if (!i->rep)
		return soft_next(c, i);
	add_index(c, i, R_CX, -1);
	if (!get_index(c, i, R_CX))
		c->rip += i->len;
	return NULL;
}

const struct soft_insn *op_ins(struct soft_cpu *c, const struct soft_insn *i)
{
	return port_string(c, i, false);
}

const struct soft_insn *op_outs(struct soft_cpu *c, const struct soft_insn *i)
{
	return port_string(c, i, true);
}

/* ---- segment registers ---- */

const struct soft_insn *op_mov_from_seg(struct soft_cpu *c, const struct soft_insn *i)
{
	unsigned int s = i->reg & 7;
	uint64_t v;

	if (s > S_GS)
		soft_raise(c, EX_UD);
	/* cppcheck-suppress arrayIndexOutOfBoundsCond; soft_raise does not return */
	v = c->seg[s].selector;
	if (i->is_mem)
		soft_write(c, soft_linear(c, i->seg, soft_offset(c, i), 2, true), 2, v);
	else if (i->width == 2)
		c->gpr[i->rm] = (c->gpr[i->rm] & ~0xffffULL) | v;
	else
		c->gpr[i->rm] = v;
	return soft_next(c, i);
}

/* After a load of SS, interrupts and traps wait for one instruction. */
static const struct soft_insn *after_load(struct soft_cpu *c, const struct soft_insn *i,
					  unsigned int s)
{
	if (s == S_SS)
		begin_shadow(c, INHIBIT_SS);
	c->rip += i->len;
	return NULL;
}

const struct soft_insn *op_mov_to_seg(struct soft_cpu *c, const struct soft_insn *i)
{
	unsigned int s = i->reg & 7;
	uint16_t v;

	if (s > S_GS || s == S_CS)
		soft_raise(c, EX_UD);
	if (i->is_mem)
		v = (uint16_t)soft_read(c, soft_linear(c, i->seg, soft_offset(c, i), 2, false), 2);
	else
		v = (uint16_t)c->gpr[i->rm];
	soft_load_data_segment(c, (enum soft_sreg)s, v);
	return after_load(c, i, s);
}

/* PUSH and POP name the segment by bits 5:3 of the opcode. */
const struct soft_insn *op_push_seg(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_push(c, c->seg[i->opcode >> 3 & 7].selector, i->width);
	return soft_next(c, i);
}

const struct soft_insn *op_pop_seg(struct soft_cpu *c, const struct soft_insn *i)
{
	unsigned int s = i->opcode >> 3 & 7;
	uint64_t sp = c->gpr[R_SP];
	uint16_t v = (uint16_t)soft_pop_at(c, &sp, i->width);

	soft_load_data_segment(c, (enum soft_sreg)s, v);
	soft_set_sp(c, sp);
	return after_load(c, i, s);
}

/* A far pointer in memory. */
static uint16_t read_far(struct soft_cpu *c, const struct soft_insn *i, uint64_t *ret_offset)
{
	uint64_t at = soft_offset(c, i);
	uint64_t linear = soft_linear(c, i->seg, at, i->width + 2U, false);

	*ret_offset = soft_read(c, linear, i->width);
	return (uint16_t)soft_read(c, linear + i->width, 2);
}

/* LES, LDS, LSS, LFS, LGS */
const struct soft_insn *op_load_far(struct soft_cpu *c, const struct soft_insn *i)
{
	unsigned int s = i->map == 0	   ? (i->opcode == 0xc4 ? S_ES : S_DS) :
			 i->opcode == 0xb2 ? S_SS :
			 i->opcode == 0xb4 ? S_FS :
					     S_GS;
	uint64_t offset;
	uint16_t selector = read_far(c, i, &offset);

	soft_load_data_segment(c, (enum soft_sreg)s, selector);
	if (i->width == 2)
		c->gpr[i->reg] = (c->gpr[i->reg] & ~0xffffULL) | offset;
	else
		c->gpr[i->reg] = offset;
	return after_load(c, i, s);
}

/* ptr16:16 and ptr16:32 come as imm: the selector above the offset's 32 bits. */
const struct soft_insn *op_far_jump_imm(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_far_jump(c, (uint16_t)(i->imm >> 32), (uint32_t)i->imm);
	return NULL;
}

const struct soft_insn *op_far_call_imm(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_far_call(c, (uint16_t)(i->imm >> 32), (uint32_t)i->imm, i->width, i->len);
	return NULL;
}

const struct soft_insn *op_far_jump_mem(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t offset;
	uint16_t selector = read_far(c, i, &offset);

	soft_far_jump(c, selector, offset);
	return NULL;
}

const struct soft_insn *op_far_call_mem(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t offset;
	uint16_t selector = read_far(c, i, &offset);

	soft_far_call(c, selector, offset, i->width, i->len);
	return NULL;
}

const struct soft_insn *op_far_ret(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_far_ret(c, i->width, 0);
	return NULL;
}

const struct soft_insn *op_far_ret_imm(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_far_ret(c, i->width, (uint16_t)i->imm);
	return NULL;
}
