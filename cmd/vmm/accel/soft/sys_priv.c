/* SPDX-License-Identifier: Apache-2.0 */
/* System instructions: control registers, MSRs, descriptor tables, TLB, HLT, time. SDM volume 2. */
#include "cmd/vmm/accel/soft/debug.h"
#include "cmd/vmm/accel/soft/lapic.h"
#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/sys_ops.h"
#include "cmd/vmm/accel/soft/vcpu.h"

/* Privileged instructions begin with this. */
static void need_ring0(struct soft_cpu *c)
{
	if (c->cpl != 0)
		RAISE_GP0(c);
}

/* Goes on behind the instruction, and leaves the block: what follows may decode differently. */
static const struct soft_insn *leave(struct soft_cpu *c, const struct soft_insn *i)
{
	c->rip += i->len;
	return NULL;
}

static uint64_t low(const struct soft_cpu *c, enum soft_reg r)
{
	return (uint32_t)c->gpr[r];
}

static uint64_t operand_address(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
				bool write)
{
	return soft_linear(c, i->seg, soft_offset(c, i), width, write);
}

/* ---- registers ---- */

const struct soft_insn *op_mov_from_cr(struct soft_cpu *c, const struct soft_insn *i)
{
	unsigned int rm = (i->modrm & 7) | (i->rm & 8);
	uint64_t v;

	need_ring0(c);
	/* clang-format off */
	switch (i->reg) {
	case 0: v = c->cr0; break;
	case 2: v = c->cr2; break;
	case 3: v = c->cr3; break;
	case 4: v = c->cr4; break;
	case 8: v = soft_lapic_get_tpr(c); break;
	default: soft_raise(c, EX_UD);
	}
	/* clang-format on */
	c->gpr[rm] = c->long64 ? v : (uint32_t)v;
	return soft_next(c, i);
}

const struct soft_insn *op_mov_to_cr(struct soft_cpu *c, const struct soft_insn *i)
{
	unsigned int rm = (i->modrm & 7) | (i->rm & 8);
	uint64_t v = c->long64 ? c->gpr[rm] : (uint32_t)c->gpr[rm];

	need_ring0(c);
	/* clang-format off */
	switch (i->reg) {
	case 0: soft_set_cr0(c, v); break;
	case 2: c->cr2 = v; break;
	case 3: soft_set_cr3(c, v); break;
	case 4: soft_set_cr4(c, v); break;
	case 8:
		if (v & ~0xfULL)
			RAISE_GP0(c);
		soft_lapic_set_tpr(c, v);
		break;
	default: soft_raise(c, EX_UD);
	}
	/* clang-format on */
	return leave(c, i);
}

#define DR6_FIXED 0xffff0ff0ULL
#define DR7_FIXED 0x400ULL

static unsigned int debug_register(struct soft_cpu *c, const struct soft_insn *i)
{
	need_ring0(c);
	if (i->reg > 7 || ((i->reg == 4 || i->reg == 5) && (c->cr4 & CR4_DE)))
		soft_raise(c, EX_UD);
	if (c->dr[7] & DR7_GD) {
		soft_debug_note(c, DR6_BD);
		soft_raise(c, EX_DB);
	}
	return i->reg == 4 ? 6 : i->reg == 5 ? 7 : i->reg;
}

const struct soft_insn *op_mov_from_dr(struct soft_cpu *c, const struct soft_insn *i)
{
	unsigned int r = debug_register(c, i);

	c->gpr[(i->modrm & 7) | (i->rm & 8)] = c->dr[r];
	return soft_next(c, i);
}

const struct soft_insn *op_mov_to_dr(struct soft_cpu *c, const struct soft_insn *i)
{
	unsigned int r = debug_register(c, i);
	uint64_t v = c->gpr[(i->modrm & 7) | (i->rm & 8)];

	if (!c->long64)
		v = (uint32_t)v;
	if (r >= 6 && v >> 32)
		RAISE_GP0(c);
	if (r == 6)
		v = (v & 0xe00f) | DR6_FIXED;
	if (r == 7)
		v = (v & 0xffff2bff) | DR7_FIXED;
	c->dr[r] = v;
	soft_mode_changed(c);
	return leave(c, i);
}

const struct soft_insn *op_clts(struct soft_cpu *c, const struct soft_insn *i)
{
	need_ring0(c);
	c->cr0 &= ~CR0_TS;
	return leave(c, i);
}

static void umip_check(struct soft_cpu *c)
{
	if (c->cpl != 0 && (c->cr4 & CR4_UMIP))
		RAISE_GP0(c);
}

/* A 16-bit system register to a register of operand size or to 2 bytes of memory. */
static const struct soft_insn *store16(struct soft_cpu *c, const struct soft_insn *i, uint64_t v)
{
	umip_check(c);
	if (i->is_mem)
		soft_write(c, operand_address(c, i, 2, true), 2, v & 0xffff);
	else if (i->width == 2)
		c->gpr[i->rm] = (c->gpr[i->rm] & ~0xffffULL) | (v & 0xffff);
	else
		c->gpr[i->rm] = v;
	return soft_next(c, i);
}

static uint16_t load16(struct soft_cpu *c, const struct soft_insn *i)
{
	if (i->is_mem)
		return (uint16_t)soft_read(c, operand_address(c, i, 2, false), 2);
	return (uint16_t)c->gpr[i->rm];
}

const struct soft_insn *op_sldt(struct soft_cpu *c, const struct soft_insn *i)
{
	if (!soft_protected(c))
		soft_raise(c, EX_UD);
	return store16(c, i, c->ldtr.selector);
}

const struct soft_insn *op_str(struct soft_cpu *c, const struct soft_insn *i)
{
	if (!soft_protected(c))
		soft_raise(c, EX_UD);
	return store16(c, i, c->tr.selector);
}

const struct soft_insn *op_lldt(struct soft_cpu *c, const struct soft_insn *i)
{
	if (!soft_protected(c))
		soft_raise(c, EX_UD);
	need_ring0(c);
	soft_lldt(c, load16(c, i));
	return soft_next(c, i);
}

const struct soft_insn *op_ltr(struct soft_cpu *c, const struct soft_insn *i)
{
	if (!soft_protected(c))
		soft_raise(c, EX_UD);
	need_ring0(c);
	soft_ltr(c, load16(c, i));
	return soft_next(c, i);
}

const struct soft_insn *op_smsw(struct soft_cpu *c, const struct soft_insn *i)
{
	return store16(c, i, i->is_mem ? c->cr0 & 0xffff : c->cr0);
}

const struct soft_insn *op_lmsw(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t v;

	need_ring0(c);
	v = load16(c, i);
	/* PE can be set but not cleared */
	soft_set_cr0(c, (c->cr0 & ~0xeULL) | (v & 0xf));
	return leave(c, i);
}

/* VERR and VERW */
static const struct soft_insn *verify(struct soft_cpu *c, const struct soft_insn *i, bool write)
{
	uint16_t selector = load16(c, i);
	struct soft_desc d;
	bool ok;

	if (!soft_protected(c))
		soft_raise(c, EX_UD);
	ok = soft_desc_try(c, selector, &d) && (d.attr & SEG_S);
	if (ok) {
		bool code = d.attr & SEG_CODE;
		unsigned int need = (selector & 3) > c->cpl ? selector & 3 : c->cpl;

		if (!(code && (d.attr & SEG_DC)) && SEG_DPL(d.attr) < need)
			ok = false;
		if (write ? code || !(d.attr & SEG_RW) : code && !(d.attr & SEG_RW))
			ok = false;
	}
	soft_flags_set(c, (soft_flags_get(c) & ~(uint64_t)FL_ZF) | (ok ? FL_ZF : 0));
	return soft_next(c, i);
}

const struct soft_insn *op_verr(struct soft_cpu *c, const struct soft_insn *i)
{
	return verify(c, i, false);
}

const struct soft_insn *op_verw(struct soft_cpu *c, const struct soft_insn *i)
{
	return verify(c, i, true);
}

/* LAR and LSL: which system descriptors count; bit n: type n. */
#define LAR_TYPES_LEGACY 0x1a3eU
#define LAR_TYPES_LONG 0x1a04U
#define LSL_TYPES_LEGACY 0x0a0eU
#define LSL_TYPES_LONG 0x0a04U

static bool visible(struct soft_cpu *c, uint16_t selector, uint32_t types, struct soft_desc *d)
{
	unsigned int need = (selector & 3) > c->cpl ? selector & 3 : c->cpl;

	if (!soft_desc_try(c, selector, d))
		return false;
	if (!(d->attr & SEG_S) && !(types & 1U << SEG_TYPE(d->attr)))
		return false;
	if ((d->attr & SEG_S) && (d->attr & SEG_CODE) && (d->attr & SEG_DC))
		return true;
	return SEG_DPL(d->attr) >= need;
}

static const struct soft_insn *load_rights(struct soft_cpu *c, const struct soft_insn *i,
					   bool limit)
{
	uint16_t selector = load16(c, i);
	bool lm = soft_long_mode(c);
	uint32_t types = limit ? (lm ? LSL_TYPES_LONG : LSL_TYPES_LEGACY) :
				 (lm ? LAR_TYPES_LONG : LAR_TYPES_LEGACY);
	struct soft_desc d;
	bool ok;
	uint64_t v;

	if (!soft_protected(c))
		soft_raise(c, EX_UD);
	ok = visible(c, selector, types, &d);
	if (ok) {
		v = limit ? d.limit : (d.raw >> 32) & 0xf0ff00;
		if (i->width == 2)
			c->gpr[i->reg] = (c->gpr[i->reg] & ~0xffffULL) | (v & 0xffff);
		else
			c->gpr[i->reg] = v;
	}
	soft_flags_set(c, (soft_flags_get(c) & ~(uint64_t)FL_ZF) | (ok ? FL_ZF : 0));
	return soft_next(c, i);
}

const struct soft_insn *op_lar(struct soft_cpu *c, const struct soft_insn *i)
{
	return load_rights(c, i, false);
}

const struct soft_insn *op_lsl(struct soft_cpu *c, const struct soft_insn *i)
{
	return load_rights(c, i, true);
}

/* ---- descriptor tables ---- */

static const struct soft_insn *store_table(struct soft_cpu *c, const struct soft_insn *i,
					   uint16_t limit, uint64_t base)
{
	uint8_t image[10];
	unsigned int len = c->long64 ? 10 : 6;

	umip_check(c);
	memcpy(image, &limit, 2);
	memcpy(image + 2, &base, 8);
	soft_write_bytes(c, operand_address(c, i, len, true), image, len);
	return soft_next(c, i);
}

const struct soft_insn *op_sgdt(struct soft_cpu *c, const struct soft_insn *i)
{
	return store_table(c, i, c->gdtr.limit, c->gdtr.base);
}

const struct soft_insn *op_sidt(struct soft_cpu *c, const struct soft_insn *i)
{
	return store_table(c, i, c->idtr.limit, c->idtr.base);
}

static void load_table(struct soft_cpu *c, const struct soft_insn *i, uint16_t *limit,
		       uint64_t *base)
{
	uint8_t image[10] = { 0 };
	unsigned int len = c->long64 ? 10 : 6;
	uint64_t b;

	need_ring0(c);
	soft_read_bytes(c, operand_address(c, i, len, false), image, len);
	memcpy(&b, image + 2, 8);
	if (!c->long64)
		b &= i->width == 2 ? 0xffffffULL : UINT32_MAX;
	else if ((uint64_t)((int64_t)(b << 16) >> 16) != b)
		RAISE_GP0(c);
	memcpy(limit, image, 2);
	*base = b;
}

const struct soft_insn *op_lgdt(struct soft_cpu *c, const struct soft_insn *i)
{
	load_table(c, i, &c->gdtr.limit, &c->gdtr.base);
	return soft_next(c, i);
}

const struct soft_insn *op_lidt(struct soft_cpu *c, const struct soft_insn *i)
{
	load_table(c, i, &c->idtr.limit, &c->idtr.base);
	return soft_next(c, i);
}

/* ---- TLB and caches ---- */

const struct soft_insn *op_invlpg(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t linear = soft_offset(c, i);

	need_ring0(c);
	if (!c->long64 || i->seg >= S_FS)
		linear += c->seg[i->seg].base;
	soft_tlb_flush_page(c, c->long64 ? linear : (uint32_t)linear);
	return leave(c, i);
}

/* INVD and WBINVD: memory is always coherent here. */
const struct soft_insn *op_wbinvd(struct soft_cpu *c, const struct soft_insn *i)
{
	need_ring0(c);
	return soft_next(c, i);
}

const struct soft_insn *op_swapgs(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t base = c->seg[S_GS].base;

	if (!c->long64)
		soft_raise(c, EX_UD);
	need_ring0(c);
	c->seg[S_GS].base = c->kernel_gs_base;
	c->kernel_gs_base = base;
	return soft_next(c, i);
}

const struct soft_insn *op_clac(struct soft_cpu *c, const struct soft_insn *i)
{
	if (c->cpl != 0)
		soft_raise(c, EX_UD);
	c->rflags &= ~(uint64_t)FL_AC;
	soft_mode_changed(c);
	return soft_next(c, i);
}

const struct soft_insn *op_stac(struct soft_cpu *c, const struct soft_insn *i)
{
	if (c->cpl != 0)
		soft_raise(c, EX_UD);
	c->rflags |= FL_AC;
	soft_mode_changed(c);
	return soft_next(c, i);
}

/* ---- MSRs, time, identity ---- */

const struct soft_insn *op_rdmsr(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t v;

	need_ring0(c);
	if (!soft_rdmsr(c, (uint32_t)c->gpr[R_CX], &v))
		RAISE_GP0(c);
	c->gpr[R_AX] = (uint32_t)v;
	c->gpr[R_DX] = v >> 32;
	return soft_next(c, i);
}

const struct soft_insn *op_wrmsr(struct soft_cpu *c, const struct soft_insn *i)
{
	need_ring0(c);
	if (!soft_wrmsr(c, (uint32_t)c->gpr[R_CX], low(c, R_DX) << 32 | low(c, R_AX)))
		RAISE_GP0(c);
	return leave(c, i);
}

static void read_time(struct soft_cpu *c)
{
	uint64_t tsc = soft_tsc(c);

	if (c->cpl != 0 && (c->cr4 & CR4_TSD))
		RAISE_GP0(c);
	c->gpr[R_AX] = (uint32_t)tsc;
	c->gpr[R_DX] = tsc >> 32;
}

const struct soft_insn *op_rdtsc(struct soft_cpu *c, const struct soft_insn *i)
{
	read_time(c);
	return soft_next(c, i);
}

const struct soft_insn *op_rdtscp(struct soft_cpu *c, const struct soft_insn *i)
{
	read_time(c);
	c->gpr[R_CX] = (uint32_t)c->tsc_aux;
	return soft_next(c, i);
}

const struct soft_insn *op_cpuid(struct soft_cpu *c, const struct soft_insn *i)
{
	struct soft_cpuid r = soft_cpuid(c, (uint32_t)c->gpr[R_AX], (uint32_t)c->gpr[R_CX]);

	c->gpr[R_AX] = r.eax;
	c->gpr[R_BX] = r.ebx;
	c->gpr[R_CX] = r.ecx;
	c->gpr[R_DX] = r.edx;
	soft_serialise(c);
	return leave(c, i);
}

#define KVM_EPERM 1ULL
#define KVM_ENOSYS 1000ULL

/* Who finds "KVM" in CPUID may ask for its hypercalls; there are none. */
const struct soft_insn *op_hypercall(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t r = c->cpl ? -KVM_EPERM : -KVM_ENOSYS;

	c->gpr[R_AX] = c->long64 ? r : (uint32_t)r;
	return soft_next(c, i);
}

const struct soft_insn *op_hlt(struct soft_cpu *c, const struct soft_insn *i)
{
	need_ring0(c);
	c->halted = true;
	return leave(c, i);
}

/* No counters are there: CR4.PCE cannot be set, and every index is out of range. */
const struct soft_insn *op_rdpmc(struct soft_cpu *c, const struct soft_insn *i)
{
	(void)i;
	RAISE_GP0(c);
}

/* ---- FS and GS bases ---- */

const struct soft_insn *op_fsgsbase(struct soft_cpu *c, const struct soft_insn *i)
{
	struct soft_segment *s = &c->seg[i->reg & 1 ? S_GS : S_FS];
	uint64_t v;

	if (!c->long64 || !(c->cr4 & CR4_FSGSBASE))
		soft_raise(c, EX_UD);
	if ((i->reg & 7) < 2) {
		c->gpr[i->rm] = i->width == 8 ? s->base : (uint32_t)s->base;
		return soft_next(c, i);
	}
	v = i->width == 8 ? c->gpr[i->rm] : (uint32_t)c->gpr[i->rm];
	if ((uint64_t)((int64_t)(v << 16) >> 16) != v)
		RAISE_GP0(c);
	s->base = v;
	return soft_next(c, i);
}
