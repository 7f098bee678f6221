/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measurement of speed.h in a child process, which ends the measured VM: the kernel takes some
 * ten milliseconds for that, which nobody needs to wait for. It also keeps what KVM makes beside a
 * VM, on some kernels a thread, out of a caller that must have only one.
 *
 * The child is a copy of the caller without a byte of anybody else's in it; it leaves by _exit.
 */
#ifndef BULKHEAD_KVM_PROBE_H
#define BULKHEAD_KVM_PROBE_H

#include "lib/kvm/speed.h"

#include <sys/types.h>

struct kvm_probe {
	pid_t pid; /* of the child, until it is reaped; 0: none */
};

#define KVM_PROBE_NONE ((struct kvm_probe){ .pid = 0 })
#define KVM_PROBE_WHAT_MAX 80

/*
 * Measures. 0 with *ret, or a negative errno with the step in ret_what; -ETIMEDOUT when there is no
 * answer in a second. Whatever it returns, *p is for kvm_probe_end.
 */
[[nodiscard]] int kvm_probe_run(struct kvm_probe *p, int kvm_fd, struct kvm_speed *ret,
				char ret_what[KVM_PROBE_WHAT_MAX]);
/* Waits until the child and its VM are gone. Harmless on KVM_PROBE_NONE. */
void kvm_probe_end(struct kvm_probe *p);

#endif
