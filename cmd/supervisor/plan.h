/* SPDX-License-Identifier: Apache-2.0 */
/* Between start.c, which starts processes, and plan.c, which knows what each of them is given. */
#ifndef BULKHEAD_SUPERVISOR_PLAN_H
#define BULKHEAD_SUPERVISOR_PLAN_H

#include "cmd/supervisor/open.h"
#include "cmd/supervisor/vm.h"
#include "cmd/supervisor/words.h"

/* One process to be started: descriptors that were made for it are closed afterwards. */
struct launch {
	struct part *part;
	struct jail_fd fds[JAIL_MAX_FDS];
	bool ours[JAIL_MAX_FDS];
	size_t n_fds;
	char *argv[WORDS_MAX + 1];
	char text[4096 + WORDS_MAX * 64];
	struct words words;		     /* of both */
	int channels[LAUNCHER_MAX_CHANNELS]; /* to the vmm: their numbers in the part */
	bool failed;			     /* more descriptors than fit, or none could be made */
};

struct launches {
	struct launch l[VM_MAX_PARTS]; /* the vmm first */
	size_t n;
	int next_channel; /* in the vmm */
};

/*
 * Fills vm->parts, and *ls with what each of them gets: the channel to the supervisor, descriptors and
 * words. Only noted here; what cannot be done is the launch's `failed`. The guest's RAM, and the log of what
 * devices write to it (-1: none), are the launch's to close.
 */
void plan(struct vm *vm, struct launches *ls, const struct opened *o, int ram, int log);

#endif
