/* SPDX-License-Identifier: Apache-2.0 */
/* The paravirtual clock; see kvmclock.h. */
#include "cmd/vmm/accel/soft/kvmclock.h"

#include "cmd/vmm/accel/soft/soft_mem.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#include <assert.h>

#define MSR_WALL_CLOCK 0x4b564d00U
#define MSR_SYSTEM_TIME 0x4b564d01U
#define SYSTEM_TIME_ENABLE 1ULL

#define FEATURE_NO_IO_DELAY (1U << 1)
#define FEATURE_CLOCK (1U << 3)
#define FEATURE_CLOCK_STABLE (1U << 24)

#define FLAG_TSC_STABLE (1U << 0)

/* version is odd while the rest changes. */
struct wall_clock {
	uint32_t version;
	uint32_t sec, nsec; /* since 1970, when the machine began */
};

/* time = system_time + ((tsc - tsc_timestamp) << tsc_shift) * tsc_to_system_mul / 2^32 */
struct system_time {
	uint32_t version;
	uint32_t pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time; /* ns since the machine began */
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t pad[2];
};

static_assert(sizeof(struct wall_clock) == 12 && sizeof(struct system_time) == 32, "the ABI");
static_assert(SOFT_TSC_HZ == 1000000000ULL, "what is published is 2 * 2^31 / 2^32: a tick is 1 ns");

struct soft_cpuid soft_kvmclock_cpuid(uint32_t leaf)
{
	if (leaf == KVMCLOCK_LEAF) /* "KVMKVMKVM" */
		return (struct soft_cpuid){ KVMCLOCK_LEAF_MAX, 0x4b4d564b, 0x564b4d56, 0x4d };
	return (struct soft_cpuid){ .eax = FEATURE_NO_IO_DELAY | FEATURE_CLOCK |
					   FEATURE_CLOCK_STABLE };
}

bool soft_kvmclock_is_msr(uint32_t msr)
{
	return msr == MSR_WALL_CLOCK || msr == MSR_SYSTEM_TIME;
}

uint64_t soft_kvmclock_rdmsr(const struct soft_cpu *c, uint32_t msr)
{
	return msr == MSR_WALL_CLOCK ? c->kvm_wall_clock : c->kvm_system_time;
}

/* Odd version, contents, even version: in this order for readers on other CPUs. */
static void publish(struct soft_cpu *c, uint64_t gpa, void *data, size_t len)
{
	uint32_t even = atomic_fetch_add(&c->vm->clock_version, 2) + 2, odd = even - 1;

	if (!soft_phys_is_ram(c->vm, gpa, len))
		return;
	memcpy(data, &odd, sizeof(odd));
	(void)!soft_phys_write(c->vm, gpa, &odd, sizeof(odd));
	(void)!soft_phys_write(c->vm, gpa, data, len);
	(void)!soft_phys_write(c->vm, gpa, &even, sizeof(even));
}

static void publish_wall_clock(struct soft_cpu *c)
{
	struct wall_clock w = { 0 };
	struct timespec day;
	uint64_t ns;

	clock_gettime(CLOCK_REALTIME, &day);
	ns = (uint64_t)day.tv_sec * SOFT_TSC_HZ + (uint64_t)day.tv_nsec -
	     (soft_now() - c->vm->clock_start);
	w.sec = (uint32_t)(ns / SOFT_TSC_HZ);
	w.nsec = (uint32_t)(ns % SOFT_TSC_HZ);
	publish(c, c->kvm_wall_clock, &w, sizeof(w));
}

void soft_kvmclock_update(struct soft_cpu *c)
{
	uint64_t now = soft_now();
	struct system_time s = {
		.tsc_timestamp = now + c->tsc_offset,
		.system_time = now - c->vm->clock_start,
		.tsc_to_system_mul = 1U << 31,
		.tsc_shift = 1,
		.flags = FLAG_TSC_STABLE,
	};

	if (c->kvm_system_time & SYSTEM_TIME_ENABLE)
		publish(c, c->kvm_system_time & ~SYSTEM_TIME_ENABLE, &s, sizeof(s));
}

void soft_kvmclock_wrmsr(struct soft_cpu *c, uint32_t msr, uint64_t v)
{
	if (msr == MSR_WALL_CLOCK) {
		c->kvm_wall_clock = v;
		publish_wall_clock(c);
	} else {
		c->kvm_system_time = v;
		soft_kvmclock_update(c);
	}
}
