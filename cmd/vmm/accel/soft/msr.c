/* SPDX-License-Identifier: Apache-2.0 */
/* Model-specific registers, as a table. SDM volume 4. What is not in it is #GP. */
#include "cmd/vmm/accel/soft/kvmclock.h"
#include "cmd/vmm/accel/soft/lapic.h"
#include "cmd/vmm/accel/soft/soft_mem.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/vcpu.h"
#include "lib/base/cleanup.h"

#include <stddef.h>

enum rule {
	PLAIN,	   /* any value */
	CANONICAL, /* a canonical address */
	LOW32,	   /* bits 63:32 must be 0 */
	MASKED,	   /* bits outside `value` must be 0 */
	COMMAND,   /* the same, but writes do nothing and reads are #GP */
	FIXED,	   /* reads as `value`; writes are ignored if they write it, #GP otherwise */
	IGNORED,   /* reads as `value`; writes go nowhere */
};

struct row {
	uint32_t msr;
	uint32_t count; /* of consecutive ones, 8 bytes apart */
	enum rule rule;
	size_t offset; /* in struct soft_cpu */
	uint64_t value;
};

#define AT(field) offsetof(struct soft_cpu, field)

/*
 * Guest code never runs on the host's CPU: none of it can make a load that faults or needs an assist,
 * so what leaks from buffers that such loads sample is out of its reach, and no branch of the guest's
 * is a branch that the host's CPU predicts by the guest's addresses. The interpreter's own branches
 * are predicted: a check of the guest's may be passed speculatively (Spectre variant 1), which no
 * bit denies, and against which LFENCE and masked indexes work as on silicon.
 *
 * RDCL_NO, IBRS_ALL, SKIP_L1DFL, SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO,
 * PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO. Not there, since the MSRs or the behaviour that
 * they announce are not: RSBA, TSX_CTRL, MCU_CONTROL, MISC_PACKAGE_CTLS, ENERGY_FILTERING_CTL, DOITM,
 * FB_CLEAR, FB_CLEAR_CTRL, RRSBA, XAPIC_DISABLE_STATUS, OVERCLOCKING_STATUS, GDS_CTRL, RFDS_CLEAR.
 */
#define ARCH_CAPABILITIES                                                                    \
	(1ULL << 0 | 1ULL << 1 | 1ULL << 3 | 1ULL << 4 | 1ULL << 5 | 1ULL << 6 | 1ULL << 8 | \
	 1ULL << 13 | 1ULL << 14 | 1ULL << 15 | 1ULL << 20 | 1ULL << 24 | 1ULL << 26 |       \
	 1ULL << 27 | 1ULL << 62)

#define SPEC_CTRL \
	(1ULL << 0 | 1ULL << 1 | 1ULL << 2 | 1ULL << 10) /* IBRS, STIBP, SSBD, BHI_DIS_S */
#define MCG_STATUS (1ULL << 0 | 1ULL << 1 | 1ULL << 2)	 /* RIPV, EIPV, MCIP */

static const struct row rows[] = {
	{ 0x0, 2, FIXED, 0, 0 },    /* P5_MC_ADDR, P5_MC_TYPE */
	{ 0x17, 1, IGNORED, 0, 0 }, /* PLATFORM_ID */
	{ 0x48, 1, MASKED, AT(spec_ctrl), SPEC_CTRL },
	{ 0x49, 1, COMMAND, 0, 1 },	     /* PRED_CMD: IBPB */
	{ 0x8b, 1, IGNORED, 0, 1ULL << 32 }, /* BIOS_SIGN_ID */
	{ 0xce, 1, FIXED, 0, 0 },	     /* PLATFORM_INFO */
	{ 0xfe, 1, FIXED, 0, 0x508 },	     /* MTRRCAP: WC, fixed, 8 variable */
	{ 0x10a, 1, FIXED, 0, ARCH_CAPABILITIES },
	{ 0x140, 1, FIXED, 0, 0 }, /* MISC_FEATURE_ENABLES */
	{ 0x174, 1, LOW32, AT(sysenter_cs), 0 },
	{ 0x175, 1, CANONICAL, AT(sysenter_esp), 0 },
	{ 0x176, 1, CANONICAL, AT(sysenter_eip), 0 },
	{ 0x179, 1, FIXED, 0, 0 }, /* MCG_CAP: no banks, no MCG_CTL */
	{ 0x17a, 1, MASKED, AT(mcg_status), MCG_STATUS },
	{ 0x1a0, 1, PLAIN, AT(misc_enable), 0 },
	{ 0x1b0, 1, IGNORED, 0, 0 }, /* ENERGY_PERF_BIAS */
	{ 0x1d9, 1, IGNORED, 0, 0 }, /* DEBUGCTL: LBR and BTF not there */
	{ 0x200, 16, PLAIN, AT(mtrr_var), 0 },
	{ 0x250, 1, PLAIN, AT(mtrr_fixed[0]), 0 },
	{ 0x258, 2, PLAIN, AT(mtrr_fixed[1]), 0 },
	{ 0x268, 8, PLAIN, AT(mtrr_fixed[3]), 0 },
	{ 0x277, 1, PLAIN, AT(pat), 0 },
	{ 0x2ff, 1, PLAIN, AT(mtrr_def), 0 },
	{ 0x345, 1, FIXED, 0, 0 }, /* PERF_CAPABILITIES */
	{ 0xc0000081, 1, PLAIN, AT(star), 0 },
	{ 0xc0000082, 1, CANONICAL, AT(lstar), 0 },
	{ 0xc0000083, 1, CANONICAL, AT(cstar), 0 },
	{ 0xc0000084, 1, LOW32, AT(sfmask), 0 },
	{ 0xc0000100, 1, CANONICAL, AT(seg[S_FS].base), 0 },
	{ 0xc0000101, 1, CANONICAL, AT(seg[S_GS].base), 0 },
	{ 0xc0000102, 1, CANONICAL, AT(kernel_gs_base), 0 },
	{ 0xc0000103, 1, LOW32, AT(tsc_aux), 0 },
};

#define MSR_TSC 0x10
#define MSR_PAT 0x277
#define MSR_EFER 0xc0000080

static const struct row *row_of(uint32_t msr)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (msr - rows[i].msr < rows[i].count)
			return &rows[i];
	return NULL;
}

static uint64_t *field(struct soft_cpu *c, const struct row *row, uint32_t msr)
{
	return (uint64_t *)(void *)((char *)c + row->offset) + (msr - row->msr);
}

static bool is_lapic(uint32_t msr)
{
	return msr == 0x1b || msr == 0x6e0 || msr - 0x800 < 0x100;
}

bool soft_rdmsr(struct soft_cpu *c, uint32_t msr, uint64_t *ret)
{
	const struct row *row = row_of(msr);

	if (is_lapic(msr))
		return soft_lapic_rdmsr(c, msr, ret);
	if (soft_kvmclock_is_msr(msr))
		*ret = soft_kvmclock_rdmsr(c, msr);
	else if (msr == MSR_TSC)
		*ret = soft_tsc(c);
	else if (msr == MSR_EFER)
		*ret = c->efer;
	else if (!row || row->rule == COMMAND)
		return false;
	else
		*ret = row->rule >= FIXED ? row->value : *field(c, row, msr);
	return true;
}

/* Each byte of the PAT is one of the memory types 0, 1, 4 to 7. */
static bool pat_valid(uint64_t v)
{
	for (unsigned int i = 0; i < 64; i += 8) {
		unsigned int type = (v >> i) & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

bool soft_wrmsr(struct soft_cpu *c, uint32_t msr, uint64_t v)
{
	const struct row *row = row_of(msr);

	if (is_lapic(msr))
		return soft_lapic_wrmsr(c, msr, v);
	if (soft_kvmclock_is_msr(msr)) {
		soft_kvmclock_wrmsr(c, msr, v);
		return true;
	}
	if (msr == MSR_TSC) {
		c->tsc_offset = v - soft_now();
		soft_kvmclock_update(c);
		return true;
	}
	if (msr == MSR_EFER)
		return soft_set_efer(c, v);
	if (!row || (msr == MSR_PAT && !pat_valid(v)))
		return false;
	switch (row->rule) {
	case FIXED:
		return v == row->value;
	case IGNORED:
		return true;
	case CANONICAL:
		if (!soft_canonical(v))
			return false;
		break;
	case LOW32:
		if (v >> 32)
			return false;
		break;
	case COMMAND:
		return !(v & ~row->value);
	case MASKED:
		if (v & ~row->value)
			return false;
		break;
	case PLAIN:
		break;
	}
	*field(c, row, msr) = v;
	return true;
}

/* ---- control registers ---- */

bool soft_set_efer(struct soft_cpu *c, uint64_t v)
{
	uint64_t known = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;

	if ((v & ~known) || ((v ^ c->efer) & EFER_LME && (c->cr0 & CR0_PG)))
		return false;
	c->efer = (v & ~EFER_LMA) | (c->efer & EFER_LMA);
	soft_tlb_flush(c, true);
	return true;
}

/* Paging goes on or off: with EFER.LME this is entering or leaving long mode. */
static void change_paging(struct soft_cpu *c, uint64_t v)
{
	if ((v & CR0_PG) && (c->efer & EFER_LME)) {
		if (!(c->cr4 & CR4_PAE) || (c->seg[S_CS].attr & 0x2000))
			RAISE_GP0(c);
		c->efer |= EFER_LMA;
	} else if (!(v & CR0_PG)) {
		if (c->long64)
			RAISE_GP0(c);
		c->efer &= ~EFER_LMA;
	}
}

void soft_set_cr0(struct soft_cpu *c, uint64_t v)
{
	uint64_t known = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW |
			 CR0_CD | CR0_PG;

	if (v >> 32 || ((v & CR0_PG) && !(v & CR0_PE)) || ((v & CR0_NW) && !(v & CR0_CD)) ||
	    (!(v & CR0_PG) && (c->cr4 & CR4_PCIDE)))
		RAISE_GP0(c);
	if ((v ^ c->cr0) & CR0_PG)
		change_paging(c, v);
	if ((v ^ c->cr0) & (CR0_PG | CR0_WP | CR0_PE))
		soft_tlb_flush(c, true);
	c->cr0 = (v & known) | CR0_ET;
	soft_mode_changed(c);
}

void soft_set_cr3(struct soft_cpu *c, uint64_t v)
{
	/* bit 63 keeps the TLB where there are PCIDs, and is reserved here */
	if (soft_long_mode(c) && v >> SOFT_PHYS_BITS)
		RAISE_GP0(c);
	if (!soft_long_mode(c))
		v = (uint32_t)v;
	c->cr3 = v;
	soft_tlb_flush(c, false);
}

void soft_set_cr4(struct soft_cpu *c, uint64_t v)
{
	uint64_t known = 0x1ULL << 3 /* DE */ | CR4_TSD | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE |
			 CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE | CR4_SMEP |
			 CR4_SMAP;

	if ((v & ~known) || (soft_long_mode(c) && !(v & CR4_PAE)))
		RAISE_GP0(c);
	if ((v ^ c->cr4) & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP))
		soft_tlb_flush(c, true);
	c->cr4 = v;
	soft_mode_changed(c);
}
