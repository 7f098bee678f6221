/* SPDX-License-Identifier: Apache-2.0 */
/* The VM's name, and the executables' places; see open.h. */
#include "cmd/supervisor/open.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

int open_complain(struct open_error *e, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return error;
}

/* An abstract name: no file that a crash could leave behind, and two VMs cannot have it. */
int open_listener(const char *name, struct open_error *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	_cleanup_(closep) int fd =
		socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int len = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "bulkhead/%u/%s", geteuid(),
			   name);
	socklen_t sa_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);

	if (fd < 0)
		return open_complain(e, -errno, "no socket: %s", strerror(errno));
	if (bind(fd, (const struct sockaddr *)&sa, sa_len) < 0) {
		if (errno == EADDRINUSE)
			return open_complain(e, -errno,
					     "a VM named '%s' runs already: choose "
					     "another --name, or bulkhead stop %s",
					     name, name);
		return open_complain(e, -errno, "the name '%s': %s", name, strerror(errno));
	}
	if (listen(fd, 8) < 0)
		return open_complain(e, -errno, "the name '%s': %s", name, strerror(errno));
	return take_fd(&fd);
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
