/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard of one passt: its parent, the init of a namespace of process ids that has these two alone. A passt that does not
 * end when its stream does, or that computes without end, is not there any longer than this process, which the kernel sees to;
 * and this process has nothing to hear and nothing to read.
 */
#ifndef BULKHEAD_PASST_GUARD_H
#define BULKHEAD_PASST_GUARD_H

#include "lib/sandbox/selinux.h"

#include <stdbool.h>

struct guard {
	int stream;  /* passt's end */
	int ready;   /* where one byte says that passt serves, and is guarded */
	int proc_fd; /* /proc, for its label */
	const struct selinux_vm *labels;
	void (*become)(const void *owner); /* passt, in a child; it does not return */
	const void *owner;
};

/* From root to nobody; anybody else stays who they are. */
bool guard_drop_root(void);
/* The first process of a namespace of process ids (pidns.h) becomes it. */
void guard_run(const struct guard *g) __attribute__((noreturn));

#endif
