/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A soft vCPU's row of the state contract; see vcpu.h. What the interpreter only knows for speed (its
 * TLB, decoded blocks, lazy flags) is not state. Times are saved as what is left of them.
 */
#include "cmd/vmm/accel/soft/state.h"

#include "cmd/vmm/accel/soft/debug.h"
#include "cmd/vmm/accel/soft/flags.h"
#include "cmd/vmm/accel/soft/fp_state.h"
#include "cmd/vmm/accel/soft/kvmclock.h"
#include "cmd/vmm/accel/soft/lapic.h"
#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/vcpu.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <string.h>

#define N_SEGMENTS 8 /* six, LDTR, TR */
#define RFLAGS_BITS                                                                               \
	(FL_ARITH | RFLAGS_1 | FL_TF | FL_IF | FL_DF | FL_IOPL | FL_NT | FL_RF | FL_AC | FL_VIF | \
	 FL_VIP | FL_ID)
#define CR0_BITS                                                                                   \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)
#define CR4_BITS                                                                                  \
	(CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | \
	 CR4_UMIP | CR4_FSGSBASE | CR4_SMEP | CR4_SMAP)
#define DR6_FIXED 0xffff0ff0ULL
#define DR6_BITS 0xe00fULL
#define DR7_FIXED 0x400ULL
#define DR7_BITS 0xffff2bffULL
#define ATTR_BITS 0xf0ff
#define EXCEPTIONS 32

struct image {
	uint64_t gpr[16], rip, rflags;
	uint64_t base[N_SEGMENTS];
	uint32_t limit[N_SEGMENTS];
	uint16_t selector[N_SEGMENTS], attr[N_SEGMENTS];
	uint64_t gdt_base, idt_base;
	uint16_t gdt_limit, idt_limit;
	uint64_t cr0, cr2, cr3, cr4, efer, xcr0, dr[8];
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pat, misc_enable, tsc_aux, spec_ctrl, mcg_status;
	uint64_t mtrr_def, mtrr_fixed[11], mtrr_var[16];
	uint64_t kvm_system_time, kvm_wall_clock;
	uint64_t tsc, clock; /* ns since the machine began: the first vCPU's counts */
	uint16_t fcw, fsw, fop;
	uint8_t ftw;
	uint32_t mxcsr;
	uint64_t fip, fdp, st[16], xmm[32];
	uint8_t cpl, inhibit, watch_waiting;
	uint8_t halted, wait_sipi, nmi_blocked, nmi_pending;
	uint8_t redeliver, vector, has_error, soft; /* an exception that is not delivered yet */
	uint32_t error;
	struct soft_lapic_image lapic;
};

#define IMAGE struct image

static const struct state_field fields[] = {
	STATE_ANYS(IMAGE, gpr),
	STATE_ANY(IMAGE, rip),
	STATE_BITS(IMAGE, rflags, RFLAGS_BITS),
	STATE_ANYS(IMAGE, base),
	STATE_ANYS(IMAGE, limit),
	STATE_ANYS(IMAGE, selector),
	STATE_BITSES(IMAGE, attr, ATTR_BITS),
	STATE_ANY(IMAGE, gdt_base),
	STATE_ANY(IMAGE, idt_base),
	STATE_ANY(IMAGE, gdt_limit),
	STATE_ANY(IMAGE, idt_limit),
	STATE_BITS(IMAGE, cr0, CR0_BITS),
	STATE_ANY(IMAGE, cr2),
	STATE_RANGE(IMAGE, cr3, 0, (1ULL << SOFT_PHYS_BITS) - 1),
	STATE_BITS(IMAGE, cr4, CR4_BITS),
	STATE_BITS(IMAGE, efer, EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE),
	STATE_RANGE(IMAGE, xcr0, 1, 1),
	STATE_ANYS(IMAGE, dr),
	STATE_ANY(IMAGE, star),
	STATE_ANY(IMAGE, lstar),
	STATE_ANY(IMAGE, cstar),
	STATE_RANGE(IMAGE, sfmask, 0, UINT32_MAX),
	STATE_ANY(IMAGE, kernel_gs_base),
	STATE_RANGE(IMAGE, sysenter_cs, 0, UINT32_MAX),
	STATE_ANY(IMAGE, sysenter_esp),
	STATE_ANY(IMAGE, sysenter_eip),
	STATE_BITS(IMAGE, pat, 0x0707070707070707ULL),
	STATE_ANY(IMAGE, misc_enable),
	STATE_RANGE(IMAGE, tsc_aux, 0, UINT32_MAX),
	STATE_BITS(IMAGE, spec_ctrl, 0x407),
	STATE_BITS(IMAGE, mcg_status, 7),
	STATE_ANY(IMAGE, mtrr_def),
	STATE_ANYS(IMAGE, mtrr_fixed),
	STATE_ANYS(IMAGE, mtrr_var),
	STATE_ANY(IMAGE, kvm_system_time),
	STATE_ANY(IMAGE, kvm_wall_clock),
	STATE_ANY(IMAGE, tsc),
	STATE_RANGE(IMAGE, clock, 0, SOFT_TIME_MAX),
	STATE_BITS(IMAGE, fcw, 0x1f7f),
	STATE_ANY(IMAGE, fsw),
	STATE_BITS(IMAGE, fop, 0x7ff),
	STATE_ANY(IMAGE, ftw),
	STATE_BITS(IMAGE, mxcsr, 0xffff),
	STATE_ANY(IMAGE, fip),
	STATE_ANY(IMAGE, fdp),
	STATE_ANYS(IMAGE, st),
	STATE_ANYS(IMAGE, xmm),
	STATE_RANGE(IMAGE, cpl, 0, 3),
	STATE_RANGE(IMAGE, inhibit, 0, INHIBIT_SS),
	STATE_BITS(IMAGE, watch_waiting, 0xf),
	STATE_BOOL(IMAGE, halted),
	STATE_BOOL(IMAGE, wait_sipi),
	STATE_BOOL(IMAGE, nmi_blocked),
	STATE_BOOL(IMAGE, nmi_pending),
	STATE_BOOL(IMAGE, redeliver),
	STATE_RANGE(IMAGE, vector, 0, EXCEPTIONS - 1),
	STATE_BOOL(IMAGE, has_error),
	STATE_BOOL(IMAGE, soft),
	STATE_ANY(IMAGE, error),
	SOFT_LAPIC_STATE(IMAGE, lapic),
};

/* ---- fields against each other ---- */

static const char *check_mode(const IMAGE *i)
{
	const char *why = control_registers_refuse(i->cr0, i->cr3, i->cr4, i->efer, i->rflags);

	if (why)
		return why;
	return !(i->cr0 & CR0_PE) && i->cpl ? "cpl is not 0 in real mode" : NULL;
}

static const char *check_addresses(const IMAGE *i)
{
	const uint64_t canonical[] = { i->lstar, i->cstar, i->kernel_gs_base, i->sysenter_esp,
				       i->sysenter_eip };

	for (size_t k = 0; k < ARRAY_SIZE(canonical); k++)
		if (!soft_canonical(canonical[k]))
			return "an MSR for an address holds none";
	for (size_t k = 0; k < N_SEGMENTS; k++)
		if (!soft_canonical(i->base[k]))
			return "base is no address";
	if (i->dr[4] || i->dr[5] || (i->dr[6] & ~DR6_BITS) != DR6_FIXED ||
	    (i->dr[7] & ~DR7_BITS) != DR7_FIXED)
		return "dr has bits that cannot be";
	return NULL;
}

static const char *check_floats(const IMAGE *i)
{
	if (!(i->fcw & 0x40))
		return "fcw cannot be";
	for (size_t k = 1; k < ARRAY_SIZE(i->st); k += 2)
		if (i->st[k] >> 16)
			return "st has more than 80 bits";
	for (unsigned int k = 0; k < 64; k += 8)
		if (((i->pat >> k) & 0xfe) == 2)
			return "pat has a type that is reserved";
	return NULL;
}

static const char *check(const void *image)
{
	const char *wrong = check_mode(image);

	if (!wrong)
		wrong = check_addresses(image);
	if (!wrong)
		wrong = check_floats(image);
	return wrong ? wrong : soft_lapic_image_check(&((const IMAGE *)image)->lapic);
}

static const struct state_schema schema = {
	.name = "soft-vcpu",
	.version = 1,
	.size = sizeof(IMAGE),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.check = check,
};

_Static_assert(sizeof(IMAGE) <= STATE_IMAGE_MAX, "all of a vCPU");

/* ---- save and load ---- */

/* clang-format off */
/* What has the same name on both sides. */
#define SAME(X)                                                                              \
	X(rip) X(cr0) X(cr2) X(cr3) X(cr4) X(efer) X(xcr0) X(star) X(lstar) X(cstar) X(sfmask) \
	X(kernel_gs_base) X(sysenter_cs) X(sysenter_esp) X(sysenter_eip) X(pat) X(misc_enable) \
	X(tsc_aux) X(spec_ctrl) X(mcg_status) X(mtrr_def) X(kvm_system_time) X(kvm_wall_clock) \
	X(cpl) X(inhibit) X(watch_waiting) X(halted) X(wait_sipi) X(nmi_blocked) X(nmi_pending) \
	X(redeliver)
#define SAME_ARRAYS(X) X(gpr) X(dr) X(mtrr_fixed) X(mtrr_var)
#define SAME_FLOATS(X) X(fcw) X(fsw) X(fop) X(ftw) X(mxcsr) X(fip) X(fdp)
#define SAME_FAULTS(X) X(vector) X(has_error) X(soft) X(error)
/* clang-format on */

static void save_segment(IMAGE *i, unsigned int n, const struct soft_segment *s)
{
	i->base[n] = s->base;
	i->limit[n] = s->limit;
	i->selector[n] = s->selector;
	i->attr[n] = s->attr & ATTR_BITS;
}

static void save(const void *object, void *image)
{
	const struct soft_cpu *c = object;
	IMAGE *i = image;

#define X(name) i->name = c->name;
	SAME(X)
#undef X
#define X(name) memcpy(i->name, c->name, sizeof(i->name));
	SAME_ARRAYS(X)
#undef X
#define X(name) i->name = c->fx.name;
	SAME_FLOATS(X)
#undef X
#define X(name) i->name = c->redeliver ? c->fault.name : 0;
	SAME_FAULTS(X)
#undef X
	i->rflags = soft_flags_get((struct soft_cpu *)object);
	for (unsigned int s = 0; s < 6; s++)
		save_segment(i, s, &c->seg[s]);
	save_segment(i, 6, &c->ldtr);
	save_segment(i, 7, &c->tr);
	i->gdt_base = c->gdtr.base;
	i->gdt_limit = c->gdtr.limit;
	i->idt_base = c->idtr.base;
	i->idt_limit = c->idtr.limit;
	for (size_t n = 0; n < 8; n++)
		memcpy(&i->st[2 * n], c->fx.st[n].b, 10);
	memcpy(i->xmm, c->fx.xmm, sizeof(i->xmm));
	i->tsc = soft_tsc(c);
	i->clock = soft_now() - c->vm->clock_start;
	soft_lapic_save(c, &i->lapic);
}

static struct soft_segment segment_of(const IMAGE *i, unsigned int n)
{
	return (struct soft_segment){ i->selector[n], i->attr[n], i->limit[n], i->base[n] };
}

/* All that follows from the rest, and what was known of another guest. */
static void settle(struct soft_cpu *c, const IMAGE *i)
{
	c->single_step = c->held = false;
	c->shadow = c->watch_hits = 0;
	soft_cache_clear(c);
	soft_flags_set(c, i->rflags);
	soft_mode_changed(c);
	soft_tlb_flush(c, true);
	soft_x87_normalise(c);
	soft_lapic_load(c, &i->lapic);
	soft_kvmclock_update(c);
	atomic_fetch_or(&c->wake, WAKE_INTERRUPT);
}

static int load(void *object, const void *image, const char **ret_why)
{
	struct soft_cpu *c = object;
	const IMAGE *i = image;

	if (i->lapic.reg[2] != c->index << 24) {
		*ret_why = "of another vCPU";
		return -EINVAL;
	}
#define X(name) c->name = i->name;
	SAME(X)
#undef X
#define X(name) memcpy(c->name, i->name, sizeof(i->name));
	SAME_ARRAYS(X)
#undef X
#define X(name) c->fx.name = i->name;
	SAME_FLOATS(X)
#undef X
#define X(name) c->fault.name = i->name;
	SAME_FAULTS(X)
#undef X
	for (unsigned int s = 0; s < 6; s++)
		c->seg[s] = segment_of(i, s);
	c->ldtr = segment_of(i, 6);
	c->tr = segment_of(i, 7);
	c->gdtr.base = i->gdt_base;
	c->gdtr.limit = i->gdt_limit;
	c->idtr.base = i->idt_base;
	c->idtr.limit = i->idt_limit;
	for (size_t n = 0; n < 8; n++)
		memcpy(c->fx.st[n].b, &i->st[2 * n], 16);
	memcpy(c->fx.xmm, i->xmm, sizeof(i->xmm));
	c->tsc_offset = i->tsc - soft_now();
	if (c->index == 0)
		c->vm->clock_start = soft_now() - i->clock;
	settle(c, i);
	return 0;
}

static int reset(void *object)
{
	struct soft_cpu *c = object;

	soft_cache_clear(c);	     /* RAM holds other code now */
	(void)soft_lapic_signals(c); /* of the guest's last life */
	soft_cpu_reset(c, NULL, false);
	return 0;
}

const struct state_ops soft_vcpu_state = { "soft-vcpu", &schema, reset, NULL, save, load };
