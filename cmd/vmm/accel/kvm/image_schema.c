/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the image of a vCPU may hold; see image.h. Bounds are what any guest can bring about by itself. What
 * depends on the host (which bits of CR4, XCR0 or an MSR its CPU has) KVM checks when it is given the state.
 */
#include "cmd/vmm/accel/kvm/image.h"

#include "cmd/vmm/control_registers.h"
#include "cmd/vmm/layout.h"
#include "lib/base/cleanup.h"
#include "lib/base/units.h"

#include <linux/kvm.h>

#define IMAGE struct kvm_image

#define RFLAGS_BITS 0x3f7fd7U
#define CR0_BITS 0xe005003fULL
#define CR4_BITS 0x10f71fffULL /* without VMXE and SMXE, which no guest has */
#define EFER_BITS 0x6d01ULL    /* SCE, LME, LMA, NXE, LMSLE, FFXSR; no SVME */
#define APIC_BASE_BSP (1U << 8)
#define APIC_BASE_X2APIC (1U << 10)
#define APIC_BASE_ENABLE (1U << 11)
#define PHYSICAL ((1ULL << 52) - 1)
#define DR6_BITS 0xffffefffULL
#define DR7_BITS 0xffff2fffULL
/* fast strings, TM1, PMC, BTS and PEBS not available, EIST, MWAIT, CPUID limit, xTPR, XD disable */
#define MISC_ENABLE_BITS 0x400c51889ULL
#define HWCR_BITS (1ULL << 18 | 1ULL << 24)

static const struct state_field fields[] = {
	STATE_ANYS(IMAGE, gpr),
	STATE_ANY(IMAGE, rip),
	STATE_BITS(IMAGE, rflags, RFLAGS_BITS),
	STATE_ANYS(IMAGE, base),
	STATE_ANYS(IMAGE, limit),
	STATE_BITSES(IMAGE, attr, KVM_ATTR_BITS),
	STATE_ANYS(IMAGE, selector),
	STATE_ANY(IMAGE, gdt_base),
	STATE_ANY(IMAGE, idt_base),
	STATE_ANY(IMAGE, gdt_limit),
	STATE_ANY(IMAGE, idt_limit),
	STATE_BITS(IMAGE, cr0, CR0_BITS),
	STATE_ANY(IMAGE, cr2),
	STATE_ANY(IMAGE, cr3),
	STATE_BITS(IMAGE, cr4, CR4_BITS),
	STATE_BITS(IMAGE, efer, EFER_BITS),
	STATE_ANY(IMAGE, apic_base),
	STATE_ANY(IMAGE, xcr0),
	STATE_ANYS(IMAGE, dr),
	STATE_BITS(IMAGE, dr6, DR6_BITS),
	STATE_BITS(IMAGE, dr7, DR7_BITS),
	STATE_BITS(IMAGE, fcw, 0x1f7f),
	STATE_ANY(IMAGE, fsw),
	STATE_BITS(IMAGE, fop, 0x7ff),
	STATE_ANY(IMAGE, ftw),
	STATE_BITS(IMAGE, mxcsr, 0x2ffff),
	STATE_ANY(IMAGE, fip),
	STATE_ANY(IMAGE, fdp),
	STATE_ANYS(IMAGE, st),
	STATE_ANYS(IMAGE, xmm),
	STATE_ANY(IMAGE, xstate_bv),
	STATE_ANYS(IMAGE, extended),
	STATE_ANYS(IMAGE, lapic),
	STATE_BOOL(IMAGE, exception),
	STATE_RANGE(IMAGE, exception_nr, 0, 31),
	STATE_BOOL(IMAGE, exception_has_error),
	STATE_ANY(IMAGE, exception_error),
	STATE_BOOL(IMAGE, interrupt),
	STATE_ANY(IMAGE, interrupt_nr),
	STATE_BOOL(IMAGE, interrupt_soft),
	STATE_RANGE(IMAGE, interrupt_shadow, 0, 3),
	STATE_BOOL(IMAGE, nmi_injected),
	STATE_RANGE(IMAGE, nmi_pending, 0, 2),
	STATE_BOOL(IMAGE, nmi_masked),
	STATE_RANGE(IMAGE, mp_state, KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_SIPI_RECEIVED),
	STATE_ANY(IMAGE, star),
	STATE_ANY(IMAGE, lstar),
	STATE_ANY(IMAGE, cstar),
	STATE_RANGE(IMAGE, sfmask, 0, UINT32_MAX),
	STATE_ANY(IMAGE, kernel_gs_base),
	STATE_RANGE(IMAGE, sysenter_cs, 0, UINT32_MAX),
	STATE_ANY(IMAGE, sysenter_esp),
	STATE_ANY(IMAGE, sysenter_eip),
	STATE_BITS(IMAGE, pat, 0x0707070707070707ULL),
	STATE_BITS(IMAGE, misc_enable, MISC_ENABLE_BITS),
	STATE_BITS(IMAGE, misc_features, 1),
	STATE_ANY(IMAGE, power_ctl),
	STATE_RANGE(IMAGE, tsc_aux, 0, UINT32_MAX),
	STATE_BITS(IMAGE, debugctl, 0x3),
	STATE_BITS(IMAGE, mcg_status, 7),
	STATE_BITS(IMAGE, spec_ctrl, 0x4ff),
	STATE_BITS(IMAGE, virt_spec_ctrl, 4),
	STATE_BITS(IMAGE, tsx_ctrl, 3),
	STATE_BITS(IMAGE, umwait_control, 0xfffffffdU),
	STATE_BITS(IMAGE, hwcr, HWCR_BITS),
	STATE_ANY(IMAGE, xss),
	STATE_ANY(IMAGE, xfd),
	STATE_ANY(IMAGE, xfd_err),
	STATE_BITS(IMAGE, mtrr_def, 0xcff),
	STATE_ANYS(IMAGE, mtrr_fixed),
	STATE_RANGES(IMAGE, mtrr_var, 0, PHYSICAL),
	STATE_ANY(IMAGE, kvm_system_time),
	STATE_ANY(IMAGE, kvm_wall_clock),
	STATE_ANY(IMAGE, tsc_adjust),
	STATE_ANY(IMAGE, tsc),
	STATE_ANY(IMAGE, tsc_deadline),
	STATE_ANY(IMAGE, hv_guest_os_id),
	STATE_ANY(IMAGE, hv_hypercall),
	STATE_ANY(IMAGE, hv_reference_tsc),
	STATE_ANY(IMAGE, hv_assist),
	STATE_ANY(IMAGE, hv_scontrol),
	STATE_ANY(IMAGE, hv_siefp),
	STATE_ANY(IMAGE, hv_simp),
	STATE_ANYS(IMAGE, hv_sint),
	STATE_ANYS(IMAGE, hv_stimer),
	STATE_ANYS(IMAGE, hv_crash),
	STATE_RANGE(IMAGE, clock, 0, INT64_MAX),
};

/* ---- fields against each other ---- */

static const char *check_mode(const IMAGE *i)
{
	const char *why = control_registers_refuse(i->cr0, i->cr3, i->cr4, i->efer, i->rflags);

	if (why)
		return why;
	return i->xcr0 && !(i->xcr0 & 1) ? "xcr0 without x87" : NULL;
}

static bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 7) >> 7) ==
	       address; /* 57 bits, where CR4 has LA57 */
}

static const char *check_addresses(const IMAGE *i)
{
	const uint64_t all[] = { i->lstar,	  i->cstar,    i->kernel_gs_base, i->sysenter_esp,
				 i->sysenter_eip, i->gdt_base, i->idt_base };

	for (size_t k = 0; k < ARRAY_SIZE(all); k++)
		if (!is_canonical(all[k]))
			return "an MSR or table's base for an address holds none";
	for (size_t k = 0; k < KVM_IMAGE_SEGMENTS; k++)
		if (!is_canonical(i->base[k]))
			return "base is no address";
	return NULL;
}

static bool is_memory_type(uint64_t bytes, uint8_t reserved)
{
	for (unsigned int k = 0; k < 64; k += 8) {
		uint8_t type = (uint8_t)(bytes >> k);

		if (type > 7 || type == 3 || type == 2 || (reserved && type == reserved))
			return false;
	}
	return true;
}

static const char *check_memory_types(const IMAGE *i)
{
	if (!is_memory_type(i->pat, 0))
		return "pat has a type that is reserved";
	for (size_t k = 0; k < ARRAY_SIZE(i->mtrr_fixed); k++)
		if (!is_memory_type(i->mtrr_fixed[k], 7))
			return "mtrr_fixed has a type that is reserved";
	return NULL;
}

/* ---- the LAPIC (SDM volume 3, table 11-1) ---- */

#define LVT_BITS 0x1f7ffU
#define NO_VECTORS 0xffffU /* 0 to 15 are exceptions' */
#define ISR 0x10
#define TMR 0x18
#define IRR 0x20
#define TIMER_INITIAL 0x38
#define TIMER_CURRENT 0x39

/* What a register can hold, in either mode; what is not here holds nothing. */
static const uint32_t held[KVM_IMAGE_LAPIC] = {
	[KVM_LAPIC_ID] = UINT32_MAX,
	[KVM_LAPIC_VERSION] = UINT32_MAX,
	[KVM_LAPIC_TPR] = 0xff,
	[0x09] = 0xff, /* APR, PPR */
	[0x0a] = 0xff,
	[0x0d] = UINT32_MAX, /* LDR, DFR, SVR */
	[0x0e] = UINT32_MAX,
	[0x0f] = 0x13ff,
	[0x28] = 0xff,	   /* ESR */
	[0x2f] = LVT_BITS, /* CMCI, ICR */
	[0x30] = UINT32_MAX,
	[0x31] = UINT32_MAX,
	[0x32] = 0x710ff, /* the LVT: timer, thermal, performance, pins, error */
	[0x33] = LVT_BITS,
	[0x34] = LVT_BITS,
	[0x35] = LVT_BITS,
	[0x36] = LVT_BITS,
	[0x37] = LVT_BITS,
	[TIMER_INITIAL] = UINT32_MAX,
	[TIMER_CURRENT] = UINT32_MAX,
	[0x3e] = 0xb,
};

static bool is_vectors(unsigned int reg)
{
	return reg >= ISR && reg < IRR + 8;
}

static const char *check_lapic(const IMAGE *i)
{
	/* A timer of Hyper-V's may ask for any vector: the LAPIC keeps it, and never delivers it. */
	const uint32_t requested = i->hv_sint[0] ? 0 : i->lapic[IRR];

	if ((i->apic_base & ~(uint64_t)(APIC_BASE_BSP | APIC_BASE_X2APIC | APIC_BASE_ENABLE)) !=
		    LAPIC_START ||
	    ((i->apic_base & APIC_BASE_X2APIC) && !(i->apic_base & APIC_BASE_ENABLE)))
		return "apic_base cannot be";
	for (unsigned int r = 0; r < KVM_IMAGE_LAPIC; r++)
		if (!is_vectors(r) && i->lapic[r] & ~held[r])
			return "lapic has bits that no register holds";
	if ((i->lapic[ISR] | i->lapic[TMR] | requested) & NO_VECTORS)
		return "lapic: an interrupt with an exception's vector";
	return i->lapic[TIMER_CURRENT] > i->lapic[TIMER_INITIAL] ?
		       "lapic: a timer beyond where it began" :
		       NULL;
}

static const char *check_events(const IMAGE *i)
{
	if (i->exception + i->interrupt + i->nmi_injected > 1)
		return "two events in the middle of their delivery";
	if (!i->exception && (i->exception_nr || i->exception_has_error))
		return "exception_nr without an exception";
	if (!i->exception_has_error && i->exception_error)
		return "exception_error without one";
	if (!i->interrupt && (i->interrupt_nr || i->interrupt_soft))
		return "interrupt_nr without an interrupt";
	if (i->exception && i->exception_nr == 2)
		return "exception_nr is the NMI's";
	return NULL;
}

/* ---- Hyper-V's interface: TLFS 3.13 and 11.8.4 ---- */

#define HV_ENABLE 1ULL
#define HV_SINT_MASKED (1ULL << 16)

static const char *check_hyperv(const IMAGE *i)
{
	if ((i->hv_hypercall & HV_ENABLE) && !i->hv_guest_os_id)
		return "hv_hypercall without a guest OS";
	for (size_t k = 0; k < ARRAY_SIZE(i->hv_sint); k++)
		if (i->hv_sint[k] && !(i->hv_sint[k] & HV_SINT_MASKED) &&
		    (uint8_t)i->hv_sint[k] < 16)
			return "hv_sint with an exception's vector";
	return NULL;
}

static const char *check(const void *image)
{
	static const char *(*const checks[])(const IMAGE *) = { check_mode,	    check_addresses,
								check_memory_types, check_lapic,
								check_events,	    check_hyperv };
	const char *wrong = NULL;

	for (size_t k = 0; k < ARRAY_SIZE(checks) && !wrong; k++)
		wrong = checks[k](image);
	return wrong;
}

const struct state_schema kvm_vcpu_schema = {
	.name = "kvm-vcpu",
	.version = 2,
	.size = sizeof(IMAGE),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.check = check,
};

_Static_assert(sizeof(IMAGE) <= STATE_IMAGE_MAX, "all of a vCPU");
