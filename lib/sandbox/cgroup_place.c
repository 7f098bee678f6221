/* SPDX-License-Identifier: Apache-2.0 */
/* Where VMs' control groups go, and which disk a file is on; see cgroup.h. */
#include "lib/sandbox/cgroup.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MOUNT "/sys/fs/cgroup"

static const struct {
	const char *name;
	unsigned int bit;
} controllers[] = {
	{ "cpu", CGROUP_CPU },
	{ "io", CGROUP_IO },
	{ "memory", CGROUP_MEMORY },
	{ "pids", CGROUP_PIDS },
};

int cgroup_text(int dir, const char *name, char *text, size_t cap)
{
	_cleanup_(closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, cap - 1);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return 0;
}

/* Words between blanks. */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += len)
		if ((at == text || at[-1] == ' ') && strchr(" \n", at[len]))
			return true;
	return false;
}

static int read_controllers(struct cgroup_place *p, const char **ret_why)
{
	_cleanup_(closep) int dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char text[512];
	int r = dir < 0 ? -errno : cgroup_text(dir, "cgroup.controllers", text, sizeof(text));

	*ret_why = "the cgroup's controllers cannot be read";
	if (r < 0)
		return r;
	p->controllers = 0;
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if (has_word(text, controllers[i].name))
			p->controllers |= controllers[i].bit;
	return 0;
}

bool cgroup_is_at(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static bool may_change(const char *path, const char *file)
{
	char name[PATH_MAX + 64];

	snprintf(name, sizeof(name), "%s/%s", path, file);
	return access(name, W_OK) == 0;
}

static bool is_ours(const char *path)
{
	return access(path, W_OK) == 0 && may_change(path, "cgroup.procs") &&
	       may_change(path, "cgroup.subtree_control");
}

/* systemd marks what it has delegated, and keeps its hands off it; the rest is its own. */
static bool is_delegated(const char *path)
{
	char value[4];

	return (getxattr(path, "user.delegate", value, sizeof(value)) == 1 ||
		getxattr(path, "trusted.delegate", value, sizeof(value)) == 1) &&
	       value[0] == '1' && is_ours(path);
}

int cgroup_path_of(const char *who, char *path, size_t cap)
{
	char file[48], text[4096];
	char *line, *at = text;
	int len, r;

	snprintf(file, sizeof(file), "/proc/%s/cgroup", who);
	r = cgroup_text(AT_FDCWD, file, text, sizeof(text));

	if (r < 0)
		return r;
	while ((line = strsep(&at, "\n"))) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		len = snprintf(path, cap, MOUNT "%s", line + 3);
		return (size_t)len < cap && !strstr(path, "/..") ? 0 : -ENOENT;
	}
	return -ENOENT;
}

/* Climbs from the own group to the nearest that was delegated. */
static bool find_delegated(char *path, size_t cap)
{
	if (cgroup_path_of("self", path, cap) < 0)
		return false;
	while (strlen(path) > strlen(MOUNT)) {
		if (is_delegated(path))
			return true;
		*strrchr(path, '/') = '\0';
	}
	return false;
}

/* The hierarchy's root, which has no type, may have processes and limits. */
static bool has_processes(const char *path)
{
	_cleanup_(closep) int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char text[16] = "";

	return dir >= 0 && faccessat(dir, "cgroup.type", F_OK, 0) == 0 &&
	       cgroup_text(dir, "cgroup.procs", text, sizeof(text)) == 0 && *text;
}

static int find_named(const char *named, struct cgroup_place *p, const char **ret_why)
{
	if ((size_t)snprintf(p->path, sizeof(p->path), "%s", named) >= sizeof(p->path))
		return -ENAMETOOLONG;
	*ret_why = "it is no directory of a cgroup v2 hierarchy";
	if (!cgroup_is_at(named))
		return -ENOTDIR;
	*ret_why = "it is not yours to change";
	if (!is_ours(named))
		return -EACCES;
	*ret_why = "processes are in it, beside which no group can have limits";
	return has_processes(named) ? -EBUSY : 0;
}

static int find_default(struct cgroup_place *p, const char **ret_why)
{
	*ret_why = "no cgroup v2 at " MOUNT;
	if (!cgroup_is_at(MOUNT))
		return -ENOENT;
	p->is_around = find_delegated(p->path, sizeof(p->path));
	if (p->is_around)
		return 0;
	snprintf(p->path, sizeof(p->path), MOUNT);
	*ret_why = "no cgroup is delegated to this user, see --cgroup";
	/* a container's root is not the hierarchy's: that has no type */
	return geteuid() == 0 && is_ours(MOUNT) && access(MOUNT "/cgroup.type", F_OK) < 0 ? 0 :
											    -EACCES;
}

int cgroup_find(const char *named, struct cgroup_place *ret, const char **ret_why)
{
	struct cgroup_place p = { .controllers = 0 };
	int r = named ? find_named(named, &p, ret_why) : find_default(&p, ret_why);

	if (r == 0)
		r = read_controllers(&p, ret_why);
	if (r == 0)
		*ret = p;
	return r;
}

/* ---- disks ---- */

/* sysfs has a partition as a directory in its disk's. */
static int whole_disk(unsigned int *major, unsigned int *minor)
{
	char path[96], text[32];
	int r;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", *major, *minor);
	if (access(path, F_OK) < 0)
		return -ENODEV;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", *major, *minor);
	if (access(path, F_OK) < 0)
		return 0;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", *major, *minor);
	r = cgroup_text(AT_FDCWD, path, text, sizeof(text));
	return r == 0 && sscanf(text, "%u:%u", major, minor) == 2 ? 0 : -ENODEV;
}

int cgroup_device_of(int fd, unsigned int *ret_major, unsigned int *ret_minor)
{
	struct stat st;
	unsigned int ma, mi;
	dev_t dev;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	ma = major(dev);
	mi = minor(dev);
	r = whole_disk(&ma, &mi);
	if (r < 0)
		return r;
	*ret_major = ma;
	*ret_minor = mi;
	return 0;
}
