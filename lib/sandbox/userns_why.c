/* SPDX-License-Identifier: Apache-2.0 */
/* Why a host refuses a user namespace; see userns_why.h. */
#include "lib/sandbox/userns_why.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what there is to see ---- */

static long sysctl(const char *path)
{
	char text[32];

	return cgroup_text(AT_FDCWD, path, text, sizeof(text)) < 0 ? -1 : strtol(text, NULL, 10);
}

/* The line of seccomp in a process's status: "Seccomp:\t2". */
static bool is_filtered(void)
{
	static const char name[] = "\nSeccomp:\t";
	char text[4096];
	const char *at;

	if (cgroup_text(AT_FDCWD, "/proc/self/status", text, sizeof(text)) < 0)
		return false;
	at = strstr(text, name);
	return at && at[sizeof(name) - 1] != '0';
}

/* Whether something is mounted at "/": its line's fifth word. A chroot into a mere directory has none. */
static bool root_is_a_mount(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], at[3];
	bool found = !f; /* nothing to tell by */

	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %*s %*s %*s %2s", at) == 1 && strcmp(at, "/") == 0;
	if (f)
		fclose(f);
	return found;
}

static int look_at_root(struct statx *ret)
{
	return statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, ret);
}

enum { ROOT_SAME, ROOT_OTHER, ROOT_UNKNOWN };

/* Who enters its own mount namespace once more is at that one's root; root may. */
static int compare_roots(void)
{
	_cleanup_(closep) int ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	struct statx here, there;

	if (ns < 0 || look_at_root(&here) < 0 || setns(ns, CLONE_NEWNS) < 0 ||
	    look_at_root(&there) < 0)
		return ROOT_UNKNOWN;
	return here.stx_mnt_id == there.stx_mnt_id && here.stx_ino == there.stx_ino ? ROOT_SAME :
										      ROOT_OTHER;
}

static bool is_chrooted(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(compare_roots());
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) == ROOT_UNKNOWN)
		return !root_is_a_mount();
	return WEXITSTATUS(status) == ROOT_OTHER;
}

void userns_look(struct userns_facts *ret)
{
	*ret = (struct userns_facts){
		.root = geteuid() == 0,
		.chrooted = is_chrooted(),
		.filtered = is_filtered(),
		.unprivileged = (int)sysctl("/proc/sys/kernel/unprivileged_userns_clone"),
		.apparmor_restricts =
			(int)sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
		.most = sysctl("/proc/sys/user/max_user_namespaces"),
	};
}

/* ---- what follows from it ---- */

static const char *of_number(const struct userns_facts *f)
{
	if (f->most == 0)
		return "the sysctl user.max_user_namespaces is 0 here: set it to 1000, say";
	return "there are as many as the sysctl user.max_user_namespaces allows, here or around this "
	       "container: raise it";
}

/* The certain ones first. */
static const char *of_right(const struct userns_facts *f)
{
	if (f->chrooted)
		return "this is a chroot, in which the kernel makes none: enter the directory by "
		       "pivot_root instead (bwrap, systemd-nspawn, or `unshare --mount`, then pivot_root)";
	if (!f->root && f->unprivileged == 0)
		return "the sysctl kernel.unprivileged_userns_clone is 0: set it to 1, or start as root";
	if (!f->root && f->apparmor_restricts > 0)
		return "AppArmor keeps them from ordinary users: set the sysctl "
		       "kernel.apparmor_restrict_unprivileged_userns to 0, or give bulkhead a profile "
		       "with `userns`";
	if (f->filtered)
		return "a seccomp profile is in force, as in a container: start that with "
		       "--security-opt seccomp=unconfined (docker, podman), or a profile that allows "
		       "clone, clone3, unshare and setns";
	return "a chroot (enter it by pivot_root instead), a container or the host's security module "
	       "forbids it: allow user namespaces there";
}

const char *userns_reason(const struct userns_facts *f, int error)
{
	switch (error) {
	case -ENOSPC:
	case -EUSERS:
		return of_number(f);
	case -EPERM:
	case -EACCES:
	case -ENOSYS: /* what some profiles say of clone3 */
		return of_right(f);
	case -EINVAL:
		return "this kernel was built without them (CONFIG_USER_NS)";
	default:
		return "";
	}
}

const char *userns_why(int error)
{
	struct userns_facts f;

	userns_look(&f);
	return userns_reason(&f, error);
}
