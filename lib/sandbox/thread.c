/* SPDX-License-Identifier: Apache-2.0 */
/* Threads and the heap: what is made before there are threads; see sandbox.h. */
#include "lib/base/cleanup.h"
#include "lib/sandbox/internal.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sys/mman.h>
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

static int read_filter(int fd, struct sandbox_thread *ret)
{
	ssize_t n = pread(fd, ret->code, sizeof(ret->code), 0);

	if (n < 0)
		return -errno;
	if (n == 0 || n == sizeof(ret->code) || (size_t)n % sizeof(ret->code[0]))
		return -E2BIG;
	ret->len = (unsigned short)((size_t)n / sizeof(ret->code[0]));
	return 0;
}

int sandbox_prepare_thread(const struct sandbox_policy *p, struct sandbox_thread *ret)
{
	_cleanup_(closep) int fd = -1;
	int r;

	if (trap_control_fd() < 0)
		return -EINVAL;
	fd = memfd_create("filter", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = sandbox_export(p, trap_control_fd(), fd);
	return r < 0 ? r : read_filter(fd, ret);
}

int sandbox_narrow_thread(const struct sandbox_thread *t)
{
	const struct sock_fprog prog = { t->len, (struct sock_filter *)t->code };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0 ? -errno : 0;
}

int sandbox_enter_thread(const struct sandbox_thread *t)
{
	int r = landlock_enter(LANDLOCK_ALL);

	return r < 0 ? r : sandbox_narrow_thread(t);
}
