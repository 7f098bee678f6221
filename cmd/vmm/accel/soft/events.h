/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irqfd and ioeventfd without KVM. Interrupt eventfds are polled by the main thread's loop, which
 * delivers their MSIs; a guest's write to a bound address is found in a small table and signals
 * the eventfd without the machine's lock.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_EVENTS_H
#define BULKHEAD_VMM_ACCEL_SOFT_EVENTS_H

#include "cmd/vmm/accel/soft/soft.h"

[[nodiscard]] int soft_events_open(struct accel *vm);
/* Binding and unbinding: with the machine's lock held, from any thread; none of them may touch the
 * loop but the main one, which is asked to. */
[[nodiscard]] int soft_irqfd_bind(struct accel *vm, unsigned int slot, int eventfd,
				  const struct msi *msi);
[[nodiscard]] int soft_irqfd_unbind(struct accel *vm, unsigned int slot, int eventfd);
void soft_irqfd_settle(struct accel *vm);
[[nodiscard]] int soft_ioeventfd_bind(struct accel *vm, uint64_t gpa, int eventfd);
[[nodiscard]] int soft_ioeventfd_unbind(struct accel *vm, uint64_t gpa, int eventfd);
/* true: gpa is bound and its eventfd was signalled. The CPU's own thread. */
bool soft_ioeventfd_signal(struct soft_cpu *c, uint64_t gpa);

#endif
