/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors of all processes; see open_files.h. */
#include "cmd/bulkhead/net/open_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

static bool process_has(const char *pid, dev_t device)
{
	char path[300];
	bool found = false;
	struct dirent *e;
	struct stat st;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (e = readdir(dir)))
		found = fstatat(dirfd(dir), e->d_name, &st, 0) == 0 && S_ISCHR(st.st_mode) &&
			st.st_rdev == device;
	if (dir)
		closedir(dir);
	return found;
}

int open_files_have(const char *path)
{
	bool found = false;
	struct dirent *e;
	struct stat st;
	DIR *dir;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISCHR(st.st_mode))
		return -ENOTTY;
	dir = opendir("/proc");
	if (!dir)
		return -errno;
	while (!found && (e = readdir(dir)))
		found = isdigit((unsigned char)e->d_name[0]) && process_has(e->d_name, st.st_rdev);
	closedir(dir);
	return found;
}
