/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does /dev/kvm run a guest's ring 0 on the processor, or emulate it instruction by instruction?
 * Some hosts offer the latter: it has every interface of KVM and is a few hundred times too slow to
 * boot anything, so that only a measurement tells.
 */
#ifndef BULKHEAD_KVM_SPEED_H
#define BULKHEAD_KVM_SPEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Instructions of ring 0 a second from which on KVM counts as real: emulation makes about 2 million,
 * and a real one hundreds of millions, also where it is itself in an emulator. */
#define KVM_SPEED_REAL 10000000ULL
#define KVM_SPEED_ROUNDS 3 /* at most; the first fast one is proof */

struct kvm_run;

struct kvm_speed {
	unsigned int rounds;
	uint64_t per_second; /* of the fastest round */
};

/* Takes a round's measurement in. True when the verdict is certain and no further round is needed. */
bool kvm_speed_note(struct kvm_speed *s, uint64_t instructions, uint64_t ns);
bool kvm_speed_is_real(const struct kvm_speed *s);

struct kvm_speed_vm {
	int vm, vcpu; /* -1: none */
	uint8_t *page;
	struct kvm_run *run;
	size_t run_len;
};

#define KVM_SPEED_VM_NONE ((struct kvm_speed_vm){ .vm = -1, .vcpu = -1 })

/*
 * Runs a few thousand instructions of a guest of its own in a VM of its own. It counts the thread's
 * processor time, so that a busy machine does not look like a slow KVM, and only by how much a long
 * loop takes longer than a short one, so that costly exits do not either. Where ring 0 is emulated it
 * takes about 4 ms. 0 with *ret, or a negative errno with *ret_what naming the step that this KVM
 * cannot do; either way *vm is for kvm_speed_close, which may take the kernel longer than all else.
 */
[[nodiscard]] int kvm_speed_measure(struct kvm_speed_vm *vm, int kvm_fd, struct kvm_speed *ret,
				    const char **ret_what);
void kvm_speed_close(struct kvm_speed_vm *vm);

#endif
