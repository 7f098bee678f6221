/* SPDX-License-Identifier: Apache-2.0 */
/* The VM's name, and the executables' places; see open.h. */
#include "cmd/supervisor/open.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int open_complain(struct open_error *e, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return error;
}

int open_listeners(const char *name, const char *runtime, int ret[NAMES_PLACES],
		   struct open_error *e)
{
	_cleanup_(names_close) struct names n = NAMES_NONE;
	int r;

	names_open(geteuid(), runtime, true, &n);
	r = names_listen(&n, name, ret);
	if (r == -EADDRINUSE)
		return open_complain(e, r,
				     "a VM named '%s' runs already: choose "
				     "another --name, or bulkhead stop %s",
				     name, name);
	return r < 0 ? open_complain(e, r, "the name '%s': %s", name, strerror(-r)) : 0;
}

int open_meeting(const char *name, const char *word, const char *runtime, int *ret,
		 struct open_error *e)
{
	_cleanup_(names_close) struct names n = NAMES_NONE;

	names_open(geteuid(), runtime, true, &n);
	*ret = names_listen_beside(&n, name, word, SOCK_STREAM);
	if (*ret == -ENOENT)
		return open_complain(e, *ret,
				     "--%s: its socket needs a directory of yours: set "
				     "XDG_RUNTIME_DIR to one that nobody else may write to",
				     word);
	return *ret < 0 ? open_complain(e, *ret, "--%s: %s+%s: %s", word, name, word,
					strerror(-*ret)) :
			  0;
}

static int open_executable(const char *path, mode_t by)
{
	_cleanup_(closep) int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || !(st.st_mode & by))
		return -EACCES;
	return take_fd(&fd);
}

/* As installed, or in a build tree. */
static int find_program(const char *dir, const char *name, mode_t by)
{
	char path[PATH_MAX + 128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open_executable(path, by);
	if (fd != -ENOENT)
		return fd;
	snprintf(path, sizeof(path), "%s/../%s/%s", dir, name, name);
	return open_executable(path, by);
}

int open_program(const char *name, bool by_others, struct open_error *e)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;
	int fd;

	if (n < 0)
		return open_complain(e, -errno, "/proc/self/exe: %s", strerror(errno));
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return open_complain(e, -ENOENT, "%s: no directory", self);
	*slash = '\0';
	fd = find_program(self, name, by_others ? S_IXOTH : 0111);
	if (fd == -EACCES && by_others)
		return open_complain(e, fd,
				     "the program %s beside %s/supervisor is not one that others "
				     "may execute, and it gets an id of its own: chmod o+x it",
				     name, self);
	if (fd < 0)
		return open_complain(e, fd,
				     "the program %s is not installed beside %s/supervisor (%s)",
				     name, self, strerror(-fd));
	return fd;
}
