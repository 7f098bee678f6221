/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the launcher's parts; see launcher.h. */
#include "cmd/supervisor/launcher.h"

#include "cmd/supervisor/ram.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/files/files.h"

#include <fcntl.h>
#include <linux/major.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

bool launcher_can_serve(int fd, bool readonly)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	return flags >= 0 && fd_stat(fd, &st) == 0 &&
	       (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) &&
	       (flags & (O_ACCMODE | O_PATH)) == (readonly ? O_RDONLY : O_RDWR);
}

bool launcher_can_dial(int fd)
{
	struct stat st;

	return fd_stat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Linux, Documentation/admin-guide/devices.txt */
#define TUN_MINOR 200

bool launcher_can_link(int fd, const struct kind_way *way)
{
	const int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fd_stat(fd, &st) < 0)
		return false;
	if (way->opens != KIND_OPENS_TAP)
		return S_ISSOCK(st.st_mode);
	return S_ISCHR(st.st_mode) && st.st_rdev == makedev(MISC_MAJOR, TUN_MINOR) &&
	       (flags & (O_ACCMODE | O_PATH | O_NONBLOCK)) == (O_RDWR | O_NONBLOCK);
}

static const struct device_kind *kind_of(const struct launcher_part *part)
{
	for (size_t i = 0; i < n_kinds_all; i++)
		if (part->argv && strcmp(kinds_all[i]->declared->name, part->argv[0]) == 0)
			return kinds_all[i];
	return NULL;
}

/* What the part was given as that number, or NULL. */
static int *given(struct launcher_part *part, int to)
{
	for (size_t i = 0; i < part->n_given; i++)
		if (to && part->given[i].to == to)
			return &part->given[i].from;
	return NULL;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) || S_ISBLK(b->st_mode))
		return S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode) && a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool serves(struct launcher_part *part, const struct stat *file)
{
	const struct device_kind *kind = kind_of(part);
	const int *own = kind ? given(part, kind->file.fd) : NULL;
	struct stat st;

	return own && fd_stat(*own, &st) == 0 && is_same(&st, file);
}

struct launcher_part *launcher_find(struct launcher_part *const parts[BOUNDS_MAX_PARTS], int fd)
{
	struct stat st;

	if (!launcher_can_serve(fd, false) || fd_stat(fd, &st) < 0)
		return NULL;
	for (size_t i = 0; i < BOUNDS_MAX_PARTS; i++)
		if (parts[i] && serves(parts[i], &st))
			return parts[i];
	return NULL;
}

bool launcher_has_beside(struct launcher_part *part, const int *beside)
{
	const struct device_kind *kind = kind_of(part);
	struct stat own, shown;
	bool same = kind;

	for (int i = 1; i < KIND_FILES_MAX && same; i++) {
		const int *file = given(part, kind->file.fd + i);

		if (!file || !launcher_can_serve(*file, false))
			same = beside[i - 1] < 0;
		else
			same = launcher_can_serve(beside[i - 1], false) &&
			       fd_stat(*file, &own) == 0 && fd_stat(beside[i - 1], &shown) == 0 &&
			       is_same(&own, &shown);
	}
	return same;
}

bool launcher_is_changing(struct launcher_part *part)
{
	const struct device_kind *kind = kind_of(part);
	const int *own = kind ? given(part, kind->file.fd) : NULL;

	return own && image_is_changing(*own);
}

static bool read_size(int note, uint64_t at, uint64_t *ret)
{
	const int seals = fcntl(note, F_GET_SEALS, 0);

	return seals >= 0 && seals & F_SEAL_WRITE &&
	       pread(note, ret, sizeof(*ret), (off_t)at) == sizeof(*ret);
}

bool launcher_noted_size(struct launcher_part *part, uint64_t *ret)
{
	const struct device_kind *kind = kind_of(part);

	for (size_t i = 0; kind && i < KIND_STATES; i++) {
		const struct kind_state *s = &kind->state[i];
		const int *note = s->size_at ? given(part, s->fd) : NULL;

		if (note && read_size(*note, s->size_at, ret))
			return true;
	}
	return false;
}

static int renew(struct launcher_part *part, const struct kind_state *s)
{
	int *note = given(part, s->fd);
	int fd = note ? ram_create_unsealed(s->name, s->size) : -1;

	if (!note)
		return 0;
	if (fd < 0)
		return fd;
	closep(note);
	*note = fd;
	return 0;
}

int launcher_renew_note(struct launcher_part *part)
{
	const struct device_kind *kind = kind_of(part);

	for (size_t i = 0; kind && i < KIND_STATES; i++) {
		int r = kind->state[i].once ? renew(part, &kind->state[i]) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

int launcher_give_state(struct launcher_part *part, const struct device_kind *kind,
			const struct config_device *d, bool has_files, bool is_device)
{
	for (size_t i = 0; i < KIND_STATES; i++) {
		const struct kind_state *s = &kind->state[i];
		int fd;

		if (!kind_gives_state(kind, i, d->options, has_files, is_device))
			continue;
		fd = s->once ? ram_create_unsealed(s->name, s->size) :
			       ram_create_sealed(s->name, s->size);
		if (fd < 0)
			return fd;
		part->given[part->n_given++] = (struct jail_fd){ fd, s->fd };
	}
	return 0;
}
