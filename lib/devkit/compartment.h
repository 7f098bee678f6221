/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the mains of all device compartments share: the descriptor table, the control channel in
 * the loop, the sandbox, and how it ends. Unlike other libraries, devkit logs: it is the mains'
 * common half.
 *
 *	static int run(...)
 *	{
 *		r = args_parse(...);                  1 words only
 *		r = compartment_open(&c, &declared, &what);   2 descriptors, loop, log
 *		r = prepare(...);                     3 no hostile byte
 *		r = compartment_enter(&c, &policy, &what);    4 no way back
 *		return compartment_serve(&c);         5 hostile from here
 *	}
 */
#ifndef BULKHEAD_DEVKIT_COMPARTMENT_H
#define BULKHEAD_DEVKIT_COMPARTMENT_H

#include "lib/base/fd.h"
#include "lib/base/loop.h"
#include "lib/control/control.h"
#include "lib/declared/declared.h"
#include "lib/sandbox/sandbox.h"

#include <stddef.h>

struct compartment;

/* A message of the supervisor; fd is the callback's to close, or -1. A negative return ends the
 * process; a type that is not for this compartment is -EPROTO. */
typedef int (*compartment_fn)(struct compartment *c, const struct control_msg *m, int fd);

struct compartment {
	const char *name;
	int control_fd;
	struct loop loop;
	struct loop_source control;
	compartment_fn message; /* NULL: the supervisor has nothing to say */
	/* The supervisor wants it to end, or is gone: to end the loop, with 0, once what it has begun
	 * is done. NULL: it ends at once. */
	void (*finish)(struct compartment *c);
	void *owner;	 /* for message and finish */
	const char *why; /* what ended the loop with an error, for the last line; or NULL */
};

/*
 * Adopts the declared descriptors (which must have FD_CONTROL, as FD_SOCKET), sends the log to the control
 * channel and opens the loop with that channel in it: when the supervisor is gone, the loop ends
 * with 0. message, finish and owner may be set afterwards. 0, or a negative errno with *ret_what the row or
 * step that failed.
 */
[[nodiscard]] int compartment_open(struct compartment *c, const struct declared_process *declared,
				   const char **ret_what);
/* Enters the sandbox, then says CTL_READY. As sandbox_enter. */
[[nodiscard]] int compartment_enter(struct compartment *c, const struct sandbox_policy *policy,
				    const char **ret_what);
/* The same in two steps, for what is to be done between them: in the sandbox, and before it is ready. */
[[nodiscard]] int compartment_confine(struct compartment *c, const struct sandbox_policy *policy,
				      const char **ret_what);
[[nodiscard]] int compartment_ready(const struct compartment *c, const char **ret_what);
/* Tells the supervisor that somebody waits for n requests of this device, as a vu_device's busy. */
void compartment_busy(void *compartment, unsigned int n);
/* Runs the loop to its end and returns the exit status: 0, or 1 after one line with the reason. */
[[nodiscard]] int compartment_serve(struct compartment *c);
/* Says CTL_FAILED with "NAME: what: reason" and returns 1, for main to return. Needs no open. */
int compartment_fail(const char *name, const char *what, int error);

#endif
