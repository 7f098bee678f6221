/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's network for a card, by Debian's passt in a process of its own: it has the host's network with the rights of the
 * user (as root: of nobody), and of the VM one stream of frames alone. It confines itself (an empty root, namespaces, a
 * filter). It ends when its stream does: its guard (guard.h) sees to that. It is born in the VM's control group for its network, where there is one.
 */
#ifndef BULKHEAD_PASST_PASST_H
#define BULKHEAD_PASST_PASST_H

#include "lib/base/units.h"
#include "lib/kinds/kind.h"
#include "lib/sandbox/selinux.h"

/* What one may take: its tables are 72 MiB if every connection was used once, and the kernel's buffers of its
 * sockets count, which become smaller where there is no more. */
#define PASST_MEMORY MIB(128)
#define PASST_TASKS 4U /* its guard; those that start the two end, and a zombie counts */

/* Where it is born. */
struct passt_birth {
	int group;			 /* of processes, a directory; or -1 */
	int proc_fd;			 /* /proc, for the labels */
	const struct selinux_vm *labels; /* SELinux's, of its VM */
};

/* Where its program is, or NULL: it is not installed. */
const char *passt_program(void);
/* The line for that. */
extern const char passt_missing[];

/* Starts one with the arguments that the device's way has for these options, and waits until it serves. Its stream's other end, or a
 * negative errno with the reason. */
[[nodiscard]] int passt_open(const struct kind_way *way, const void *options,
			     const struct passt_birth *birth, const char **ret_why);

#endif
