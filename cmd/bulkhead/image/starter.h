/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child of the command that starts jailed processes of no VM, waits for the last of them, and ends with its status. It
 * makes their namespaces, since whoever does that can reach no path any more; the command still can.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_STARTER_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_STARTER_H

#include "lib/sandbox/jail.h"

#include <stddef.h>
#include <sys/types.h>

#define STARTER_FDS_MAX (2 * 64 + 4)
#define STARTER_WORDS_MAX 128
#define STARTER_TEXT_BYTES (72U * (4095 + 64))

/* One process that is to be started. */
struct starter_task {
	const char *program; /* the executable's name */
	/* its words behind that, as image_job_render makes them */
	const void *job;
	int (*render)(const void *job, const char **argv, char *text, size_t cap);
	struct jail_fd fds[STARTER_FDS_MAX];
	size_t n_fds;
	int exe; /* -1 before starter_start */
	struct jail_process process;
};

struct starter {
	struct starter_task *tasks;
	size_t n;
	int life; /* a pipe's end, at the other of which is the command */
	int say;  /* a channel to the command, for what fails */
};

/* from: this process's descriptor, `to` in the task's; returns `to`. */
int starter_give(struct starter_task *t, int from, int to);

/*
 * Starts it. ours: descriptors that the child has no business with. What the tasks are given, life and say are
 * closed here. Its process id, or a negative errno with *ret_what what failed; what fails later is said over `say`.
 */
[[nodiscard]] pid_t starter_start(struct starter *s, const int *ours, size_t n_ours,
				  const char **ret_what);

#endif
