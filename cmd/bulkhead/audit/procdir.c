/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a process's directory in /proc; see procdir.h. */
#include "cmd/bulkhead/audit/procdir.h"

#include "cmd/bulkhead/audit/procfs.h"
#include "lib/base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define FILE_MAX (8 << 20) /* longer than any that is read, save by design of who is looked at */

int procdir_open(pid_t pid)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}

/* All of a file, at most FILE_MAX bytes. */
static char *read_all(int fd)
{
	size_t cap = 8192, len = 0;
	char *text = malloc(cap);
	ssize_t n = 1;

	if (!text)
		return NULL;
	while (n > 0 && len < FILE_MAX) {
		if (cap - len < 4096) {
			char *more = realloc(text, cap * 2);

			if (!more)
				break;
			text = more;
			cap *= 2;
		}
		n = read(fd, text + len, cap - len - 1);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n != 0) {
		free(text);
		errno = n > 0 ? EFBIG : errno;
		return NULL;
	}
	text[len] = '\0';
	return text;
}

char *procdir_read(int dir, const char *name)
{
	_cleanup_(closep) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? NULL : read_all(fd);
}

int procdir_link(int dir, const char *name, char *ret, size_t cap)
{
	char raw[512];
	ssize_t n = readlinkat(dir, name, raw, sizeof(raw) - 1);

	if (n < 0)
		return -errno;
	raw[n] = '\0';
	procfs_printable(raw, ret, cap);
	return 0;
}

int procdir_each(int dir, const char *name, int (*fn)(void *owner, int number), void *owner)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	const struct dirent *e;
	DIR *d;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (e = readdir(d))) {
		char *end;
		long number = strtol(e->d_name, &end, 10);

		if (*end == '\0' && end != e->d_name)
			r = fn(owner, (int)number);
	}
	closedir(d);
	return r;
}
