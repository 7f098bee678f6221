/* SPDX-License-Identifier: Apache-2.0 */
/* Power-on and INIT state of a CPU. SDM volume 3, table 10-1. */
#include "cmd/vmm/accel/soft/lapic.h"
#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#define MXCSR_RESET 0x1f80
#define MXCSR_MASK 0xffff
#define PAT_RESET 0x0007040600070406ULL

static void reset_segments(struct soft_cpu *c)
{
	for (unsigned int s = 0; s < 6; s++)
		c->seg[s] = (struct soft_segment){ .attr = SEG_P | SEG_S | SEG_RW | SEG_ACCESSED,
						   .limit = 0xffff };
	c->seg[S_CS].attr |= SEG_CODE;
	c->seg[S_CS].selector = 0xf000;
	c->seg[S_CS].base = 0xffff0000;
	c->ldtr = (struct soft_segment){ .attr = SEG_P | 2, .limit = 0xffff };
	c->tr = (struct soft_segment){ .attr = SEG_P | 0xb, .limit = 0xffff };
	c->gdtr.base = c->idtr.base = 0;
	c->gdtr.limit = c->idtr.limit = 0xffff;
}

/* What INIT resets too. */
static void reset_core(struct soft_cpu *c)
{
	memset(c->gpr, 0, sizeof(c->gpr));
	c->gpr[R_DX] = SOFT_CPU_SIGNATURE;
	c->rip = 0xfff0;
	c->cpl = 0;
	c->inhibit = 0;
	c->halted = false;
	c->nmi_blocked = c->nmi_pending = c->held = false;
	c->single_step = c->redeliver = false;
	c->shadow = 0;
	c->watch_hits = c->watch_waiting = 0;
	reset_segments(c);
	c->cr0 = CR0_ET | CR0_CD | CR0_NW;
	c->cr2 = c->cr3 = c->cr4 = c->efer = 0;
	memset(c->dr, 0, sizeof(c->dr));
	c->dr[6] = 0xffff0ff0;
	c->dr[7] = 0x400;
	soft_flags_set(c, 2);
	soft_mode_changed(c);
	soft_tlb_flush(c, true);
	soft_lapic_reset(c);
}

static void reset_rest(struct soft_cpu *c)
{
	c->star = c->lstar = c->cstar = c->sfmask = c->kernel_gs_base = 0;
	c->sysenter_cs = c->sysenter_esp = c->sysenter_eip = 0;
	c->pat = PAT_RESET;
	c->misc_enable = 1; /* fast strings */
	c->tsc_aux = c->spec_ctrl = c->mcg_status = 0;
	c->tsc_offset = 0;
	c->kvm_system_time = c->kvm_wall_clock = 0;
	c->mtrr_def = 0;
	memset(c->mtrr_fixed, 0, sizeof(c->mtrr_fixed));
	memset(c->mtrr_var, 0, sizeof(c->mtrr_var));
	c->xcr0 = 1;
	memset(&c->fx, 0, sizeof(c->fx));
	c->fx.fcw = 0x40;
	c->fx.mxcsr = MXCSR_RESET;
	c->fx.mxcsr_mask = MXCSR_MASK;
}

static void boot_segment(struct soft_segment *s, const struct cpu_segment *b)
{
	*s = (struct soft_segment){
		.selector = b->selector,
		.attr = (uint16_t)(b->type | b->s << 4 | b->dpl << 5 | b->present << 7 |
				   b->l << 13 | b->db << 14 | b->g << 15),
		.limit = b->limit,
		.base = b->base,
	};
}

void soft_cpu_boot(struct soft_cpu *c, const struct cpu_boot_state *b)
{
	boot_segment(&c->seg[S_CS], &b->cs);
	for (unsigned int s = 0; s < 6; s++)
		if (s != S_CS)
			boot_segment(&c->seg[s], &b->ds);
	boot_segment(&c->tr, &b->tr);
	c->gdtr.base = b->gdt_base;
	c->gdtr.limit = b->gdt_limit;
	c->cr0 = b->cr0 | CR0_ET;
	c->cr3 = b->cr3;
	c->cr4 = b->cr4;
	c->efer = b->efer;
	c->rip = b->rip;
	c->gpr[R_SP] = b->rsp;
	c->gpr[R_BX] = b->rbx;
	c->gpr[R_SI] = b->rsi;
	soft_flags_set(c, b->rflags | 2);
	soft_mode_changed(c);
	soft_tlb_flush(c, true);
}

void soft_cpu_reset(struct soft_cpu *c, const struct cpu_boot_state *boot, bool init_only)
{
	reset_core(c);
	c->wait_sipi = c->index != 0;
	if (init_only)
		return;
	reset_rest(c);
	if (boot)
		soft_cpu_boot(c, boot);
}
