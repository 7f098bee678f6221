/* SPDX-License-Identifier: Apache-2.0 */
/* The files that the user named; see open.h. */
#include "cmd/supervisor/open.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SECTOR 512
#define LOCK_WAIT_MS 500
#define LOCK_PAUSE_MS 5

void opened_init(struct opened *o)
{
	*o = (struct opened){ .kernel = -1,
			      .initrd = -1,
			      .kvm = -1,
			      .listeners = { -1, -1 },
			      .vmm = -1,
			      .dev_console = -1,
			      .dev_rng = -1,
			      .dev_blk = -1 };
	for (size_t i = 0; i < CONFIG_MAX_DISKS; i++)
		o->disks[i] = -1;
}

void opened_close(struct opened *o)
{
	closep(&o->kernel);
	closep(&o->initrd);
	closep(&o->kvm);
	closep(&o->vmm);
	closep(&o->dev_console);
	closep(&o->dev_rng);
	closep(&o->dev_blk);
	fds_close(o->disks, CONFIG_MAX_DISKS);
}

static const char *kind_of(mode_t mode)
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

/* what: "--kernel". O_NONBLOCK: a pipe must not hold us up before it is refused. */
static int open_file(const char *what, const char *path, int flags, bool block_too,
		     struct stat *ret_st, struct open_error *e)
{
	_cleanup_(closep) int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0)
		return open_complain(e, -errno, "%s: %s: %s", what, path, strerror(errno));
	if (fstat(fd, ret_st) < 0)
		return open_complain(e, -errno, "%s: %s: %s", what, path, strerror(errno));
	if (!S_ISREG(ret_st->st_mode) && !(block_too && S_ISBLK(ret_st->st_mode)))
		return open_complain(e, -EINVAL, "%s: %s is %s: a file%s is right", what, path,
				     kind_of(ret_st->st_mode),
				     block_too ? " or a block device" : "");
	r = fd_set_nonblock(fd, false);
	if (r < 0)
		return open_complain(e, r, "%s: %s: %s", what, path, strerror(-r));
	return take_fd(&fd);
}

/* A file that goes into guest RAM whole. */
static int open_image(const char *what, const char *path, uint64_t memory, struct open_error *e)
{
	struct stat st = { 0 };
	_cleanup_(closep) int fd = open_file(what, path, O_RDONLY, false, &st, e);

	if (fd < 0)
		return fd;
	if (st.st_size == 0)
		return open_complain(e, -EINVAL, "%s: %s is empty", what, path);
	if ((uint64_t)st.st_size >= memory)
		return open_complain(e, -EFBIG,
				     "%s: %s is larger than the VM's memory (%llu MiB): "
				     "say more --memory",
				     what, path, (unsigned long long)(memory >> 20));
	return take_fd(&fd);
}

/*
 * One VM may write, or several may read. The lock belongs to the open file, so that it lasts as
 * long as the device that the descriptor is handed to, and as its I/O: the kernel may need a moment
 * to wind that up after the device is gone, which is waited for.
 */
static int lock_disk(int fd, bool readonly, const char *path, struct open_error *e)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };
	int waited_ms = 0;

	for (;;) {
		int r = image_lock(fd, readonly);

		if (r == 0)
			return 0;
		if (r != -EAGAIN)
			return open_complain(e, r, "--disk: %s cannot be locked: %s", path,
					     strerror(-r));
		if (waited_ms >= LOCK_WAIT_MS)
			break;
		nanosleep(&pause, NULL);
		waited_ms += LOCK_PAUSE_MS;
	}
	return open_complain(e, -EBUSY, "--disk: %s is in use by another VM%s", path,
			     readonly ? " that writes to it" : ": only readonly=on can be shared");
}

static bool is_one_file(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* By whatever name; the lock would say that another VM has it. Several readers may. */
static int check_once(const struct vm_config *c, const int *disks, size_t i, const struct stat *st,
		      const char *path, struct open_error *e)
{
	for (size_t k = 0; k < i; k++) {
		const struct config_disk *d = &c->disks[k];
		struct stat other;

		if (fstat(disks[k], &other) < 0 || !is_one_file(st, &other) ||
		    (d->readonly && c->disks[i].readonly))
			continue;
		return open_complain(e, -EEXIST,
				     "--disk: %s is this VM's disk %zu already, as %.*s: it can be "
				     "one disk, or several with readonly=on each",
				     path, k + 1, (int)d->path_len, d->path);
	}
	return 0;
}

static int open_disk(const struct vm_config *c, const int *disks, size_t i, struct open_error *e)
{
	const struct config_disk *d = &c->disks[i];
	char path[CONFIG_PATH_MAX + 1];
	_cleanup_(closep) int fd = -1;
	struct stat st = { 0 };
	int r;

	snprintf(path, sizeof(path), "%.*s", (int)d->path_len, d->path);
	fd = open_file("--disk", path, d->readonly ? O_RDONLY : O_RDWR, true, &st, e);
	if (fd < 0)
		return fd;
	if (S_ISREG(st.st_mode) && (st.st_size == 0 || st.st_size % SECTOR))
		return open_complain(e, -EINVAL,
				     "--disk: %s has %lld bytes: a multiple of 512 is "
				     "right",
				     path, (long long)st.st_size);
	r = check_once(c, disks, i, &st, path, e);
	if (r == 0)
		r = lock_disk(fd, d->readonly, path, e);
	return r < 0 ? r : take_fd(&fd);
}

static int open_files(struct opened *o, const struct vm_config *c, struct open_error *e)
{
	o->kernel = open_image("--kernel", c->kernel, c->memory, e);
	if (o->kernel < 0)
		return o->kernel;
	if (c->initrd) {
		o->initrd = open_image("--initrd", c->initrd, c->memory, e);
		if (o->initrd < 0)
			return o->initrd;
	}
	for (size_t i = 0; i < c->n_disks; i++) {
		o->disks[i] = open_disk(c, o->disks, i, e);
		if (o->disks[i] < 0)
			return o->disks[i];
	}
	return 0;
}

static int open_programs(struct opened *o, const struct vm_config *c, bool other_ids,
			 struct open_error *e)
{
	const struct {
		const char *name;
		int *fd;
		bool wanted;
	} programs[] = {
		{ "vmm", &o->vmm, true },
		{ "dev-console", &o->dev_console, true },
		{ "dev-rng", &o->dev_rng, c->rng },
		{ "dev-blk", &o->dev_blk, c->n_disks > 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		if (!programs[i].wanted)
			continue;
		*programs[i].fd = open_program(programs[i].name, other_ids, e);
		if (*programs[i].fd < 0)
			return *programs[i].fd;
	}
	return 0;
}

int opened_open(struct opened *o, const struct vm_config *c, const char *runtime, bool other_ids,
		struct open_error *e)
{
	int r = open_files(o, c, e);

	if (r < 0)
		return r;
	r = open_accel(o, c->accel, e);
	if (r < 0)
		return r;
	r = open_programs(o, c, other_ids, e);
	return r < 0 ? r : open_listeners(c->name, runtime, o->listeners, e);
}
