/* SPDX-License-Identifier: Apache-2.0 */
/* A file that is imported; see partial.h. */
#include "cmd/bulkhead/image/partial.h"

#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int fail(const char *path, const char *why)
{
	return complain(EXIT_START, "image import: %.300s: %s", path, why);
}

/* What is there under the name already, if that may go. */
static int check_old(const struct image_words *w, struct image_target *t)
{
	struct stat st;

	if (lstat(t->path, &st) < 0)
		return errno == ENOENT ? 0 : fail(t->path, strerror(errno));
	if (!w->import.force)
		return fail(t->path,
			    "it is there already: say another name, or --force to replace it");
	if (stat(t->path, &st) == 0 && !S_ISREG(st.st_mode))
		return fail(t->path, "it is no regular file, which alone --force replaces");
	if (errno == ENOENT) /* a link to nothing */
		return 0;
	return image_file_open(w, t->path, false, &t->old) ||
			       image_file_lock(w, t->old, false, t->path) ?
		       EXIT_START :
		       0;
}

/* Whether something is there that an import has begun: from which address. */
static bool read_origin(struct partial *p)
{
	char text[ORIGIN_MAX];
	_cleanup_(closep) int fd =
		openat(p->target.dir, p->from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	return n > 0 && (size_t)n < sizeof(text) && origin_parse(text, (size_t)n, &p->origin) == 0;
}

static int open_part(const struct image_words *w, struct partial *p)
{
	struct image_target *t = &p->target;
	struct stat st;

	t->fd = openat(t->dir, t->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		       0644);
	if (t->fd < 0 || fstat(t->fd, &st) < 0)
		return fail(t->path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return fail(t->part, "it is in the way: move it away");
	return image_file_lock(w, t->fd, false, t->part);
}

static int take_up(const char *url, struct partial *p)
{
	struct stat st;
	const bool known = read_origin(p);

	if (fstat(p->target.fd, &st) == 0 && st.st_size && !known)
		return fail(p->target.part,
			    "it is beside the name, and no import has begun it: move it away");
	p->ours = true;
	if (url && known && strcmp(p->origin.url, url) == 0 && *p->origin.validator)
		return 0;
	snprintf(p->origin.url, sizeof(p->origin.url), "%s", url ? url : "http://localhost/");
	return partial_note(p, "") < 0 || ftruncate(p->target.fd, 0) < 0 ?
		       fail(p->target.path, strerror(errno)) :
		       0;
}

int partial_open(const struct image_words *w, const char *url, struct partial *ret)
{
	struct image_target *t = &ret->target;
	int r;

	*ret = (struct partial){ .target = IMAGE_TARGET_NONE };
	t->path = w->target;
	r = check_old(w, t);
	if (r == 0)
		r = image_target_split(w, t);
	if (r)
		return r;
	snprintf(t->part, sizeof(t->part), ".%.223s.import", t->name);
	snprintf(ret->from, sizeof(ret->from), ".%.223s.import-from", t->name);
	r = open_part(w, ret);
	return r ? r : take_up(url, ret);
}

uint64_t partial_begun(const struct partial *p)
{
	struct stat st;

	return *p->origin.validator && fstat(p->target.fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

uint64_t partial_room(const struct partial *p)
{
	struct statvfs v;
	struct stat st;

	if (fstatvfs(p->target.fd, &v) < 0 || fstat(p->target.fd, &st) < 0)
		return 0;
	return v.f_bavail * v.f_frsize + (uint64_t)st.st_blocks * 512;
}

int partial_note(struct partial *p, const char *validator)
{
	char text[ORIGIN_MAX];
	_cleanup_(closep) int fd = openat(p->target.dir, p->from,
					  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
					  0644);
	size_t len;

	if (fd < 0)
		return -errno;
	snprintf(p->origin.validator, sizeof(p->origin.validator), "%s", validator);
	len = origin_render(&p->origin, text);
	return write(fd, text, len) == (ssize_t)len ? 0 : -EIO;
}

bool partial_leave(struct partial *p)
{
	if (!p->ours)
		return false;
	if (partial_begun(p))
		return true;
	partial_forget(p);
	return false;
}

void partial_forget(struct partial *p)
{
	image_target_drop(&p->target);
	(void)unlinkat(p->target.dir, p->from, 0);
	p->ours = false;
}

void partial_close(struct partial *p)
{
	closep(&p->target.fd);
	closep(&p->target.old);
	closep(&p->target.dir);
}
