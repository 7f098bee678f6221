/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user's directory of sockets; see names.h. Who makes or removes a socket has the directory's lock, so
 * that one which is not listened on yet is never taken for one that is not listened on any more.
 */
#include "lib/base/cleanup.h"
#include "lib/names/internal.h"
#include "lib/sandbox/peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "bulkhead"

static bool is_right(int fd, uid_t uid, mode_t forbidden)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == uid && !(st.st_mode & forbidden);
}

/* Nobody but the user may change what is in `path`, or enter the folder in it. */
static int open_below(const char *path, uid_t uid, bool make)
{
	_cleanup_(closep) int base = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closep) int dir = -1;

	if (base < 0)
		return -errno;
	if (!is_right(base, uid, S_IWGRP | S_IWOTH))
		return -EACCES;
	if (make && mkdirat(base, FOLDER, S_IRWXU) < 0 && errno != EEXIST)
		return -errno;
	dir = openat(base, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	return is_right(dir, uid, S_IRWXG | S_IRWXO) ? take_fd(&dir) : -EACCES;
}

int dir_open(uid_t uid, const char *runtime, bool make)
{
	char path[40] = "/run";
	int dir = -ENOENT;

	if (peer_uid_is_ambiguous(uid)) /* so would be who a directory belongs to */
		return -EACCES;
	if (runtime && *runtime == '/')
		dir = open_below(runtime, uid, make);
	if (dir >= 0)
		return dir;
	if (uid != 0)
		snprintf(path, sizeof(path), "/run/user/%u", uid);
	return open_below(path, uid, make);
}

/* Through the descriptor: an address has room for 107 bytes only. */
struct names_address dir_address(int dir, const char *name)
{
	struct names_address a = { .sa.sun_family = AF_UNIX, .len = sizeof(a.sa) };

	snprintf(a.sa.sun_path, sizeof(a.sa.sun_path), "/proc/self/fd/%d/%s", dir, name);
	return a;
}

/* With the lock. True when the name is free now. */
static bool remove_stale(const struct names *n, const char *name)
{
	const struct names_address a = dir_address(n->dir, name);
	_cleanup_(closep) int sock = address_connect(&a, n->uid);
	struct stat st;

	if (sock == -ENOENT)
		return true;
	return sock == -ECONNREFUSED && fstatat(n->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISSOCK(st.st_mode) && unlinkat(n->dir, name, 0) == 0;
}

static void each(const struct names *n, bool (*is_right_name)(const char *name),
		 void (*fn)(const struct names *n, const char *name, void *owner), void *owner)
{
	int fd = n->dir < 0 ? -1 : openat(n->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (is_right_name(e->d_name))
			fn(n, e->d_name, owner);
	if (d)
		closedir(d);
	else
		closep(&fd);
}

void dir_each(const struct names *n,
	      void (*fn)(const struct names *n, const char *name, void *owner), void *owner)
{
	each(n, name_is_right, fn, owner);
}

/* A VM's, or beside it; NAME+WORD_PORT is another program's. */
static bool is_swept(const char *name)
{
	char own[NAMES_MAX + 1];
	size_t len = strcspn(name, "+");

	if (len > NAMES_MAX || strchr(name + len, '_'))
		return false;
	memcpy(own, name, len);
	own[len] = '\0';
	return name_is_right(own);
}

static void sweep_one(const struct names *n, const char *name, void *owner)
{
	(void)owner;
	(void)!remove_stale(n, name);
}

int dir_listen(const struct names *n, const char *name)
{
	const struct names_address a = dir_address(n->dir, name);
	int r;

	if (flock(n->dir, LOCK_EX) < 0)
		return -errno;
	each(n, is_swept, sweep_one, NULL);
	r = remove_stale(n, name) ? address_listen(&a) : -EADDRINUSE;
	(void)!flock(n->dir, LOCK_UN);
	return r;
}

void dir_remove_stale(const struct names *n, const char *name)
{
	if (flock(n->dir, LOCK_EX) < 0)
		return;
	(void)!remove_stale(n, name);
	(void)!flock(n->dir, LOCK_UN);
}

static void say_beside(const char *name, const char *word, char out[NAMES_MAX + 1 + NAMES_WORD_MAX])
{
	snprintf(out, NAMES_MAX + 1 + NAMES_WORD_MAX, "%s+%s", name, word);
}

int names_listen_beside(const struct names *n, const char *name, const char *word, int type)
{
	char whole[NAMES_MAX + 1 + NAMES_WORD_MAX];
	struct names_address a;
	int r;

	if (n->dir < 0)
		return -ENOENT;
	say_beside(name, word, whole);
	a = dir_address(n->dir, whole);
	if (flock(n->dir, LOCK_EX) < 0)
		return -errno;
	r = remove_stale(n, whole) ? address_listen_as(&a, type) : -EADDRINUSE;
	(void)!flock(n->dir, LOCK_UN);
	return r;
}

int names_path_beside(const struct names *n, const char *name, const char *word, char *out,
		      size_t cap)
{
	char whole[NAMES_MAX + 1 + NAMES_WORD_MAX], link[40];
	ssize_t len;

	if (n->dir < 0)
		return -ENOENT;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", n->dir);
	len = readlink(link, out, cap);
	if (len < 0)
		return -errno;
	say_beside(name, word, whole);
	if ((size_t)len + 1 + strlen(whole) >= cap)
		return -ENAMETOOLONG;
	snprintf(out + len, cap - (size_t)len, "/%s", whole);
	return 0;
}

int names_connect_beside(const struct names *n, const char *name, const char *word, int type)
{
	char whole[NAMES_MAX + 1 + NAMES_WORD_MAX];
	struct names_address a;

	if (n->dir < 0)
		return -ENOENT;
	say_beside(name, word, whole);
	a = dir_address(n->dir, whole);
	return address_connect_as(&a, n->uid, type);
}
