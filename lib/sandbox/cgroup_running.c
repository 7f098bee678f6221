/* SPDX-License-Identifier: Apache-2.0 */
/* The group of a VM that runs, for what is attached to it; see cgroup.h. */
#include "lib/sandbox/cgroup.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BESIDE "/supervisor"
#define GUEST "/guest"
#define NETWORK "/network"

/* The supervisor's own group, or with that name the one beside it. */
static int open_group(pid_t supervisor, const char *name)
{
	char who[16], path[PATH_MAX];
	size_t len;
	int fd, r;

	snprintf(who, sizeof(who), "%d", (int)supervisor);
	r = cgroup_path_of(who, path, sizeof(path) - strlen(name));
	if (r < 0)
		return r;
	len = strlen(path);
	if (len < sizeof(BESIDE) || strcmp(path + len - (sizeof(BESIDE) - 1), BESIDE) != 0)
		return -ENOENT;
	snprintf(path + len - (sizeof(BESIDE) - 1), sizeof(BESIDE), "%s", name);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cgroup_open_of(pid_t supervisor)
{
	return open_group(supervisor, BESIDE);
}

pid_t cgroup_fork(int group)
{
	struct clone_args args = { .flags = group < 0 ? 0 : CLONE_INTO_CGROUP,
				   .exit_signal = SIGCHLD,
				   .cgroup = group < 0 ? 0 : (uint64_t)group };

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

int cgroup_network_of(pid_t supervisor)
{
	return open_group(supervisor, NETWORK);
}

/* "max" is no limit. */
static uint64_t value_of(const char *line, const char *name)
{
	const char *at = strstr(line, name);
	unsigned long long value;

	return at && sscanf(at + strlen(name), "%llu", &value) == 1 ? value : CGROUP_UNLIMITED;
}

/* A line each, of the same limits: "8:0 rbps=1024 wbps=max riops=max wiops=max". False: there are none, or
 * there is one of this disk already. */
static bool take_limits(char *text, struct cgroup_device *d)
{
	unsigned int major, minor;
	bool found = false;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		if (sscanf(line, "%u:%u ", &major, &minor) != 2)
			continue;
		if (major == d->major && minor == d->minor)
			return false;
		found = true;
		d->rbps = value_of(line, " rbps=");
		d->wbps = value_of(line, " wbps=");
		d->riops = value_of(line, " riops=");
		d->wiops = value_of(line, " wiops=");
	}
	return found;
}

int cgroup_limit_file_of(pid_t supervisor, int fd)
{
	_cleanup_(closep) int guest = open_group(supervisor, GUEST);
	struct cgroup g = CGROUP_NONE;
	struct cgroup_device d;
	char text[4096];
	int r;

	if (guest < 0)
		return guest;
	if (cgroup_text(guest, "io.max", text, sizeof(text)) < 0 || !*text)
		return 0; /* nothing was limited: no such controller, or no such wish */
	r = cgroup_device_of(fd, &d.major, &d.minor);
	if (r < 0)
		return r;
	g.guest = guest;
	return take_limits(text, &d) ? cgroup_limit_device(&g, &d) : 0;
}
