/* SPDX-License-Identifier: Apache-2.0 */
/* A process's control groups; see cgroup.h. */
#include "cmd/bulkhead/audit/cgroup.h"

#include "cmd/bulkhead/audit/procdir.h"
#include "lib/base/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static bool has_option(const char *options, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = options; *at; at += *at == ',') {
		size_t n = strcspn(at, ",");

		if (n == len && strncmp(at, name, n) == 0)
			return true;
		at += n;
	}
	return false;
}

/* Where the hierarchies of version 2 ("cgroup2") or of a controller of version 1 are mounted. */
static bool find_mount(const char *mountinfo, const char *controller, char *ret, size_t cap)
{
	const char *line = mountinfo;

	while (line && *line) {
		const char *end = line + strcspn(line, "\n");
		const char *dash = memmem(line, (size_t)(end - line), " - ", 3);
		char where[256], type[16], options[256];

		if (dash && sscanf(line, "%*u %*u %*s %*s %255s", where) == 1 &&
		    sscanf(dash, " - %15s %*s %255s", type, options) == 2 &&
		    (strcmp(type, *controller ? "cgroup" : "cgroup2") == 0) &&
		    (!*controller || has_option(options, controller))) {
			snprintf(ret, cap, "%s", where);
			return true;
		}
		line = *end ? end + 1 : end;
	}
	return false;
}

static void read_file(const char *mount, const char *group, const char *file, char *ret, size_t cap)
{
	char path[PATH_MAX];
	_cleanup_(freep) char *text = NULL;

	if ((size_t)snprintf(path, sizeof(path), "%s%s/%s", mount, group, file) >= sizeof(path))
		return;
	text = procdir_read(AT_FDCWD, path);
	if (!text)
		return;
	text[strcspn(text, "\n")] = '\0';
	procfs_printable(text, ret, cap);
}

/* "9223372036854771712" bytes and "-1" microseconds are how version 1 says that there is none. */
static void say_max(char *value, size_t cap)
{
	if (strcmp(value, "9223372036854771712") == 0 || strcmp(value, "-1") == 0)
		snprintf(value, cap, "max");
}

static void read_v1(const char *groups, const char *mounts, struct facts_cgroup *ret)
{
	static const struct {
		const char *controller, *file;
	} rows[] = {
		{ "memory", "memory.limit_in_bytes" },
		{ "cpu", "cpu.cfs_quota_us" },
		{ "pids", "pids.max" },
	};
	char *values[] = { ret->memory, ret->cpu, ret->pids };
	const size_t caps[] = { sizeof(ret->memory), sizeof(ret->cpu), sizeof(ret->pids) };
	char group[512], mount[256];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (*values[i] || !procfs_cgroup(groups, rows[i].controller, group, sizeof(group)))
			continue;
		if (i == 0)
			procfs_printable(group, ret->v1, sizeof(ret->v1));
		if (find_mount(mounts, rows[i].controller, mount, sizeof(mount)))
			read_file(mount, group, rows[i].file, values[i], caps[i]);
		say_max(values[i], caps[i]);
	}
}

static void read_v2(const char *groups, const char *mounts, struct facts_cgroup *ret)
{
	char group[512], mount[256];

	if (!procfs_cgroup(groups, "", group, sizeof(group)))
		return;
	procfs_printable(group, ret->v2, sizeof(ret->v2));
	if (!find_mount(mounts, "", mount, sizeof(mount)))
		return;
	read_file(mount, group, "memory.max", ret->memory, sizeof(ret->memory));
	read_file(mount, group, "memory.current", ret->used, sizeof(ret->used));
	read_file(mount, group, "cpu.max", ret->cpu, sizeof(ret->cpu));
	read_file(mount, group, "pids.max", ret->pids, sizeof(ret->pids));
	read_file(mount, group, "io.max", ret->io, sizeof(ret->io));
}

void cgroup_read(int dir, struct facts_cgroup *ret)
{
	_cleanup_(freep) char *groups = procdir_read(dir, "cgroup");
	_cleanup_(freep) char *mounts = procdir_read(AT_FDCWD, "/proc/self/mountinfo");

	*ret = (struct facts_cgroup){ 0 };
	if (!groups || !mounts)
		return;
	read_v2(groups, mounts, ret);
	read_v1(groups, mounts, ret);
}
