/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An swtpm, the TPM of a VM: the program of Debian's package of that name, as it is. It parses what a guest says and has
 * the TPM's keys, so it has nothing else: namespaces of its own without a network, a root with the host's /usr read-only
 * and its state's directory alone, no capabilities, a Landlock domain, a filter of ours, limits, and as root an id that only
 * swtpms have. It is born in the VM's control group for such programs, where there is one. Nobody starts a second one: with it the
 * TPM's registers go, and what was measured into them.
 *
 * Of its two channels the one for commands goes to dev-tpm. By the other it is started anew, once for each of the
 * guest's resets; what could be asked for there (its state, with the keys) is encrypted by a key that nobody keeps.
 */
#ifndef BULKHEAD_SWTPM_SWTPM_H
#define BULKHEAD_SWTPM_SWTPM_H

#include "lib/base/units.h"
#include "lib/sandbox/sandbox.h"
#include "lib/sandbox/selinux.h"

#define SWTPM_MEMORY MIB(64)
#define SWTPM_TASKS 2U /* the one that starts it ends, and a zombie counts */
#define SWTPM_WHY_MAX 256

/* Where it is born. */
struct swtpm_birth {
	int group;			 /* of processes, a directory; or -1 */
	int proc_fd;			 /* /proc, for its label */
	const struct selinux_vm *labels; /* its VM's: it and its state get one, if they are on */
};

struct swtpm_channels {
	int commands, control;
};

/* Where its program is, or NULL: it is not installed. */
const char *swtpm_program(void);
/* The line for that. */
extern const char swtpm_missing[];

/* Starts one on the directory, which is made if there is none, and waits until it answers. 0, or a negative errno with a line. */
[[nodiscard]] int swtpm_open(const char *dir, const struct swtpm_birth *birth,
			     struct swtpm_channels *ret, char why[SWTPM_WHY_MAX]);

extern const struct sandbox_policy swtpm_policy;

#endif
