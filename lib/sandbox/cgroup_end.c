/* SPDX-License-Identifier: Apache-2.0 */
/* How control groups end: removed, or swept by others, and what of memory they ran out of; see cgroup.h. */
#include "lib/sandbox/cgroup.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/cgroup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int remove_dir(int at, const char *name)
{
	return unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_vm(int all, int vm, const char *name)
{
	int r = remove_dir(vm, "guest");

	if (r == 0)
		r = remove_dir(vm, "network");
	if (r == 0)
		r = remove_dir(vm, "supervisor");
	return r < 0 ? r : remove_dir(all, name);
}

int cgroup_remove(const struct cgroup *g)
{
	int r = g->vm < 0 ? 0 : remove_vm(g->all, g->vm, g->name);

	if (r == 0)
		(void)!remove_dir(g->place, CGROUP_ALL);
	return r;
}

static bool keeper_is_gone(const char *name)
{
	const char *dot = strrchr(name, '.');
	long pid = dot ? strtol(dot + 1, NULL, 10) : 0;

	return pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

void cgroup_sweep(const struct cgroup *g)
{
	int fd = cgroup_open_dir(g->all, ".");
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_(closep) int vm = -1;

		if (e->d_type != DT_DIR || !keeper_is_gone(e->d_name))
			continue;
		vm = cgroup_open_dir(g->all, e->d_name);
		if (vm >= 0)
			(void)!remove_vm(g->all, vm, e->d_name);
	}
	if (d)
		closedir(d);
	else
		closep(&fd);
}

void cgroup_close(struct cgroup *g)
{
	closep(&g->place);
	closep(&g->all);
	closep(&g->vm);
	closep(&g->supervisor);
	closep(&g->guest);
	closep(&g->network);
	closep(&g->kill);
	closep(&g->kill_network);
	closep(&g->events);
}

static unsigned long count_of(const char *events, const char *name)
{
	const char *at = strstr(events, name);

	return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

/* "oom_kill" counts whoever killed, "oom" only what reached the group's own limit. */
enum cgroup_want cgroup_ran_out(int events)
{
	char text[512];
	ssize_t n = read(events, text, sizeof(text) - 1);

	if (n <= 0)
		return CGROUP_WANT_UNKNOWN;
	text[n] = '\0';
	if (count_of(text, "oom_kill ") == 0)
		return CGROUP_WANT_NONE;
	return count_of(text, "oom ") > 0 ? CGROUP_WANT_LIMIT : CGROUP_WANT_HOST;
}
