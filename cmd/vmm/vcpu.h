/* SPDX-License-Identifier: Apache-2.0 */
/* vCPU threads: run, hand exits to the buses, park. */
#ifndef BULKHEAD_VMM_VCPU_H
#define BULKHEAD_VMM_VCPU_H

#include "cmd/vmm/machine.h"
#include "lib/sandbox/sandbox.h"

struct vcpu {
	struct machine *m;
	unsigned int index;
	struct accel_vcpu *accel;
	pthread_t thread;
	unsigned int generation; /* of the last reset */
	const struct sandbox_filter *filter;
};

/* Makes the vCPUs and their threads, each confined by policy and parked. Before the sandbox; the
 * lock is not held. */
[[nodiscard]] int vcpus_start(struct machine *m, const struct sandbox_policy *policy);
/* struct accel_io.access; ctx is the machine. */
void vcpu_access(void *machine, const struct accel_exit *e);
/* Stops all vCPUs at an exit boundary and waits for it. Lock held. */
void vcpus_pause(struct machine *m);
/* Lets them run; reset: from m->boot or the reset vector, as at power-on. Lock held. */
void vcpus_resume(struct machine *m, bool reset);

#endif
