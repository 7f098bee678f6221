/* SPDX-License-Identifier: Apache-2.0 */
/* Hyper-V's interface, as far as a guest is offered it; see hyperv.h. TLFS 2.4 (CPUID), 3 (hypercalls), 10 to 12. */
#include "cmd/vmm/accel/kvm/hyperv.h"

#include "lib/base/cleanup.h"
#include "lib/base/units.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define PARAVIRTUAL_MASK 0xf0000000U
#define PARAVIRTUAL 0x40000000U
#define LEAF_FEATURES 0x40000003
#define LEAF_HINTS 0x40000004
#define LEAF_LIMITS 0x40000005
#define SUPPORTED_MAX 32 /* leaves that KVM may say; it has ten */
#define NEVER UINT32_MAX /* of spinlocks: tell the hypervisor after so many tries */

#define CRASH_CTL 0x40000105
#define CRASH_NOTIFY (1ULL << 63)
#define STATUS_INVALID_HYPERCALL_CODE 2

/* What is offered: a bit of EAX or EDX in leaf 40000003h, and the MSRs that come with it. Not here, and so refused: the
 * run time of a vCPU, which tells of the host; messages, events and debugging; TSC changes, for want of migration. */
static const struct {
	uint32_t eax, edx;
	uint32_t first, n;
} offered[] = {
	{ BIT(1), 0, 0x40000020, 1 },	    /* TIME_REF_COUNT */
	{ BIT(2), 0, 0x40000080, 5 },	    /* SynIC: SCONTROL, SVERSION, SIEFP, SIMP, EOM */
	{ BIT(2), 0, 0x40000090, 16 },	    /* SINT0 to SINT15 */
	{ BIT(3), 0, 0x400000b0, 8 },	    /* STIMER0_CONFIG, _COUNT, to STIMER3 */
	{ BIT(4), 0, 0x40000070, 4 },	    /* EOI, ICR, TPR, VP_ASSIST_PAGE */
	{ BIT(5), 0, 0x40000000, 2 },	    /* GUEST_OS_ID, HYPERCALL */
	{ BIT(6), 0, 0x40000002, 1 },	    /* VP_INDEX */
	{ BIT(7), 0, 0x40000003, 1 },	    /* RESET */
	{ BIT(9), 0, 0x40000021, 1 },	    /* REFERENCE_TSC */
	{ BIT(11), BIT(8), 0x40000022, 2 }, /* TSC_FREQUENCY, APIC_FREQUENCY */
	{ 0, BIT(10), 0x40000100, 6 },	    /* CRASH_P0 to CRASH_P4, CRASH_CTL */
	{ 0, BIT(19), KVM_MSR_HYPERV, 0 },  /* timers that interrupt without a message */
};

/* Hints of leaf 40000004h: APIC registers by MSR, relaxed timing, no AutoEOI. No hypercall is recommended. */
#define HINTS (BIT(3) | BIT(5) | BIT(9))

/* Timers first, which may act on the others; the hypercall page is gone once there is no guest OS. */
const uint32_t kvm_hyperv_kept[] = {
	0x400000b0, 0x400000b1, 0x400000b2, 0x400000b3, 0x400000b4, 0x400000b5, 0x400000b6,
	0x400000b7, 0x40000080, 0x40000082, 0x40000083, 0x40000090, 0x40000091, 0x40000092,
	0x40000093, 0x40000094, 0x40000095, 0x40000096, 0x40000097, 0x40000098, 0x40000099,
	0x4000009a, 0x4000009b, 0x4000009c, 0x4000009d, 0x4000009e, 0x4000009f, 0x40000073,
	0x40000021, 0x40000001, 0x40000000, 0x40000100, 0x40000101, 0x40000102, 0x40000103,
	0x40000104, CRASH_CTL,
};
const size_t kvm_hyperv_n_kept = ARRAY_SIZE(kvm_hyperv_kept);

/* Versions are those of the Hyper-V whose interface KVM has, Windows Server 2016. */
static void fill_leaves(struct kvm_cpuid_entry2 leaves[6])
{
	for (uint32_t i = 0; i < 6; i++)
		leaves[i] = (struct kvm_cpuid_entry2){ .function = PARAVIRTUAL + i };
	leaves[0].eax = LEAF_LIMITS; /* the last leaf */
	memcpy(&leaves[0].ebx, "Micr", 4);
	memcpy(&leaves[0].ecx, "osof", 4);
	memcpy(&leaves[0].edx, "t Hv", 4);
	memcpy(&leaves[1].eax, "Hv#1", 4);
	leaves[2].eax = 14393;
	leaves[2].ebx = 10 << 16;
	for (size_t i = 0; i < ARRAY_SIZE(offered); i++) {
		leaves[3].eax |= offered[i].eax;
		leaves[3].edx |= offered[i].edx;
	}
	leaves[4].eax = HINTS;
	leaves[4].ebx = NEVER;
	leaves[5].eax = leaves[5].ebx = VCPUS_MAX;
}

/* Whether KVM has all of them, in one leaf. */
static bool has_all(const struct kvm_cpuid2 *supported, const struct kvm_cpuid_entry2 *leaf)
{
	for (unsigned int i = 0; i < supported->nent && i < SUPPORTED_MAX; i++) {
		const struct kvm_cpuid_entry2 *e = &supported->entries[i];

		if (e->function == leaf->function)
			return !(leaf->eax & ~e->eax) && !(leaf->edx & ~e->edx);
	}
	return false;
}

static int check_supported(const struct accel *a, const struct kvm_cpuid_entry2 leaves[6])
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[SUPPORTED_MAX];
	} supported = { .head.nent = SUPPORTED_MAX };

	if (ioctl(a->kvm_fd, KVM_GET_SUPPORTED_HV_CPUID, &supported) < 0)
		return -errno;
	return has_all(&supported.head, &leaves[3]) && has_all(&supported.head, &leaves[4]) ?
		       0 :
		       -ENOTSUP;
}

static bool is_paravirtual(const struct kvm_cpuid_entry2 *e)
{
	return (e->function & PARAVIRTUAL_MASK) == PARAVIRTUAL;
}

int kvm_hyperv_offer(struct accel *a)
{
	struct kvm_cpuid2 *c = a->cpuid;
	struct kvm_cpuid_entry2 leaves[6];
	unsigned int n = 0;
	int r;

	fill_leaves(leaves);
	r = check_supported(a, leaves);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < c->nent; i++)
		n += !is_paravirtual(&c->entries[i]);
	if (n + ARRAY_SIZE(leaves) > KVM_CPUID_MAX)
		return -E2BIG;
	n = 0;
	for (unsigned int i = 0; i < c->nent; i++)
		if (!is_paravirtual(&c->entries[i]))
			c->entries[n++] = c->entries[i];
	memcpy(&c->entries[n], leaves, sizeof(leaves));
	c->nent = n + ARRAY_SIZE(leaves);
	return 0;
}

void kvm_hyperv_allow(uint8_t *bits)
{
	for (size_t i = 0; i < ARRAY_SIZE(offered); i++)
		for (uint32_t k = 0; k < offered[i].n; k++) {
			const uint32_t at = offered[i].first - KVM_MSR_HYPERV + k;

			bits[at / 8] |= (uint8_t)(1U << at % 8);
		}
}

static int enable(const struct accel_vcpu *v, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap c = { .cap = cap, .args = { arg } };

	return ioctl(v->fd, KVM_ENABLE_CAP, &c) < 0 ? -errno : 0;
}

/* The guest reads there whether a crash is heard. */
static int hear_crashes(const struct accel_vcpu *v)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one = { .head.nmsrs = 1, .entry = { .index = CRASH_CTL, .data = CRASH_NOTIFY } };

	return ioctl(v->fd, KVM_SET_MSRS, &one) == 1 ? 0 : -EIO;
}

/* The first version of the SynIC, which clears its pages when a guest enables them, as pages that the hypervisor lays over
 * RAM would be clear; with the second one that is left to the vmm. */
int kvm_hyperv_enforce(struct accel_vcpu *v)
{
	int r = enable(v, KVM_CAP_HYPERV_SYNIC, 0);

	if (r == 0)
		r = enable(v, KVM_CAP_HYPERV_ENFORCE_CPUID, 1);
	return r < 0 ? r : hear_crashes(v);
}

/* ---- exits ---- */

static void system_event(const struct kvm_run *run, struct accel_exit *ret)
{
	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_RESET:
		ret->kind = ACCEL_EXIT_RESET;
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		ret->kind = ACCEL_EXIT_PANIC;
		break;
	default:
		ret->kind = ACCEL_EXIT_BROKEN;
		ret->why = "KVM tells of an event that this vmm does not know";
	}
}

/* No hypercall that KVM leaves to the vmm is offered; where SynIC's pages lie is KVM's to know. */
void kvm_hyperv_exit(struct kvm_run *run, struct accel_exit *ret)
{
	*ret = (struct accel_exit){ .kind = ACCEL_EXIT_NONE };
	if (run->exit_reason == KVM_EXIT_SYSTEM_EVENT)
		system_event(run, ret);
	else if (run->hyperv.type == KVM_EXIT_HYPERV_HCALL)
		run->hyperv.u.hcall.result = STATUS_INVALID_HYPERCALL_CODE;
	else if (run->hyperv.type == KVM_EXIT_HYPERV_SYNDBG)
		run->hyperv.u.syndbg.status = 0;
}
