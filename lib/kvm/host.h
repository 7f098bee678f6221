/* SPDX-License-Identifier: Apache-2.0 */
/* What the vmm needs of the host's /dev/kvm. */
#ifndef BULKHEAD_KVM_HOST_H
#define BULKHEAD_KVM_HOST_H

/*
 * Whether kvm_fd is Linux's KVM with everything without which the vmm does not start. 0, or -ENODEV
 * with *ret_why one line that begins with "/dev/kvm".
 */
[[nodiscard]] int kvm_host_check(int kvm_fd, const char **ret_why);

#endif
