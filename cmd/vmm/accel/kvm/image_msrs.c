/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MSRs of a vCPU's image; see image.h. They are set from outside, which passes by what a guest may set: so
 * there is a list of those that a guest can change by itself, each with its bounds in the schema, and no other.
 */
#include "cmd/vmm/accel/kvm/image.h"

#include "cmd/vmm/accel/kvm/kvm.h"
#include "lib/base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define IMAGE struct kvm_image

/* In the order in which they are given back: the deadline is one of the TSC's, and of a LAPIC's mode; a page for hypercalls
 * is one of the guest OS, timers of Hyper-V's act on what comes before them. */
static const struct {
	uint32_t index;
	uint32_t offset;
} msrs[] = {
#define MSR(number, member)                       \
	{                                         \
		(number), offsetof(IMAGE, member) \
	}
	MSR(0xc0000081, star),
	MSR(0xc0000082, lstar),
	MSR(0xc0000083, cstar),
	MSR(0xc0000084, sfmask),
	MSR(0xc0000102, kernel_gs_base),
	MSR(0x174, sysenter_cs),
	MSR(0x175, sysenter_esp),
	MSR(0x176, sysenter_eip),
	MSR(0x277, pat),
	MSR(0x1a0, misc_enable),
	MSR(0x140, misc_features),
	MSR(0x1fc, power_ctl),
	MSR(0xc0000103, tsc_aux),
	MSR(0x1d9, debugctl),
	MSR(0x17a, mcg_status),
	MSR(0x48, spec_ctrl),
	MSR(0xc001011f, virt_spec_ctrl),
	MSR(0x122, tsx_ctrl),
	MSR(0xe1, umwait_control),
	MSR(0xc0010015, hwcr),
	MSR(0xda0, xss),
	MSR(0x1c4, xfd),
	MSR(0x1c5, xfd_err),
	MSR(0x2ff, mtrr_def),
	MSR(0x250, mtrr_fixed[0]),
	MSR(0x258, mtrr_fixed[1]),
	MSR(0x259, mtrr_fixed[2]),
	MSR(0x268, mtrr_fixed[3]),
	MSR(0x269, mtrr_fixed[4]),
	MSR(0x26a, mtrr_fixed[5]),
	MSR(0x26b, mtrr_fixed[6]),
	MSR(0x26c, mtrr_fixed[7]),
	MSR(0x26d, mtrr_fixed[8]),
	MSR(0x26e, mtrr_fixed[9]),
	MSR(0x26f, mtrr_fixed[10]),
	MSR(0x200, mtrr_var[0]),
	MSR(0x201, mtrr_var[1]),
	MSR(0x202, mtrr_var[2]),
	MSR(0x203, mtrr_var[3]),
	MSR(0x204, mtrr_var[4]),
	MSR(0x205, mtrr_var[5]),
	MSR(0x206, mtrr_var[6]),
	MSR(0x207, mtrr_var[7]),
	MSR(0x208, mtrr_var[8]),
	MSR(0x209, mtrr_var[9]),
	MSR(0x20a, mtrr_var[10]),
	MSR(0x20b, mtrr_var[11]),
	MSR(0x20c, mtrr_var[12]),
	MSR(0x20d, mtrr_var[13]),
	MSR(0x20e, mtrr_var[14]),
	MSR(0x20f, mtrr_var[15]),
	MSR(0x4b564d01, kvm_system_time),
	MSR(0x4b564d00, kvm_wall_clock),
	MSR(0x3b, tsc_adjust),
	MSR(0x10, tsc),
	MSR(0x6e0, tsc_deadline),
	MSR(0x40000000, hv_guest_os_id),
	MSR(0x40000001, hv_hypercall),
	MSR(0x40000021, hv_reference_tsc),
	MSR(0x40000073, hv_assist),
	MSR(0x40000080, hv_scontrol),
	MSR(0x40000082, hv_siefp),
	MSR(0x40000083, hv_simp),
	MSR(0x40000090, hv_sint[0]),
	MSR(0x40000091, hv_sint[1]),
	MSR(0x40000092, hv_sint[2]),
	MSR(0x40000093, hv_sint[3]),
	MSR(0x40000094, hv_sint[4]),
	MSR(0x40000095, hv_sint[5]),
	MSR(0x40000096, hv_sint[6]),
	MSR(0x40000097, hv_sint[7]),
	MSR(0x40000098, hv_sint[8]),
	MSR(0x40000099, hv_sint[9]),
	MSR(0x4000009a, hv_sint[10]),
	MSR(0x4000009b, hv_sint[11]),
	MSR(0x4000009c, hv_sint[12]),
	MSR(0x4000009d, hv_sint[13]),
	MSR(0x4000009e, hv_sint[14]),
	MSR(0x4000009f, hv_sint[15]),
	MSR(0x400000b0, hv_stimer[0]),
	MSR(0x400000b1, hv_stimer[1]),
	MSR(0x400000b2, hv_stimer[2]),
	MSR(0x400000b3, hv_stimer[3]),
	MSR(0x400000b4, hv_stimer[4]),
	MSR(0x400000b5, hv_stimer[5]),
	MSR(0x400000b6, hv_stimer[6]),
	MSR(0x400000b7, hv_stimer[7]),
	MSR(0x40000100, hv_crash[0]),
	MSR(0x40000101, hv_crash[1]),
	MSR(0x40000102, hv_crash[2]),
	MSR(0x40000103, hv_crash[3]),
	MSR(0x40000104, hv_crash[4]),
#undef MSR
};

static_assert(ARRAY_SIZE(msrs) == KVM_SAVED_MSRS);

/* Not ours to save: EFER is among the registers, the others count by themselves. */
static const uint32_t elsewhere[] = {
	0xc0000080,		/* EFER */
	0xc0000100, 0xc0000101, /* FS and GS base */
	0xe7,	    0xe8,	/* MPERF, APERF */
	0x11,	    0x12,	/* the clock's MSRs of old, which are the new ones */
};

/* ---- MSRs: one at a time, so that it is known which was refused ---- */

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

static int get_msr(const struct accel_vcpu *v, uint32_t index, uint64_t *ret)
{
	struct one_msr one = { .head.nmsrs = 1, .entry.index = index };

	if (ioctl(v->fd, KVM_GET_MSRS, &one) != 1)
		return -EIO;
	*ret = one.entry.data;
	return 0;
}

static int set_msr(const struct accel_vcpu *v, uint32_t index, uint64_t value)
{
	struct one_msr one = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

	return ioctl(v->fd, KVM_SET_MSRS, &one) == 1 ? 0 : -EIO;
}

static bool has_msr(const struct accel *a, uint32_t index)
{
	for (unsigned int i = 0; i < a->msrs->nmsrs; i++)
		if (a->msrs->entries[i].index == index)
			return true;
	return false;
}

int kvm_msrs_read(const struct accel_vcpu *v, uint64_t ret[KVM_SAVED_MSRS])
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(msrs) && r == 0; i++) {
		ret[i] = 0;
		if (has_msr(v->accel, msrs[i].index))
			r = get_msr(v, msrs[i].index, &ret[i]);
	}
	return r;
}

int kvm_msrs_write(const struct accel_vcpu *v, const uint64_t values[KVM_SAVED_MSRS])
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(msrs) && r == 0; i++)
		if (has_msr(v->accel, msrs[i].index))
			r = set_msr(v, msrs[i].index, values[i]);
	return r;
}

static bool is_saved(uint32_t index)
{
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
		if (msrs[i].index == index)
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
		if (elsewhere[i] == index)
			return true;
	return false;
}

int kvm_msrs_check_others(const struct accel_vcpu *v)
{
	const struct kvm_msrs *all = v->accel->msrs;
	uint64_t now = 0;

	for (unsigned int i = 0; i < all->nmsrs; i++) {
		const struct kvm_msr_entry *e = &all->entries[i];

		if (!is_saved(e->index) && get_msr(v, e->index, &now) == 0 && now != e->data)
			return -ENOTSUP;
	}
	return 0;
}

void kvm_msrs_to_image(const uint64_t values[KVM_SAVED_MSRS], IMAGE *i)
{
	for (size_t k = 0; k < ARRAY_SIZE(msrs); k++)
		memcpy((uint8_t *)i + msrs[k].offset, &values[k], sizeof(values[k]));
}

void kvm_msrs_from_image(const IMAGE *i, uint64_t ret[KVM_SAVED_MSRS])
{
	for (size_t k = 0; k < ARRAY_SIZE(msrs); k++)
		memcpy(&ret[k], (const uint8_t *)i + msrs[k].offset, sizeof(ret[k]));
}

bool kvm_msrs_fit(const struct accel_vcpu *v, const IMAGE *i)
{
	uint64_t values[KVM_SAVED_MSRS];

	kvm_msrs_from_image(i, values);
	for (size_t k = 0; k < ARRAY_SIZE(msrs); k++)
		if (values[k] && !has_msr(v->accel, msrs[k].index))
			return false;
	return true;
}
