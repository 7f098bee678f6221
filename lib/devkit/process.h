/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the mains of all device processes share: the descriptor table, the control channel in
 * the loop, the sandbox, and how it ends. Unlike other libraries, devkit logs: it is the mains'
 * common half.
 *
 *	static int run(...)
 *	{
 *		r = args_parse(...);                  1 words only
 *		r = process_open(&c, &declared, &what);   2 descriptors, loop, log
 *		r = prepare(...);                     3 no hostile byte
 *		r = process_enter(&c, &policy, &what);    4 no way back
 *		return process_serve(&c);         5 hostile from here
 *	}
 */
#ifndef BULKHEAD_DEVKIT_PROCESS_H
#define BULKHEAD_DEVKIT_PROCESS_H

#include "lib/base/fd.h"
#include "lib/base/loop.h"
#include "lib/control/control.h"
#include "lib/declared/declared.h"
#include "lib/sandbox/sandbox.h"

#include <stddef.h>

struct process;

/* A message of the supervisor; fd is the callback's to close, or -1. A negative return ends the
 * process; a type that is not for this process is -EPROTO. */
typedef int (*process_fn)(struct process *c, const struct control_msg *m, int fd);

struct process {
	const char *name;
	int control_fd;
	struct loop loop;
	struct loop_source control;
	process_fn message; /* NULL: the supervisor has nothing to say */
	/* The supervisor wants it to end, or is gone: to end the loop, with 0, once what it has begun
	 * is done. NULL: it ends at once. */
	void (*finish)(struct process *c);
	void *owner;	 /* for message and finish */
	const char *why; /* what ended the loop with an error, for the last line; or NULL or "" */
};

/*
 * Adopts the declared descriptors (which must have FD_CONTROL, as FD_SOCKET), sends the log to the control
 * channel and opens the loop with that channel in it: when the supervisor is gone, the loop ends
 * with 0. message, finish and owner may be set afterwards. 0, or a negative errno with *ret_what the row or
 * step that failed.
 */
[[nodiscard]] int process_open(struct process *c, const struct declared_process *declared,
			       const char **ret_what);
/* Enters the sandbox, then says CTL_READY. As sandbox_enter. */
[[nodiscard]] int process_enter(struct process *c, const struct sandbox_policy *policy,
				const char **ret_what);
/* The same in two steps, for what is to be done between them: in the sandbox, and before it is ready. */
[[nodiscard]] int process_confine(struct process *c, const struct sandbox_policy *policy,
				  const char **ret_what);
[[nodiscard]] int process_ready(const struct process *c, const char **ret_what);
/* Tells the supervisor that somebody waits for n requests of this device, as a vu_device's busy. */
void process_busy(void *process, unsigned int n);
/* Runs the loop to its end and returns the exit status: 0, or 1 after one line with the reason. */
[[nodiscard]] int process_serve(struct process *c);
/* Says CTL_FAILED with "NAME: what: reason" and returns 1, for main to return. Needs no open. */
int process_fail(const char *name, const char *what, int error);

#endif
