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
	*o = (struct opened){
		.kernel = -1, .initrd = -1, .kvm = -1, .listeners = { -1, -1 }, .vmm = -1
	};
	for (size_t i = 0; i < CONFIG_DEVICES_MAX; i++)
		o->files[i] = -1;
	for (size_t i = 0; i < KINDS_MAX; i++)
		o->programs[i] = -1;
}

void opened_close(struct opened *o)
{
	closep(&o->kernel);
	closep(&o->initrd);
	closep(&o->kvm);
	closep(&o->vmm);
	fds_close(o->programs, KINDS_MAX);
	fds_close(o->files, CONFIG_DEVICES_MAX);
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
				     type_of(ret_st->st_mode),
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
static int lock_file(int fd, bool readonly, const char *what, const char *path,
		     struct open_error *e)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };
	int waited_ms = 0;

	for (;;) {
		int r = image_lock(fd, readonly);

		if (r == 0)
			return 0;
		if (r != -EAGAIN)
			return open_complain(e, r, "%s: %s cannot be locked: %s", what, path,
					     strerror(-r));
		if (waited_ms >= LOCK_WAIT_MS)
			break;
		nanosleep(&pause, NULL);
		waited_ms += LOCK_PAUSE_MS;
	}
	return open_complain(e, -EBUSY, "%s: %s is in use by another VM%s", what, path,
			     readonly ? " that writes to it" : ": only readonly=on can be shared");
}

static bool is_one_file(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* By whatever name; the lock would say that another VM has it. Several readers may. */
static int check_once(const struct opened *o, const struct vm_config *c, size_t i,
		      const struct stat *st, const char *path, struct open_error *e)
{
	const struct config_device *own = &c->devices[i];
	size_t number = 0;

	for (size_t k = 0; k < i; k++) {
		const struct config_device *d = &c->devices[k];
		struct stat other;

		number += d->kind == own->kind;
		if (o->files[k] < 0 || fstat(o->files[k], &other) < 0 || !is_one_file(st, &other) ||
		    (config_readonly(d) && config_readonly(own)))
			continue;
		return open_complain(e, -EEXIST,
				     "--%s: %s is this VM's %s %zu already, as %.*s: it can be "
				     "one %s, or several with readonly=on each",
				     own->kind->word, path, d->kind->word, number, (int)d->path_len,
				     d->path, own->kind->word);
	}
	return 0;
}

/* The whole file is what the device serves. */
static int open_served(const struct opened *o, const struct vm_config *c, size_t i,
		       struct open_error *e)
{
	const struct config_device *d = &c->devices[i];
	bool readonly = config_readonly(d);
	char path[CONFIG_PATH_MAX + 1], what[32];
	_cleanup_(closep) int fd = -1;
	struct stat st = { 0 };
	int r;

	snprintf(path, sizeof(path), "%.*s", (int)d->path_len, d->path);
	snprintf(what, sizeof(what), "--%s", d->kind->word);
	fd = open_file(what, path, readonly ? O_RDONLY : O_RDWR, true, &st, e);
	if (fd < 0)
		return fd;
	if (S_ISREG(st.st_mode) && (st.st_size == 0 || st.st_size % SECTOR))
		return open_complain(e, -EINVAL,
				     "%s: %s has %lld bytes: a multiple of 512 is right", what,
				     path, (long long)st.st_size);
	r = check_once(o, c, i, &st, path, e);
	if (r == 0)
		r = lock_file(fd, readonly, what, path, e);
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
	for (size_t i = 0; i < c->n_devices; i++) {
		if (!c->devices[i].kind->file.fd)
			continue;
		o->files[i] = open_served(o, c, i, e);
		if (o->files[i] < 0)
			return o->files[i];
	}
	return 0;
}

static int open_programs(struct opened *o, const struct vm_config *c, bool other_ids,
			 struct open_error *e)
{
	o->vmm = open_program(vmm_declared.name, other_ids, e);
	if (o->vmm < 0)
		return o->vmm;
	for (size_t i = 0; i < n_kinds_all; i++) {
		if (!config_count(c, kinds_all[i]))
			continue;
		o->programs[i] = open_program(kinds_all[i]->declared->name, other_ids, e);
		if (o->programs[i] < 0)
			return o->programs[i];
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
