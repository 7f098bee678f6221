/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lib/swtpm share. */
#ifndef BULKHEAD_SWTPM_INTERNAL_H
#define BULKHEAD_SWTPM_INTERNAL_H

#include "lib/swtpm/swtpm.h"

/* The child's descriptors; the program is above all that it may have itself. */
enum {
	SWTPM_FD_COMMANDS = 3,
	SWTPM_FD_CONTROL,
	SWTPM_FD_KEY,
	SWTPM_FD_LOCK, /* the directory, which no other VM has meanwhile */
	SWTPM_FDS,
	SWTPM_FD_PROGRAM = 40,
};
#define SWTPM_NOFILE 32

#define SWTPM_STATE "/state" /* in its root */

/* directory.c: the line, and the error. */
__attribute__((format(printf, 3, 4))) int swtpm_complain(char why[SWTPM_WHY_MAX], int error,
							 const char *fmt, ...);
/* The same: makes the directory if there is none, checks whose it is and what is in it, locks it, labels it, and gives it to who
 * has it. Its descriptor, or a negative errno with a line. */
[[nodiscard]] int directory_open(const char *dir, const struct selinux_vm *labels,
				 char why[SWTPM_WHY_MAX]);
/* root.c: the root of the calling process, which has CAP_SYS_ADMIN in its mount namespace, becomes one with /usr and
 * SWTPM_STATE, which dir is, as lock is its descriptor. */
[[nodiscard]] int root_make(const char *dir, int lock);

#endif
