/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CPU the guest sees: what the host supports, less what widens the attack surface, plus the
 * topology. Leaves: Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E.
 */
#include "cmd/vmm/accel/kvm/hyperv.h"
#include "cmd/vmm/accel/kvm/kvm.h"
#include "cmd/vmm/accel/topology.h"

#include "lib/base/cleanup.h"
#include "lib/base/units.h"

#include <asm/kvm_para.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define ALL_SUBLEAVES UINT32_MAX
#define TSC_LEAF 0x15

/* Bits taken away. Nested virtualisation, performance counters, tracing and enclaves are each a
 * large part of the host kernel that a guest would otherwise reach. */
static const struct {
	uint32_t leaf, subleaf;
	uint32_t eax, ebx, ecx, edx;
} removed[] = {
	/* VMX, SMX, PDCM; DS */
	{ 0x1, 0, 0, 0, 1U << 5 | 1U << 6 | 1U << 15, 1U << 21 },
	/* SGX, PT; SGX_LC */
	{ 0x7, 0, 0, 1U << 2 | 1U << 25, 1U << 30, 0 },
	{ 0xa, ALL_SUBLEAVES, ~0U, ~0U, ~0U, ~0U },  /* performance monitoring */
	{ 0x12, ALL_SUBLEAVES, ~0U, ~0U, ~0U, ~0U }, /* SGX */
	{ 0x14, ALL_SUBLEAVES, ~0U, ~0U, ~0U, ~0U }, /* processor trace */
	/* SVM, SKINIT, IBS, LWP, PERFCTR_CORE, PERFCTR_NB, PERFTSC, PERFCTR_LLC */
	{ 0x80000001, 0, 0, 0,
	  1U << 2 | 1U << 12 | 1U << 10 | 1U << 15 | 1U << 23 | 1U << 24 | 1U << 27 | 1U << 28, 0 },
	{ 0x8000000a, ALL_SUBLEAVES, ~0U, ~0U, ~0U, ~0U }, /* SVM */
	{ 0x8000001b, ALL_SUBLEAVES, ~0U, ~0U, ~0U, ~0U }, /* IBS */
	{ 0x8000001f, ALL_SUBLEAVES, ~0U, ~0U, ~0U, ~0U }, /* SEV */
	{ 0x80000022, ALL_SUBLEAVES, ~0U, ~0U, ~0U, ~0U }, /* performance monitoring 2 */
};

static void remove_features(struct kvm_cpuid_entry2 *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(removed); i++) {
		if (removed[i].leaf != e->function)
			continue;
		if (removed[i].subleaf != ALL_SUBLEAVES && removed[i].subleaf != e->index)
			continue;
		e->eax &= ~removed[i].eax;
		e->ebx &= ~removed[i].ebx;
		e->ecx &= ~removed[i].ecx;
		e->edx &= ~removed[i].edx;
	}
}

#define PARAVIRTUAL_FIRST 0x40000000
#define PARAVIRTUAL_LAST 0x4fffffff

/* Of KVM's own interface the guest has the clock. Page faults told by an interrupt, EOIs and stolen time
 * in the guest's memory, IPIs and TLB flushes by hypercall are code of the host's kernel that a guest
 * would reach beyond that; kvm_vcpu_create has KVM refuse what is not listed. */
static void trim_paravirtual(struct kvm_cpuid_entry2 *e)
{
	const uint32_t given = BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_NOP_IO_DELAY) |
			       BIT(KVM_FEATURE_CLOCKSOURCE2) |
			       BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);

	if (e->function < PARAVIRTUAL_FIRST || e->function > PARAVIRTUAL_LAST)
		return;
	if (e->function == KVM_CPUID_SIGNATURE) {
		e->eax = KVM_CPUID_FEATURES; /* the last leaf */
		return;
	}
	e->eax &= e->function == KVM_CPUID_FEATURES ? given : 0;
	e->ebx = e->ecx = e->edx = 0;
}

int kvm_cpuid_prepare(struct accel *a)
{
	size_t size = sizeof(*a->cpuid) + KVM_CPUID_MAX * sizeof(a->cpuid->entries[0]);

	a->cpuid = calloc(1, size);
	if (!a->cpuid)
		return -ENOMEM;
	a->cpuid->nent = KVM_CPUID_MAX;
	if (ioctl(a->kvm_fd, KVM_GET_SUPPORTED_CPUID, a->cpuid) < 0)
		return -errno;
	for (unsigned int i = 0; i < a->cpuid->nent; i++) {
		remove_features(&a->cpuid->entries[i]);
		trim_paravirtual(&a->cpuid->entries[i]);
	}
	return a->hyperv ? kvm_hyperv_offer(a) : 0;
}

static void set_leaf_1(const struct accel *a, unsigned int id, struct kvm_cpuid_entry2 *e)
{
	e->ebx = (e->ebx & 0x0000ffff) | a->n_vcpus << 16 | id << 24;
	e->ecx |= 1U << 31; /* hypervisor */
	if (ioctl(a->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
		e->ecx |= 1U << 24;
	e->edx &= ~(1U << 28);
	if (a->n_vcpus > 1)
		e->edx |= 1U << 28; /* HTT: the count in EBX is valid */
}

/* Caches: the first levels are each CPU's own, the last is everybody's. */
static void set_cache_sharing(const struct accel *a, struct kvm_cpuid_entry2 *e)
{
	unsigned int level = (e->eax >> 5) & 7;
	unsigned int sharing = level >= 3 ? a->n_vcpus : 1;

	e->eax &= 0x3fff;
	e->eax |= (sharing - 1) << 14;
	if (e->function == 4)
		e->eax |= (a->n_vcpus - 1) << 26;
}

/* One package of n cores, one thread each. */
static void set_topology(const struct accel *a, unsigned int id, struct kvm_cpuid_entry2 *e)
{
	e->edx = id;
	e->ecx = e->index;
	e->eax = e->ebx = 0;
	if (e->index == 0) { /* SMT level */
		e->ebx = 1;
		e->ecx |= 1U << 8;
	} else if (e->index == 1) { /* core level */
		e->eax = topology_bits(a->n_vcpus);
		e->ebx = a->n_vcpus;
		e->ecx |= 2U << 8;
	}
}

static void set_amd_topology(const struct accel *a, unsigned int id, struct kvm_cpuid_entry2 *e)
{
	if (e->function == 0x80000008) {
		e->ecx = (a->n_vcpus - 1) | topology_bits(a->n_vcpus) << 12;
	} else {
		e->eax = id;
		e->ebx = id;
		e->ecx = 0;
	}
}

static void set_own_leaf(const struct accel *a, unsigned int id, struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	case 0x1:
		set_leaf_1(a, id, e);
		break;
	case 0x4:
	case 0x8000001d:
		set_cache_sharing(a, e);
		break;
	case 0xb:
	case 0x1f:
		set_topology(a, id, e);
		break;
	case 0x80000008:
	case 0x8000001e:
		set_amd_topology(a, id, e);
		break;
	}
}

/* The kernel lists only the first level of leaf 0xB on some hosts; the guest needs the second. */
static void add_core_level(struct kvm_cpuid2 *c)
{
	bool have = false;

	for (unsigned int i = 0; i < c->nent; i++)
		have |= c->entries[i].function == 0xb && c->entries[i].index == 1;
	if (!have && c->nent < KVM_CPUID_MAX && c->entries[0].eax >= 0xb)
		c->entries[c->nent++] = (struct kvm_cpuid_entry2){
			.function = 0xb, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX
		};
}

static struct kvm_cpuid_entry2 *entry(struct kvm_cpuid2 *c, uint32_t leaf)
{
	for (unsigned int i = 0; i < c->nent; i++)
		if (c->entries[i].function == leaf)
			return &c->entries[i];
	return NULL;
}

/* Guests without kvmclock, FreeBSD for one, take the TSC's frequency from here. A crystal of half the frequency: 32 bits
 * hold it in Hz for any processor. */
static void add_tsc_frequency(struct accel *a, const struct accel_vcpu *v)
{
	int khz = ioctl(v->fd, KVM_GET_TSC_KHZ);
	struct kvm_cpuid_entry2 *e = entry(a->cpuid, TSC_LEAF);
	struct kvm_cpuid_entry2 *last = entry(a->cpuid, 0);

	if (!e && a->cpuid->nent < KVM_CPUID_MAX)
		e = &a->cpuid->entries[a->cpuid->nent++];
	if (!e || !last)
		return;
	*e = (struct kvm_cpuid_entry2){ .function = TSC_LEAF };
	if (khz <= 0)
		return;
	if (last->eax < TSC_LEAF)
		last->eax = TSC_LEAF;
	e->eax = 1;
	e->ebx = 2;
	e->ecx = (uint32_t)khz * (1000 / 2);
}

int kvm_cpuid_set(struct accel *a, struct accel_vcpu *v)
{
	add_core_level(a->cpuid);
	add_tsc_frequency(a, v);
	for (unsigned int i = 0; i < a->cpuid->nent; i++)
		set_own_leaf(a, v->index, &a->cpuid->entries[i]);
	return ioctl(v->fd, KVM_SET_CPUID2, a->cpuid) < 0 ? -errno : 0;
}
