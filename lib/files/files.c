/* SPDX-License-Identifier: Apache-2.0 */
/* Files that the user named; see files.h. */
#include "lib/files/files.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECTOR 512
#define LOCK_WAIT_MS 500
#define LOCK_PAUSE_MS 5

static int say(char *why, size_t cap, int error, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int say(char *why, size_t cap, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, cap, fmt, ap);
	va_end(ap);
	return error;
}

static const char *type_of(mode_t mode)
{
	if (S_ISDIR(mode))
		return "a directory";
	if (S_ISFIFO(mode))
		return "a pipe";
	if (S_ISSOCK(mode))
		return "a socket";
	if (S_ISCHR(mode))
		return "a character device";
	return S_ISBLK(mode) ? "a block device" : "no regular file";
}

/* O_NONBLOCK: a pipe must not hold us up before it is refused. */
int file_open(const char *what, const char *path, int flags, bool block_too, struct stat *ret_st,
	      char *why, size_t cap)
{
	_cleanup_(closep) int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0)
		return say(why, cap, -errno, "%s: %s: %s", what, path, strerror(errno));
	if (fstat(fd, ret_st) < 0)
		return say(why, cap, -errno, "%s: %s: %s", what, path, strerror(errno));
	if (!S_ISREG(ret_st->st_mode) && !(block_too && S_ISBLK(ret_st->st_mode)))
		return say(why, cap, -EINVAL, "%s: %s is %s: a file%s is right", what, path,
			   type_of(ret_st->st_mode), block_too ? " or a block device" : "");
	r = fd_set_nonblock(fd, false);
	if (r < 0)
		return say(why, cap, r, "%s: %s: %s", what, path, strerror(-r));
	return take_fd(&fd);
}

static int check_size(const struct config_device *d, unsigned int file, const struct stat *st,
		      const char *what, const char *path, char *why, size_t cap)
{
	uint64_t unit = d->kind->file.unit ? d->kind->file.unit(d->options, file) : SECTOR;

	if (!S_ISREG(st->st_mode) || (st->st_size && (uint64_t)st->st_size % unit == 0))
		return 0;
	if (unit == 1)
		return say(why, cap, -EINVAL, "%s: %s is empty", what, path);
	return say(why, cap, -EINVAL, "%s: %s has %lld bytes: a multiple of %llu is right", what,
		   path, (long long)st->st_size, (unsigned long long)unit);
}

int file_open_served(const struct config_device *d, unsigned int file, const char *what,
		     const char *path, struct stat *ret_st, char *why, size_t cap)
{
	int flags = config_file_readonly(d, file) ? O_RDONLY : O_RDWR, r;
	_cleanup_(closep) int fd = file_open(what, path, flags, true, ret_st, why, cap);

	if (fd < 0)
		return fd;
	r = check_size(d, file, ret_st, what, path, why, cap);
	return r < 0 ? r : take_fd(&fd);
}

int image_lock_soon(int fd, bool readonly)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };
	int r;

	for (int waited_ms = 0;; waited_ms += LOCK_PAUSE_MS) {
		r = image_lock(fd, readonly);
		if (r != -EAGAIN || waited_ms >= LOCK_WAIT_MS)
			return r;
		nanosleep(&pause, NULL);
	}
}

int file_lock(int fd, bool readonly, const char *what, const char *path, char *why, size_t cap)
{
	int r = image_lock_soon(fd, readonly);

	if (r == -EAGAIN)
		return say(why, cap, -EBUSY, "%s: %s is in use by another VM%s", what, path,
			   readonly ? " that writes to it" : ": only readonly=on can be shared");
	return r < 0 ? say(why, cap, r, "%s: %s cannot be locked: %s", what, path, strerror(-r)) :
		       0;
}
