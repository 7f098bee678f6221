/* SPDX-License-Identifier: Apache-2.0 */
/* The names of calls, from libseccomp, for processes that serve no guest; see sandbox.h. */
#include "lib/sandbox/sandbox.h"

#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>

void sandbox_call_name(int nr, char *out, size_t cap)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);

	snprintf(out, cap, "%s", name ? name : "unknown");
	free(name);
}
