/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's row of the state contract; see kvm.h. KVM takes a state in a dozen calls, each of which it may
 * refuse: what was there before is put back then. Times are saved as what is left of them where KVM counts
 * so (the LAPIC's timer), the TSC and the VM's clock as they are.
 */
#include "cmd/vmm/accel/kvm/image.h"

#include "cmd/vmm/accel/kvm/kvm.h"
#include "lib/base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define IMAGE struct kvm_image

/* ---- all of it, as KVM has it ---- */

static int capture(const struct accel_vcpu *v, struct kvm_whole *ret)
{
	struct kvm_clock_data clock;
	int r = kvm_state_read(v, &ret->state);

	if (r == 0)
		r = kvm_msrs_read(v, ret->msrs);
	if (r < 0 || v->index)
		return r;
	if (ioctl(v->accel->vm_fd, KVM_GET_CLOCK, &clock) < 0)
		return -errno;
	ret->clock = clock.clock;
	return 0;
}

static int apply_clock(const struct accel_vcpu *v, const struct kvm_whole *w)
{
	const struct kvm_clock_data clock = { .clock = w->clock };

	if (v->index)
		return 0;
	return ioctl(v->accel->vm_fd, KVM_SET_CLOCK, &clock) < 0 ? -errno : 0;
}

/* Each after what it depends on: the mode of the LAPIC is one of the registers'. */
static int apply(const struct accel_vcpu *v, const struct kvm_whole *w)
{
	const struct kvm_pristine *s = &w->state;
	int r;

	if (ioctl(v->fd, KVM_SET_SREGS, &s->sregs) < 0 ||
	    ioctl(v->fd, KVM_SET_LAPIC, &s->lapic) < 0)
		return -errno;
	r = apply_clock(v, w);
	if (r == 0)
		r = kvm_msrs_write(v, w->msrs);
	if (r < 0)
		return r;
	if (s->has_xcrs && ioctl(v->fd, KVM_SET_XCRS, &s->xcrs) < 0)
		return -errno;
	if (ioctl(v->fd, KVM_SET_XSAVE, &s->xsave) < 0 ||
	    ioctl(v->fd, KVM_SET_DEBUGREGS, &s->debugregs) < 0 ||
	    ioctl(v->fd, KVM_SET_VCPU_EVENTS, &s->events) < 0 ||
	    ioctl(v->fd, KVM_SET_MP_STATE, &s->mp_state) < 0 ||
	    ioctl(v->fd, KVM_SET_REGS, &s->regs) < 0)
		return -errno;
	return 0;
}

/* ---- KVM's structures and the image ---- */

static_assert(offsetof(struct kvm_regs, rip) == sizeof(((IMAGE *)0)->gpr));
static_assert(sizeof(struct kvm_xsave) == 576 + 8 * KVM_IMAGE_XSAVE_EXTENDED);
static_assert(sizeof(struct kvm_lapic_state) == (size_t)16 * KVM_IMAGE_LAPIC);

static struct kvm_segment *segment(struct kvm_sregs *s, unsigned int n)
{
	struct kvm_segment *const all[KVM_IMAGE_SEGMENTS] = { &s->cs, &s->ds, &s->es, &s->fs,
							      &s->gs, &s->ss, &s->tr, &s->ldt };

	return all[n];
}

static uint32_t attr_of(const struct kvm_segment *s)
{
	return s->type | (uint32_t)s->s << 4 | (uint32_t)s->dpl << 5 | (uint32_t)s->present << 7 |
	       (uint32_t)s->avl << 12 | (uint32_t)s->l << 13 | (uint32_t)s->db << 14 |
	       (uint32_t)s->g << 15 | (s->unusable ? KVM_ATTR_UNUSABLE : 0);
}

static struct kvm_segment segment_of(const IMAGE *i, unsigned int n)
{
	const uint32_t attr = i->attr[n];

	return (struct kvm_segment){ .base = i->base[n],
				     .limit = i->limit[n],
				     .selector = i->selector[n],
				     .type = attr & 0xf,
				     .s = attr >> 4 & 1,
				     .dpl = attr >> 5 & 3,
				     .present = attr >> 7 & 1,
				     .avl = attr >> 12 & 1,
				     .l = attr >> 13 & 1,
				     .db = attr >> 14 & 1,
				     .g = attr >> 15 & 1,
				     .unusable = !!(attr & KVM_ATTR_UNUSABLE) };
}

static void save_registers(const struct kvm_pristine *s, IMAGE *i)
{
	struct kvm_sregs sregs = s->sregs;

	memcpy(i->gpr, &s->regs, sizeof(i->gpr));
	i->rip = s->regs.rip;
	i->rflags = s->regs.rflags;
	for (unsigned int n = 0; n < KVM_IMAGE_SEGMENTS; n++) {
		const struct kvm_segment *seg = segment(&sregs, n);

		i->base[n] = seg->base;
		i->limit[n] = seg->limit;
		i->selector[n] = seg->selector;
		i->attr[n] = attr_of(seg);
	}
	i->gdt_base = sregs.gdt.base;
	i->gdt_limit = sregs.gdt.limit;
	i->idt_base = sregs.idt.base;
	i->idt_limit = sregs.idt.limit;
	i->cr0 = sregs.cr0;
	i->cr2 = sregs.cr2;
	i->cr3 = sregs.cr3;
	i->cr4 = sregs.cr4;
	i->efer = sregs.efer;
	i->apic_base = sregs.apic_base;
	memcpy(i->dr, s->debugregs.db, sizeof(i->dr));
	i->dr6 = s->debugregs.dr6;
	i->dr7 = s->debugregs.dr7;
	i->xcr0 = s->has_xcrs && s->xcrs.nr_xcrs ? s->xcrs.xcrs[0].value : 0;
}

static void load_registers(const IMAGE *i, struct kvm_pristine *s)
{
	struct kvm_sregs *sregs = &s->sregs;

	memcpy(&s->regs, i->gpr, sizeof(i->gpr));
	s->regs.rip = i->rip;
	s->regs.rflags = i->rflags;
	for (unsigned int n = 0; n < KVM_IMAGE_SEGMENTS; n++)
		*segment(sregs, n) = segment_of(i, n);
	sregs->gdt.base = i->gdt_base;
	sregs->gdt.limit = i->gdt_limit;
	sregs->idt.base = i->idt_base;
	sregs->idt.limit = i->idt_limit;
	sregs->cr0 = i->cr0;
	sregs->cr2 = i->cr2;
	sregs->cr3 = i->cr3;
	sregs->cr4 = i->cr4;
	sregs->cr8 = i->lapic[KVM_LAPIC_TPR] >> 4;
	sregs->efer = i->efer;
	sregs->apic_base = i->apic_base;
	memset(sregs->interrupt_bitmap, 0,
	       sizeof(sregs->interrupt_bitmap)); /* the events have it */
	memcpy(s->debugregs.db, i->dr, sizeof(i->dr));
	s->debugregs.dr6 = i->dr6;
	s->debugregs.dr7 = i->dr7;
	s->xcrs = (struct kvm_xcrs){ .nr_xcrs = 1, .xcrs = { { .value = i->xcr0 } } };
}

/* The XSAVE area, standard form (SDM volume 1, 13.4). */
struct xsave {
	uint16_t fcw, fsw;
	uint8_t ftw, reserved;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	uint64_t st[16], xmm[32], unused[12];
	uint64_t xstate_bv, header[7], extended[KVM_IMAGE_XSAVE_EXTENDED];
};

static_assert(sizeof(struct xsave) == sizeof(struct kvm_xsave));

/* clang-format off */
#define FLOATS(X) X(fcw) X(fsw) X(ftw) X(fop) X(fip) X(fdp) X(mxcsr) X(xstate_bv)
#define FLOAT_ARRAYS(X) X(st) X(xmm) X(extended)
/* clang-format on */

static void save_floats(const struct kvm_xsave *from, IMAGE *i)
{
	struct xsave x;

	memcpy(&x, from, sizeof(x));
#define X(name) i->name = x.name;
	FLOATS(X)
#undef X
#define X(name) memcpy(i->name, x.name, sizeof(i->name));
	FLOAT_ARRAYS(X)
#undef X
}

/* What the header has beside its bits is 0: nothing is compacted. */
static void load_floats(const IMAGE *i, struct kvm_xsave *to)
{
	struct xsave x;

	memcpy(&x, to, sizeof(x));
#define X(name) x.name = i->name;
	FLOATS(X)
#undef X
#define X(name) memcpy(x.name, i->name, sizeof(i->name));
	FLOAT_ARRAYS(X)
#undef X
	memset(x.header, 0, sizeof(x.header));
	memcpy(to, &x, sizeof(x));
}

static void save_events(const struct kvm_vcpu_events *e, IMAGE *i)
{
	i->exception = e->exception.injected;
	i->exception_nr = e->exception.injected ? e->exception.nr : 0;
	i->exception_has_error = e->exception.injected && e->exception.has_error_code;
	i->exception_error = i->exception_has_error ? e->exception.error_code : 0;
	i->interrupt = e->interrupt.injected;
	i->interrupt_nr = e->interrupt.injected ? e->interrupt.nr : 0;
	i->interrupt_soft = e->interrupt.injected && e->interrupt.soft;
	i->interrupt_shadow = e->interrupt.shadow;
	i->nmi_injected = e->nmi.injected;
	i->nmi_pending = e->nmi.pending;
	i->nmi_masked = e->nmi.masked;
}

static void load_events(const IMAGE *i, struct kvm_vcpu_events *e)
{
	*e = (struct kvm_vcpu_events){
		.exception = { .injected = i->exception,
			       .nr = i->exception_nr,
			       .has_error_code = i->exception_has_error,
			       .error_code = i->exception_error },
		.interrupt = { .injected = i->interrupt,
			       .nr = i->interrupt_nr,
			       .soft = i->interrupt_soft,
			       .shadow = i->interrupt_shadow },
		.nmi = { .injected = i->nmi_injected,
			 .pending = i->nmi_pending,
			 .masked = i->nmi_masked },
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW,
	};
}

static uint32_t lapic_get(const struct kvm_lapic_state *l, unsigned int reg)
{
	uint32_t value;

	memcpy(&value, l->regs + (size_t)reg * 16, sizeof(value));
	return value;
}

static void save_image(const struct accel_vcpu *v, const struct kvm_whole *w, IMAGE *i)
{
	save_registers(&w->state, i);
	save_floats(&w->state.xsave, i);
	save_events(&w->state.events, i);
	for (unsigned int r = 0; r < KVM_IMAGE_LAPIC; r++)
		i->lapic[r] = lapic_get(&w->state.lapic, r);
	i->mp_state = w->state.mp_state.mp_state;
	kvm_msrs_to_image(w->msrs, i);
	i->clock = v->index ? 0 : w->clock;
}

/* *w is as KVM has it now. */
static void load_image(const IMAGE *i, struct kvm_whole *w)
{
	load_registers(i, &w->state);
	load_floats(i, &w->state.xsave);
	load_events(i, &w->state.events);
	for (unsigned int r = 0; r < KVM_IMAGE_LAPIC; r++)
		memcpy(w->state.lapic.regs + (size_t)r * 16, &i->lapic[r], sizeof(i->lapic[r]));
	w->state.mp_state.mp_state = i->mp_state;
	kvm_msrs_from_image(i, w->msrs);
	w->clock = i->clock;
}

/* ---- the row ---- */

static int reset(void *object)
{
	return kvm_vcpu_reset(object, NULL);
}

/* An access that the vmm has answered is not done before KVM is entered again (api.rst, KVM_RUN). */
static int finish_access(struct accel_vcpu *v)
{
	if (!v->ran)
		return 0;
	v->run->immediate_exit = 1;
	if (ioctl(v->fd, KVM_RUN, 0) == 0 || errno != EINTR)
		return -EIO;
	v->run->immediate_exit = 0;
	return 0;
}

static int quiesce(void *object)
{
	struct accel_vcpu *v = object;
	int r = finish_access(v);

	if (r == 0)
		r = kvm_msrs_check_others(v);
	return r < 0 ? r : capture(v, v->whole);
}

/* What quiesce has found. */
static void save(const void *object, void *image)
{
	const struct accel_vcpu *v = object;

	save_image(v, v->whole, image);
}

static const char *misfit(const struct accel_vcpu *v, const IMAGE *i)
{
	const struct kvm_pristine *p = v->pristine;
	const bool is_first = i->apic_base & 1U << 8;

	if (is_first != (v->index == 0))
		return "of another vCPU";
	if (i->lapic[KVM_LAPIC_VERSION] != lapic_get(&p->lapic, KVM_LAPIC_VERSION))
		return "of another kind of LAPIC";
	if (i->xcr0 && !p->has_xcrs)
		return "xcr0, which this host has not";
	return kvm_msrs_fit(v, i) ? NULL : "an MSR that this host has not";
}

static int load(void *object, const void *image, const char **ret_why)
{
	struct accel_vcpu *v = object;
	struct kvm_whole before, after;
	const char *wrong = misfit(v, image);

	if (!wrong && (finish_access(v) < 0 || capture(v, &before) < 0))
		wrong = "KVM does not tell what there was before";
	if (!wrong) {
		after = before;
		load_image(image, &after);
		if (apply(v, &after) == 0) {
			v->ran = true;
			return 0;
		}
		wrong = apply(v, &before) == 0 ? "KVM refuses it" :
						 "KVM refuses it, and what there was before";
	}
	*ret_why = wrong;
	return -EINVAL;
}

const struct state_ops kvm_vcpu_state = { "kvm-vcpu", &kvm_vcpu_schema, reset, quiesce, save, load };
