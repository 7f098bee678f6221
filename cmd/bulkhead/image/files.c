/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a job; see files.h. */
#include "cmd/bulkhead/image/files.h"

#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/files/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int fail(const struct image_words *w, const char *path, const char *why)
{
	return complain(EXIT_START, "image %s: %.300s: %s", w->verb, path, why);
}

/* ---- what is read, or changed in its place ---- */

int image_file_lock(const struct image_words *w, int fd, bool readonly, const char *path)
{
	int r = image_lock_soon(fd, readonly);

	if (r == -EAGAIN)
		return fail(w, path,
			    readonly ? "a VM or another program writes to it: stop that first, or "
				       "say --force-share and read what is there just now" :
				       "it is in use by a VM or another program: stop that first");
	return r < 0 ? fail(w, path, strerror(-r)) : 0;
}

int image_file_open(const struct image_words *w, const char *path, bool readonly, int *ret)
{
	char what[20], why[400];
	struct stat st;
	int fd;

	snprintf(what, sizeof(what), "image %s", w->verb);
	fd = file_open(what, path, readonly ? O_RDONLY : O_RDWR, true, &st, why, sizeof(why));
	if (fd < 0)
		return complain(EXIT_START, "%s", why);
	*ret = fd;
	return 0;
}

static int open_locked(const struct image_words *w, const char *path, bool readonly, int *ret)
{
	_cleanup_(closep) int fd = -1;
	int r = image_file_open(w, path, readonly, &fd);

	if (r == 0 && !(readonly && w->force_share))
		r = image_file_lock(w, fd, readonly, path);
	if (r == 0)
		*ret = take_fd(&fd);
	return r;
}

/* From a VM, whose lock it is under. */
static int take_over(const struct image_words *w, int *from, const char *path, int *ret)
{
	*ret = take_fd(from);
	return fd_set_nonblock(*ret, false) < 0 ? fail(w, path, strerror(errno)) : 0;
}

/* The format is never guessed, as what a guest has written to its raw disk may look like another one; but
 * what it looks like can be said. */
static const char *looks_like(int fd)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum image_format format;
	} magics[] = {
		{ "QFI\xfb", 4, FORMAT_QCOW2 },
		{ "KDMV", 4, FORMAT_VMDK },
		{ "# Disk DescriptorFile", 21, FORMAT_VMDK },
		{ "vhdxfile", 8, FORMAT_VHDX },
		{ "conectix", 8, FORMAT_VPC },
	};
	char head[32] = { 0 };
	struct stat st;

	(void)!pread(fd, head, sizeof(head), 0);
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if (memcmp(head, magics[i].bytes, magics[i].len) == 0)
			return image_formats[magics[i].format];
	if (fstat(fd, &st) == 0 && st.st_size >= 512 && pread(fd, head, 8, st.st_size - 512) == 8 &&
	    memcmp(head, "conectix", 8) == 0)
		return image_formats[FORMAT_VPC];
	return image_formats[FORMAT_RAW];
}

static int settle_format(const struct image_words *w, struct image_backing *b, int fd, bool first)
{
	const char *guess;

	if (b->format_said)
		return 0;
	guess = looks_like(fd);
	if (w->job.verb != IMAGE_INFO)
		return complain(EXIT_WORDS,
				"image %s: %.300s: its format is never guessed: say %s (it looks "
				"like %s)",
				w->verb, b->path, first ? "--format" : "--backing-format", guess);
	b->format = image_format_find(guess);
	return 0;
}

static int add_node(struct image_words *w, const struct image_node *n)
{
	if (w->job.n_nodes == IMAGE_FILES_MAX)
		return fail(w, n->name, "too many files");
	w->job.nodes[w->job.n_nodes++] = *n;
	return 0;
}

static int open_link(struct image_words *w, struct image_backing *b, enum image_role role,
		     bool first)
{
	bool readonly = !first || !image_words_write(w);
	struct image_node n = {
		.role = role, .fd = -1, .data_fd = -1, .readonly = readonly, .name = b->path
	};
	int r;

	if (first && role == ROLE_SOURCE && w->image_fd >= 0)
		r = take_over(w, &w->image_fd, b->path, &n.fd);
	else
		r = open_locked(w, b->path, readonly, &n.fd);

	if (r == 0)
		r = settle_format(w, b, n.fd, first);
	if (r == 0 && !first && image_format_is_import(b->format))
		r = fail(w, b->path, "what backs an image is raw or qcow2");
	if (r == 0 && b->data_file)
		r = first && w->data_fd >= 0 ? take_over(w, &w->data_fd, b->data_file, &n.data_fd) :
					       open_locked(w, b->data_file, readonly, &n.data_fd);
	n.format = b->format;
	return r ? r : add_node(w, &n);
}

static int open_chain(struct image_words *w, struct image_chain *c, enum image_role role,
		      size_t from)
{
	int r = 0;

	for (size_t i = from; i < c->n && r == 0; i++)
		r = open_link(w, &c->file[i], role, i == 0);
	return r;
}

/* ---- what is made ---- */

static bool is_source(const struct image_words *w, const struct stat *st)
{
	struct stat other;

	for (size_t i = 0; i < w->job.n_nodes; i++)
		if (fstat(w->job.nodes[i].fd, &other) == 0 &&
		    (S_ISBLK(st->st_mode) ?
			     other.st_rdev == st->st_rdev :
			     other.st_dev == st->st_dev && other.st_ino == st->st_ino))
			return true;
	return false;
}

int image_target_split(const struct image_words *w, struct image_target *t)
{
	static char path[PATH_MAX];
	char *slash;

	if (!realpath(t->path, path))
		snprintf(path, sizeof(path), "%s", t->path);
	slash = strrchr(path, '/');
	if (strlen(slash ? slash + 1 : path) > NAME_MAX - 32 || !*(slash ? slash + 1 : path))
		return fail(w, t->path, "say the name of a file, not longer than 223 bytes");
	snprintf(t->name, sizeof(t->name), "%.223s", slash ? slash + 1 : path);
	snprintf(t->part, sizeof(t->part), ".%.223s.part-%d", t->name, (int)getpid());
	if (slash)
		slash[slash == path ? 1 : 0] = '\0';
	t->dir = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->dir < 0 ? fail(w, t->path, strerror(errno)) : 0;
}

static int make_part(const struct image_words *w, struct image_target *t, const struct stat *old)
{
	t->fd = openat(t->dir, t->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (t->fd < 0) {
		t->part[0] = '\0';
		return fail(w, t->path, strerror(errno));
	}
	if (old && fchmod(t->fd, old->st_mode & 0777) < 0)
		return fail(w, t->path, strerror(errno));
	return image_file_lock(w, t->fd, false, t->path);
}

static int open_target(struct image_words *w, struct image_target *t)
{
	struct image_node n = {
		.role = ROLE_TARGET, .format = w->target_format, .data_fd = -1, .name = w->target
	};
	struct stat st;
	bool exists;
	int r = 0;

	t->path = w->target;
	exists = stat(t->path, &st) == 0;
	if (exists && is_source(w, &st))
		return fail(w, t->path, "it is the source");
	if (exists && S_ISBLK(st.st_mode) && w->target_format != FORMAT_RAW)
		return fail(w, t->path, "on a block device only raw can be written");
	if (exists && S_ISBLK(st.st_mode)) {
		r = open_locked(w, t->path, false, &t->fd);
	} else {
		if (exists) /* nobody must be using what is about to go */
			r = open_locked(w, t->path, false, &t->old);
		if (r == 0)
			r = image_target_split(w, t);
		if (r == 0)
			r = make_part(w, t, exists ? &st : NULL);
	}
	n.fd = t->fd;
	return r ? r : add_node(w, &n);
}

int image_target_keep(struct image_target *t)
{
	if (t->dir < 0)
		return 0;
	if (renameat(t->dir, t->part, t->dir, t->name) < 0)
		return -errno;
	t->part[0] = '\0';
	return fsync(t->dir) < 0 && errno != EINVAL ? -errno : 0;
}

void image_target_drop(struct image_target *t)
{
	if (t->dir >= 0 && t->part[0])
		(void)unlinkat(t->dir, t->part, 0);
	t->part[0] = '\0';
}

/* What backs an image that is made is named in it, and looked for where the image is, as by QEMU. */
static int name_backing(struct image_words *w)
{
	static char path[PATH_MAX];
	struct image_backing *b = &w->source.file[1];
	const char *slash = strrchr(w->target, '/');

	if (w->source.n > 2)
		return fail(w, w->source.file[2].path,
			    "an image that is made is backed by one file");
	if (!b->format_said)
		return complain(EXIT_WORDS, "image %s: %.300s: say its --backing-format", w->verb,
				b->path);
	w->job.backing_name = b->path;
	w->job.backing_format = image_formats[b->format];
	if (*b->path == '/' || !slash)
		return 0;
	if (snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - w->target), w->target, b->path) >=
	    (int)sizeof(path))
		return fail(w, b->path, strerror(ENAMETOOLONG));
	b->path = path;
	return 0;
}

int image_files_open(struct image_words *w, struct image_target *t)
{
	bool create = w->job.verb == IMAGE_CREATE;
	int r = create && w->source.n > 1 ? name_backing(w) : 0;

	if (r)
		return r;
	/* of create the first link is what is made; its base is opened where it is to be looked at */
	r = open_chain(w, &w->source, create ? ROLE_OTHER : ROLE_SOURCE, create ? 1 : 0);
	if (r == 0 && w->job.verb == IMAGE_COMPARE)
		r = open_chain(w, &w->other, ROLE_OTHER, 0);
	if (r == 0 && (create || w->job.verb == IMAGE_CONVERT))
		r = open_target(w, t);
	if (r)
		image_target_drop(t);
	return r;
}
