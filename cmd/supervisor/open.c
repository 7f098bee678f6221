/* SPDX-License-Identifier: Apache-2.0 */
/* The files that the user named; see open.h. */
#include "cmd/supervisor/open.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/config/firmware.h"
#include "lib/files/files.h"
#include "lib/fwcfg/flash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

void opened_init(struct opened *o)
{
	*o = (struct opened){ .kernel = -1,
			      .initrd = -1,
			      .identity = -1,
			      .kvm = -1,
			      .tpm = -1,
			      .listeners = { -1, -1 },
			      .dialer = { .pidfd = -1 },
			      .vmm = -1 };
	for (size_t i = 0; i < CONFIG_DEVICES_MAX; i++) {
		o->files[i] = o->foreign[i] = o->meets[i] = o->reach[i] = -1;
		for (size_t k = 0; k < KIND_FILES_MAX - 1; k++)
			o->more[i][k] = -1;
		for (size_t k = 0; k < KIND_LINK_FDS_EACH; k++)
			o->links[i][k] = -1;
	}
	for (size_t i = 0; i < KINDS_MAX; i++)
		o->programs[i] = -1;
}

void opened_close(struct opened *o)
{
	closep(&o->kernel);
	closep(&o->initrd);
	closep(&o->identity);
	closep(&o->kvm);
	closep(&o->vmm);
	closep(&o->tpm);
	dialer_close(&o->dialer);
	fds_close(o->programs, KINDS_MAX);
	fds_close(o->files, CONFIG_DEVICES_MAX);
	fds_close(o->foreign, CONFIG_DEVICES_MAX);
	fds_close(o->meets, CONFIG_DEVICES_MAX);
	fds_close(o->reach, CONFIG_DEVICES_MAX);
	for (size_t i = 0; i < CONFIG_DEVICES_MAX; i++) {
		fds_close(o->more[i], KIND_FILES_MAX - 1);
		fds_close(o->links[i], KIND_LINK_FDS_EACH);
	}
}

/* A file that goes into guest RAM whole. */
static int open_image(const char *what, const char *path, uint64_t memory, struct open_error *e)
{
	struct stat st = { 0 };
	_cleanup_(closep) int fd =
		file_open(what, path, O_RDONLY, false, &st, e->text, sizeof(e->text));

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

static bool is_secure_boot(const char *path)
{
	_cleanup_(freep) char *real = realpath(path, NULL);
	const char *name = strrchr(real ? real : path, '/');

	return strstr(name ? name : path, ".secboot.") != NULL;
}

/* A file that is what it is below 4 GiB. */
static int open_firmware(struct opened *o, const char *path, struct open_error *e)
{
	struct stat st = { 0 };
	_cleanup_(closep) int fd =
		file_open("--firmware", path, O_RDONLY, false, &st, e->text, sizeof(e->text));

	if (fd == -ENOENT && firmware_package(path))
		return open_complain(
			e, fd,
			"--firmware: %s is not there: install Debian's package %s, or say "
			"--kernel FILE",
			path, firmware_package(path));
	if (fd < 0)
		return fd;
	if (is_secure_boot(path))
		return open_complain(e, -EINVAL,
				     "--firmware: %s needs SMM, which Bulkhead does not have: say "
				     "OVMF_CODE_4M.fd, which does not enforce Secure Boot",
				     path);
	if (st.st_size < CONFIG_FIRMWARE_MIN || st.st_size > CONFIG_FIRMWARE_MAX ||
	    st.st_size % 4096)
		return open_complain(e, -EINVAL,
				     "--firmware: %s has %lld bytes: %u KiB to %u MiB, a multiple "
				     "of 4096, is right",
				     path, (long long)st.st_size, CONFIG_FIRMWARE_MIN >> 10,
				     CONFIG_FIRMWARE_MAX >> 20);
	o->firmware_size = (uint64_t)st.st_size;
	return take_fd(&fd);
}

/* The variables of that firmware. */
static int check_flash(struct opened *o, const char *what, const char *path, const struct stat *st,
		       struct open_error *e)
{
	bool has_log;
	const uint64_t size = S_ISREG(st->st_mode) ? flash_size((uint64_t)st->st_size, &has_log) :
						     0;

	if (!size)
		return open_complain(
			e, -EINVAL,
			"%s: %s has %lld bytes: a copy of the firmware's own template, "
			"as OVMF_VARS_4M.fd, is right",
			what, path, (long long)st->st_size);
	if (!flash_fits(o->firmware_size, size))
		return open_complain(
			e, -EINVAL,
			"%s: %s has %llu bytes and --firmware has %llu: they are not made "
			"for one another, as OVMF_CODE_4M.fd and OVMF_VARS_4M.fd are",
			what, path, (unsigned long long)size, (unsigned long long)o->firmware_size);
	o->flash_size = size;
	return 0;
}

static bool is_one_file(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* A file of a device that is there already. */
struct earlier {
	const struct config_device *device;
	size_t number; /* of the device among those of its kind, from 1 on */
	unsigned int file;
};

static int complain_twice(const struct config_device *own, unsigned int file, const char *path,
			  const struct earlier *other, struct open_error *e)
{
	const struct config_device *d = other->device;
	const struct config_file first = config_device_file(d, other->file);
	const char *word = d->kind->word;

	if (d == own)
		return open_complain(e, -EEXIST, "--%s: %s is said twice in one %s, as %.*s too",
				     word, path, word, (int)first.path_len, first.path);
	if (file || other->file)
		return open_complain(e, -EEXIST,
				     "--%s: %s is of this VM's %s %zu already, as %.*s, and one of "
				     "the two writes to it",
				     own->kind->word, path, word, other->number,
				     (int)first.path_len, first.path);
	return open_complain(e, -EEXIST,
			     "--%s: %s is this VM's %s %zu already, as %.*s: it can be "
			     "one %s, or several with readonly=on each",
			     own->kind->word, path, word, other->number, (int)first.path_len,
			     first.path, own->kind->word);
}

/* By whatever name; the lock would say that another VM has it. Several readers may, but for those of one
 * device. */
static int check_against(const struct opened *o, size_t k, const struct config_device *own,
			 unsigned int file, const struct stat *st, const char *path,
			 struct earlier *other, struct open_error *e)
{
	const struct config_device *d = other->device;

	for (unsigned int i = 0; i < KIND_FILES_MAX; i++) {
		int fd = i ? o->more[k][i - 1] : o->files[k];
		struct stat there;

		if (fd < 0 || fstat(fd, &there) < 0 || !is_one_file(st, &there) ||
		    (d != own && config_file_readonly(d, i) && config_file_readonly(own, file)))
			continue;
		other->file = i;
		return complain_twice(own, file, path, other, e);
	}
	return 0;
}

static int check_once(const struct opened *o, const struct vm_config *c, size_t i,
		      unsigned int file, const struct stat *st, const char *path,
		      struct open_error *e)
{
	struct earlier other = { .number = 0 };
	int r = 0;

	for (size_t k = 0; k <= i && r == 0; k++) {
		other.device = &c->devices[k];
		other.number += other.device->kind == c->devices[i].kind;
		r = check_against(o, k, &c->devices[i], file, st, path, &other, e);
	}
	return r;
}

static int lock(const struct config_device *d, unsigned int file, int fd, const char *what,
		const char *path, struct open_error *e)
{
	int r = file_lock(fd, config_file_readonly(d, file), what, path, e->text, sizeof(e->text));

	if (r == -EBUSY && !kind_option(d->kind, "readonly"))
		return open_complain(e, r, "%s: %s is in use by another VM: each has its own", what,
				     path);
	return r;
}

/* The whole file is what the device serves, or a part of it. */
static int open_served(struct opened *o, const struct vm_config *c, size_t i, unsigned int file,
		       struct open_error *e)
{
	const struct config_device *d = &c->devices[i];
	const struct config_file name = config_file_of(c, d, file);
	char path[CONFIG_PATH_MAX + 1], what[32];
	_cleanup_(closep) int fd = -1;
	struct stat st = { 0 };
	int r;

	snprintf(path, sizeof(path), "%.*s", (int)name.path_len, name.path);
	snprintf(what, sizeof(what), "--%s", d->kind->word);
	fd = file_open_served(d, file, what, path, &st, e->text, sizeof(e->text));
	if (fd < 0)
		return fd;
	r = check_once(o, c, i, file, &st, path, e);
	if (r == 0 && d->kind->flash_fd)
		r = check_flash(o, what, path, &st, e);
	if (r == 0)
		r = lock(d, file, fd, what, path, e);
	return r < 0 ? r : take_fd(&fd);
}

/* With the rights of the user; what it is told and what it says is between it and the vmm. */
static int connect_foreign(const struct config_device *d, struct open_error *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_(closep) int fd = -1;

	if (d->path_len >= sizeof(a.sun_path))
		return open_complain(e, -ENAMETOOLONG,
				     "--%s: the name of a socket has up to %zu bytes",
				     d->kind->word, sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, d->path, d->path_len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return open_complain(e, -errno,
				     "--%s: %s: %s: a vhost-user back end that listens there is "
				     "right",
				     d->kind->word, a.sun_path, strerror(errno));
	return take_fd(&fd);
}

/* The command has put it there. */
static int take_link(struct opened *o, const struct vm_config *c, size_t i, struct open_error *e)
{
	const int first = SUPERVISOR_FD_LINKS + (int)config_link_number(c, i);
	struct stat st;

	for (unsigned int k = 0; k < config_link_fds(&c->devices[i]); k++) {
		if (fd_stat(first + (int)k, &st) < 0)
			return open_complain(
				e, -EBADF,
				"--%s: what it is joined to is missing: start it by bulkhead run",
				c->devices[i].kind->word);
		o->links[i][k] = first + (int)k;
	}
	return 0;
}

/* The command has put it there. */
static int take_seed(struct opened *o, size_t i, struct open_error *e)
{
	struct stat st;

	if (fd_stat(SUPERVISOR_FD_SEED, &st) < 0 || st.st_size < 1 ||
	    (uint64_t)st.st_size > CONFIG_SEED_DISK_MAX)
		return open_complain(e, -EBADF,
				     "--cloud-init: its disk is missing: start it by bulkhead run");
	o->files[i] = SUPERVISOR_FD_SEED;
	return 0;
}

static int open_device(struct opened *o, const struct vm_config *c, size_t i, struct open_error *e)
{
	const struct config_device *d = &c->devices[i];

	if (d->foreign) {
		o->foreign[i] = connect_foreign(d, e);
		return o->foreign[i] < 0 ? o->foreign[i] : 0;
	}
	if (config_is_handed(d))
		return take_link(o, c, i, e);
	if (!d->kind->file.fd)
		return 0;
	if (d->made)
		return take_seed(o, i, e);
	o->files[i] = d->remote ? dialer_add(&o->dialer, d, e) : open_served(o, c, i, 0, e);
	if (o->files[i] < 0)
		return o->files[i];
	for (unsigned int k = 0; k < KIND_FILES_MAX - 1; k++) {
		if (!d->more[k].path)
			continue;
		o->more[i][k] = open_served(o, c, i, k + 1, e);
		if (o->more[i][k] < 0)
			return o->more[i][k];
	}
	return 0;
}

static int open_files(struct opened *o, const struct vm_config *c, struct open_error *e)
{
	int r;

	o->kernel = c->firmware ? open_firmware(o, c->firmware, e) :
				  open_image("--kernel", c->kernel, c->memory, e);
	if (o->kernel < 0)
		return o->kernel;
	if (c->initrd) {
		o->initrd = open_image("--initrd", c->initrd, c->memory, e);
		if (o->initrd < 0)
			return o->initrd;
	}
	r = identity_open(o, c, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->n_devices; i++) {
		r = open_device(o, c, i, e);

		if (r < 0)
			return r;
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
		bool needed = config_count(c, kinds_all[i]);

		if (!needed && !(kind_may_come(kinds_all[i]) && config_spares(c)))
			continue;
		o->programs[i] = open_program(kinds_all[i]->declared->name, other_ids, e);
		if (o->programs[i] < 0 && needed)
			return o->programs[i];
	}
	return 0;
}

/* Whoever is reached need not be there yet. */
static int open_reached(struct opened *o, const struct vm_config *c, const char *runtime,
			struct open_error *e)
{
	for (size_t i = 0; i < c->n_devices; i++) {
		const struct config_device *d = &c->devices[i];

		if (!config_reaches(d) && !config_opens(d))
			continue;
		o->reach[i] =
			config_opens(d) ?
				dialer_add_opened(&o->dialer, config_opens(d), d->kind->word, e) :
				dialer_add_reached(&o->dialer, d, c->name, runtime, e);
		if (o->reach[i] < 0)
			return o->reach[i];
	}
	return 0;
}

int opened_open(struct opened *o, const struct vm_config *c, const char *runtime, bool other_ids,
		struct open_error *e)
{
	int r = open_files(o, c, e);

	if (r == 0)
		r = open_reached(o, c, runtime, e);
	if (r == 0)
		r = dialer_start(&o->dialer, e);
	if (r < 0)
		return r;
	r = open_accel(o, c, e);
	if (r < 0)
		return r;
	r = open_programs(o, c, other_ids, e);
	if (r == 0)
		r = open_listeners(c->name, runtime, o->listeners, e);
	for (size_t i = 0; i < c->n_devices && r == 0; i++)
		if (c->devices[i].kind->meets_fd && !c->devices[i].off)
			r = open_meeting(c->name, c->devices[i].kind->word, runtime, &o->meets[i],
					 e);
	return r;
}
