/* SPDX-License-Identifier: Apache-2.0 */
/* What the host gives to the VM, and the VM's control group with its keeper. */
#ifndef BULKHEAD_SUPERVISOR_GROUP_H
#define BULKHEAD_SUPERVISOR_GROUP_H

#include "cmd/supervisor/open.h"
#include "cmd/supervisor/vm.h"
#include "lib/sandbox/cgroup.h"
#include "lib/sandbox/guarantee.h"

/*
 * Looks what the host gives, and refuses what it cannot give. Makes the VM's group when there can be
 * one and goes on as a child of the caller in it, with *ret; the caller becomes the keeper, and does
 * not return: it closes whatever else was opened. Without a group, *ret is CGROUP_NONE. why_no_ids is
 * guarantees_look's, and must last. 0 or a negative errno with *ret_error.
 */
[[nodiscard]] int group_enter(struct vm *vm, const char *why_no_ids, struct cgroup *ret,
			      struct guarantee_report *ret_report, struct open_error *ret_error);
/* Once /dev/kvm is open: notes what KVM lacks (NULL: nothing). -ENOTSUP with *ret_error when --strict refuses
 * that; group_enter has refused the rest. */
[[nodiscard]] int group_refuse_kvm(const struct vm_config *c, const char *lacks,
				   struct guarantee_report *report, struct open_error *ret_error);
/* Says what the host does not give. */
void group_tell(const struct vm *vm, const struct guarantee_report *report);

/* limits.c: what the configuration says and leaves to us. As group_enter. */
[[nodiscard]] int limits_plan(const struct vm_config *c, struct cgroup_limits *ret,
			      struct open_error *ret_error);
/* What is said of the devices' files, which are open. As group_enter. */
[[nodiscard]] int limits_set_io(const struct vm_config *c, const struct opened *o,
				const struct cgroup *g, struct open_error *ret_error);

/*
 * keeper.c: waits for the supervisor, its child, then ends and reaps whatever is left of the VM and
 * removes its group. Returns the supervisor's exit status; KEEPER_STATUS_SIGNAL and the signal when one
 * ended it; 5 when that cannot be known.
 */
[[nodiscard]] int keeper_run(struct cgroup *g, pid_t supervisor);

#endif
