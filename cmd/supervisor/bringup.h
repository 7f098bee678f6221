/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the supervisor does before it hears anybody, a function per stage, in this order. Each returns 0, or a
 * negative errno with *ret_error; what was opened by then is closed by the process's end, and what was
 * started is for parts_kill.
 */
#ifndef BULKHEAD_SUPERVISOR_BRINGUP_H
#define BULKHEAD_SUPERVISOR_BRINGUP_H

#include "cmd/supervisor/group.h"
#include "cmd/supervisor/open.h"
#include "cmd/supervisor/vm.h"

/* What one stage leaves to the next. */
struct bringup {
	struct vm_config *config; /* the VM's */
	struct jail_ids ids;
	struct cgroup group;
	struct guarantee_report report;
	struct opened o;
	struct jail_host host;
};

/* User ids and a control group; the caller is a child of its keeper from here on. */
[[nodiscard]] int bringup_host(struct bringup *b, struct vm *vm, struct open_error *ret_error);
/* All that has a path or a name. */
[[nodiscard]] int bringup_open(struct bringup *b, struct vm *vm, struct open_error *ret_error);
/* passts.c: programs that are its network, born in their control group. As bringup_open, of which it is the end. */
[[nodiscard]] int bringup_passts(struct bringup *b, const struct vm *vm,
				 struct open_error *ret_error);
/* tpm.c: the program that is its TPM, likewise. */
[[nodiscard]] int bringup_tpm(struct bringup *b, const struct vm *vm, struct open_error *ret_error);
/* The VM's processes, its launcher among them; and leaves what only starting them needs. */
[[nodiscard]] int bringup_start(struct bringup *b, struct vm *vm, struct open_error *ret_error);
/* The supervisor's own filter; and the launcher has its own. */
[[nodiscard]] int bringup_confine(struct vm *vm, struct open_error *ret_error);

#endif
