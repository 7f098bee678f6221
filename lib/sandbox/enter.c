/* SPDX-License-Identifier: Apache-2.0 */
/* The last step into the sandbox; see sandbox.h. */
#include "lib/base/cleanup.h"
#include "lib/sandbox/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* -ENOTEMPTY when the directory holds anything but itself and its parent. */
static int check_empty(const char *path)
{
	_Alignas(struct dirent64) char buf[1024];
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = getdents64(fd, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *d = (const void *)(buf + at);

			if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
				return -ENOTEMPTY;
			at += d->d_reclen;
		}
	return n < 0 ? -errno : 0;
}

static int check_jail(const char **ret_what)
{
	int r;

	*ret_what = "a process namespace of its own";
	if (getpid() != 1)
		return -EPERM;
	*ret_what = "no capabilities";
	if (!caps_are_empty())
		return -EPERM;
	*ret_what = "no_new_privs";
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return -EPERM;
	*ret_what = "an empty root";
	r = check_empty("/");
	return r < 0 ? r : check_empty(".");
}

static int limit(__rlimit_resource_t what, uint64_t value)
{
	const struct rlimit rl = { value, value };

	if (value == SB_UNSET)
		return 0;
	return setrlimit(what, &rl) < 0 ? -errno : 0;
}

int limits_set(const struct sandbox_limits *l)
{
	int r = limit(RLIMIT_CORE, 0);

	if (r == 0)
		r = limit(RLIMIT_NOFILE, l->nofile);
	if (r == 0)
		r = limit(RLIMIT_NPROC, l->nproc);
	if (r == 0)
		r = limit(RLIMIT_AS, l->as);
	if (r == 0)
		r = limit(RLIMIT_FSIZE, l->fsize);
	if (r == 0)
		r = limit(RLIMIT_MEMLOCK, l->memlock);
	return r;
}

static int close_process(const struct sandbox_policy *p, const char **ret_what)
{
	*ret_what = "a process that cannot be traced";
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	*ret_what = "death with the supervisor";
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	*ret_what = "resource limits";
	return limits_set(&p->limits);
}

static int enter(const struct sandbox_policy *p, int control_fd, const char **ret_what)
{
	struct sandbox_filter filter;
	int r = check_jail(ret_what);

	if (r < 0)
		return r;
	heap_settle();
	*ret_what = "the filter";
	r = sandbox_make_filter(p, control_fd, &filter);
	if (r < 0)
		return r;
	r = close_process(p, ret_what);
	if (r < 0)
		return r;
	*ret_what = "the trap handler";
	r = sandbox_trap_install(control_fd);
	if (r < 0)
		return r;
	*ret_what = "Landlock";
	r = landlock_enter(LANDLOCK_ALL);
	if (r < 0)
		return r;
	*ret_what = "the filter";
	return sandbox_narrow_thread(&filter);
}

int sandbox_enter(const struct sandbox_policy *p, int control_fd, const char **ret_what)
{
	const char *what = NULL;
	int r;

	if (control_fd < 0)
		return -EBADF;
	r = enter(p, control_fd, &what);
	if (r < 0 && ret_what)
		*ret_what = what;
	return r;
}

static unsigned int landlock_of(const struct sandbox_policy *p)
{
	if (p->inherited)
		return LANDLOCK_PORTS;
	if (p->connects)
		return LANDLOCK_ALL & ~LANDLOCK_PORTS;
	return p->has_children ? LANDLOCK_ALL & ~LANDLOCK_SCOPES : LANDLOCK_ALL;
}

static int confine_self(const struct sandbox_policy *p, const char **ret_what)
{
	struct sandbox_filter filter;
	int r;

	heap_settle();
	*ret_what = "the filter";
	r = sandbox_make_filter(p, -1, &filter);
	if (r < 0)
		return r;
	*ret_what = "no capabilities";
	r = caps_keep_only(p->capabilities);
	if (r < 0)
		return r;
	*ret_what = "no_new_privs";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	*ret_what = "a process that cannot be traced";
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	*ret_what = "resource limits";
	r = limits_set(&p->limits);
	if (r < 0)
		return r;
	*ret_what = "Landlock";
	r = landlock_enter_but(landlock_of(p), &p->beneath);
	if (r < 0)
		return r;
	*ret_what = "the filter";
	return sandbox_narrow_thread(&filter);
}

int sandbox_confine_self(const struct sandbox_policy *p, const char **ret_what)
{
	const char *what = NULL;
	int r = confine_self(p, &what);

	if (r < 0 && ret_what)
		*ret_what = what;
	return r;
}
