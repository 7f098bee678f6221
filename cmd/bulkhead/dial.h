/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the dialer of a disk that is attached, and is a server's. */
#ifndef BULKHEAD_CMD_BULKHEAD_DIAL_H
#define BULKHEAD_CMD_BULKHEAD_DIAL_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Once it is confined: the storage process's end of a channel to it; it ends when nobody has that any more. It is born in
 * the control group of the VM's supervisor, as the dialer of a VM's start is; where its user may put no process there it
 * is started outside of it, after a warning. word: the device's, for messages. A negative errno with why.
 */
[[nodiscard]] int dial_start(pid_t supervisor, const char *word, const char *address, char *why,
			     size_t cap);

#endif
