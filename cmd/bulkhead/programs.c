/* SPDX-License-Identifier: Apache-2.0 */
/* See programs.h. */
#include "cmd/bulkhead/programs.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_there(const char *dir, const char *below, const char *name, char *path, size_t cap)
{
	return (size_t)snprintf(path, cap, "%s/%s/%s", dir, below, name) < cap &&
	       access(path, X_OK) == 0;
}

int program_find(const char *name, char *path, size_t cap)
{
	char self[PATH_MAX], tree[64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return -errno;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	snprintf(tree, sizeof(tree), "../%s", name);
	return is_there(self, tree, name, path, cap) ||
			       is_there(self, "../libexec/bulkhead", name, path, cap) ||
			       is_there(BULKHEAD_LIBEXECDIR, ".", name, path, cap) ?
		       0 :
		       -ENOENT;
}
