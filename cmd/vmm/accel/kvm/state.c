/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU's state: captured when KVM has just made it, put back at every guest reset. */
#include "cmd/vmm/accel/kvm/hyperv.h"
#include "cmd/vmm/accel/kvm/kvm.h"

#include "cmd/vmm/space.h"
#include "lib/base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* The kernel's shared pages are two or three. */
static_assert(SPACE_THREAD + sizeof(struct kvm_pristine) + sizeof(struct kvm_whole) + KIB(64) <=
	      SPACE_KVM_VCPU);

static_assert(sizeof(struct kvm_msrs) + KVM_MSRS_MAX * sizeof(struct kvm_msr_entry) <= SPACE_MSRS);

/* Hyper-V's would make KVM prepare for a Hyper-V guest, where that is not wanted; and KVM does not list all of them. */
static bool is_hyperv(uint32_t msr)
{
	return msr - KVM_MSR_HYPERV < KVM_HYPERV_MSRS;
}

/* If there is such a one, and not what can only be read: it cannot have changed either. */
static void read_msr(struct accel *a, struct kvm_msrs *all, uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one = { .head.nmsrs = 1, .entry.index = index };

	if (all->nmsrs < KVM_MSRS_MAX && ioctl(a->vcpus[0].fd, KVM_GET_MSRS, &one) == 1 &&
	    ioctl(a->vcpus[0].fd, KVM_SET_MSRS, &one) == 1)
		all->entries[all->nmsrs++] = one.entry;
}

static void read_msrs(struct accel *a, struct kvm_msrs *all)
{
	for (unsigned int i = 0; i < a->msr_list->nmsrs; i++)
		if (!is_hyperv(a->msr_list->indices[i]))
			read_msr(a, all, a->msr_list->indices[i]);
	for (size_t i = 0; a->hyperv && i < kvm_hyperv_n_kept; i++)
		read_msr(a, all, kvm_hyperv_kept[i]);
}

/*
 * Setting MSRs from outside passes by what a guest may set, so that whoever takes the vmm over must not
 * be able to set any but these, to these values: the filter lets KVM_SET_MSRS pass with this one address,
 * no call makes it writable again, and none maps something else there (forms.h: the kernel chooses where).
 */
int kvm_state_capture_msrs(struct accel *a)
{
	void *at = (void *)(uintptr_t)SPACE_MSRS_AT; /* NOLINT(performance-no-int-to-ptr) */
	void *p = mmap(at, SPACE_MSRS, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	if (p != at)
		return -EEXIST;
	read_msrs(a, p);
	if (mprotect(p, SPACE_MSRS, PROT_READ) < 0)
		return -errno;
	a->msrs = p;
	return 0;
}

int kvm_state_read(const struct accel_vcpu *v, struct kvm_pristine *p)
{
	if (ioctl(v->fd, KVM_GET_REGS, &p->regs) < 0 ||
	    ioctl(v->fd, KVM_GET_SREGS, &p->sregs) < 0 ||
	    ioctl(v->fd, KVM_GET_XSAVE, &p->xsave) < 0 ||
	    ioctl(v->fd, KVM_GET_DEBUGREGS, &p->debugregs) < 0 ||
	    ioctl(v->fd, KVM_GET_LAPIC, &p->lapic) < 0 ||
	    ioctl(v->fd, KVM_GET_VCPU_EVENTS, &p->events) < 0 ||
	    ioctl(v->fd, KVM_GET_MP_STATE, &p->mp_state) < 0)
		return -errno;
	p->has_xcrs = ioctl(v->fd, KVM_GET_XCRS, &p->xcrs) == 0;
	return 0;
}

int kvm_state_capture(struct accel_vcpu *v)
{
	v->pristine = calloc(1, sizeof(*v->pristine));
	v->whole = calloc(1, sizeof(*v->whole));
	if (!v->pristine || !v->whole)
		return -ENOMEM;
	return kvm_state_read(v, v->pristine);
}

/* KVM stops at the first that it refuses; it took them all before. */
static int restore_msrs(struct accel_vcpu *v)
{
	int n = ioctl(v->fd, KVM_SET_MSRS, v->accel->msrs);

	if (n < 0)
		return -errno;
	return (uint32_t)n == v->accel->msrs->nmsrs ? 0 : -EIO;
}

static struct kvm_segment to_kvm(const struct cpu_segment *s)
{
	return (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
		.type = s->type,
		.present = s->present,
		.dpl = s->dpl,
		.db = s->db,
		.s = s->s,
		.l = s->l,
		.g = s->g,
		.unusable = !s->present,
	};
}

static void apply_boot(const struct cpu_boot_state *boot, struct kvm_sregs *sregs,
		       struct kvm_regs *regs)
{
	sregs->cs = to_kvm(&boot->cs);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = to_kvm(&boot->ds);
	sregs->tr = to_kvm(&boot->tr);
	sregs->gdt.base = boot->gdt_base;
	sregs->gdt.limit = boot->gdt_limit;
	sregs->idt.base = 0;
	sregs->idt.limit = 0;
	sregs->cr0 = boot->cr0;
	sregs->cr3 = boot->cr3;
	sregs->cr4 = boot->cr4;
	sregs->efer = boot->efer;
	*regs = (struct kvm_regs){
		.rip = boot->rip,
		.rsp = boot->rsp,
		.rbx = boot->rbx,
		.rsi = boot->rsi,
		.rflags = boot->rflags | 2,
	};
}

/* Nothing but the registers can differ from what KVM made. */
static int first_entry(struct accel_vcpu *v, const struct kvm_sregs *sregs,
		       const struct kvm_regs *regs)
{
	v->ran = true;
	if (ioctl(v->fd, KVM_SET_SREGS, sregs) < 0 || ioctl(v->fd, KVM_SET_REGS, regs) < 0)
		return -errno;
	return 0;
}

int kvm_vcpu_reset(struct accel_vcpu *v, const struct cpu_boot_state *boot)
{
	const struct kvm_pristine *p = v->pristine;
	struct kvm_sregs sregs = p->sregs;
	struct kvm_regs regs = p->regs;
	int r;

	if (boot)
		apply_boot(boot, &sregs, &regs);
	if (!v->ran)
		return first_entry(v, &sregs, &regs);
	if (ioctl(v->fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(v->fd, KVM_SET_LAPIC, &p->lapic) < 0)
		return -errno;
	r = restore_msrs(v);
	if (r < 0)
		return r;
	if (p->has_xcrs && ioctl(v->fd, KVM_SET_XCRS, &p->xcrs) < 0)
		return -errno;
	if (ioctl(v->fd, KVM_SET_XSAVE, &p->xsave) < 0 ||
	    ioctl(v->fd, KVM_SET_DEBUGREGS, &p->debugregs) < 0 ||
	    ioctl(v->fd, KVM_SET_VCPU_EVENTS, &p->events) < 0 ||
	    ioctl(v->fd, KVM_SET_MP_STATE, &p->mp_state) < 0 ||
	    ioctl(v->fd, KVM_SET_REGS, &regs) < 0)
		return -errno;
	/* EFER is an MSR too, and restore_msrs has just put the power-on value there. */
	return boot && ioctl(v->fd, KVM_SET_SREGS, &sregs) < 0 ? -errno : 0;
}
