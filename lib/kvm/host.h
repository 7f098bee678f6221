/* SPDX-License-Identifier: Apache-2.0 */
/* What the vmm needs of the host's /dev/kvm. */
#ifndef BULKHEAD_KVM_HOST_H
#define BULKHEAD_KVM_HOST_H

/*
 * Whether kvm_fd is Linux's KVM with everything without which the vmm does not start. 0, or -ENODEV
 * with *ret_why one line that begins with "/dev/kvm".
 */
[[nodiscard]] int kvm_host_check(int kvm_fd, const char **ret_why);
/* What keeps a guest, and a vmm that was taken over, to the machine's part of KVM (Linux 5.10 has it):
 * NULL, or in a few words what of it kvm_fd lacks. */
const char *kvm_host_lacks(int kvm_fd);
/* What keeps a guest that has Hyper-V's interface to what it is offered of that (Linux 5.14): as above. */
const char *kvm_host_lacks_hyperv(int kvm_fd);

#endif
