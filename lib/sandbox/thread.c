/* SPDX-License-Identifier: Apache-2.0 */
/* Threads and the heap: what is made before there are threads; see sandbox.h. */
#include "lib/sandbox/internal.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <unistd.h>

/*
 * Otherwise glibc makes a heap for each thread, and another when a limit of address space refuses it
 * more of the first: each reserves 64 MiB or 128, and to know how many there may be it reads the
 * host's number of CPUs from a path.
 */
void heap_settle(void)
{
	mallopt(M_ARENA_MAX, 1);
}

int sandbox_prepare_thread(const struct sandbox_policy *p, struct sandbox_filter *ret)
{
	int control_fd = trap_control_fd();

	return control_fd < 0 ? -EINVAL : sandbox_make_filter(p, control_fd, ret);
}

int sandbox_narrow_thread(const struct sandbox_filter *f)
{
	const struct sock_fprog prog = { f->len, (struct sock_filter *)f->code };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0 ? -errno : 0;
}

int sandbox_enter_thread(const struct sandbox_filter *f)
{
	int r = landlock_enter(LANDLOCK_ALL);

	return r < 0 ? r : sandbox_narrow_thread(f);
}
