/* SPDX-License-Identifier: Apache-2.0 */
/* The VM's SELinux labels; see open.h. */
#include "cmd/supervisor/open.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static const char *reason(int error)
{
	if (error == -EPERM || error == -EACCES)
		return "its owner, in a domain that may, has to";
	if (error == -EOPNOTSUPP)
		return "its file system has no labels";
	return strerror(-error);
}

/* A file that is only read, as a backing file is, may be of several VMs. */
static int label_file(const struct config_device *d, unsigned int i, int fd,
		      const struct selinux_vm *s, struct open_error *e)
{
	const struct config_file file = config_device_file(d, i);
	int r = selinux_label_disk(s, fd, config_file_readonly(d, i));

	return r < 0 ? open_complain(e, r, "--%s: %.*s cannot be given the VM's SELinux label: %s",
				     d->kind->word, (int)file.path_len, file.path, reason(r)) :
		       0;
}

static int label_device(const struct opened *o, const struct vm_config *c, size_t i,
			const struct selinux_vm *s, struct open_error *e)
{
	int r = 0;

	for (unsigned int k = 0; k < KIND_FILES_MAX && r == 0; k++) {
		int fd = k ? o->more[i][k - 1] : o->files[i];

		if (fd >= 0 && !c->devices[i].remote && !c->devices[i].made)
			r = label_file(&c->devices[i], k, fd, s, e);
	}
	return r;
}

/* Mapped by the domain that may read it, for the one that may not. */
static int map_file(int fd, struct boot_file *ret, const char *what, struct open_error *e)
{
	struct stat st;
	void *bytes;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return open_complain(e, -errno, "%s: %s", what, strerror(errno));
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return open_complain(e, -errno, "%s: %s", what, strerror(errno));
	*ret = (struct boot_file){ bytes, (size_t)st.st_size };
	return 0;
}

int open_labels(struct opened *o, const struct vm_config *c, struct selinux_vm *s,
		struct open_error *e)
{
	int r = selinux_vm_open(s);

	if (r < 0)
		return open_complain(e, r, "SELinux: a pair of categories: %s", strerror(-r));
	for (size_t i = 0; i < c->n_devices && r == 0; i++)
		if (c->devices[i].made)
			r = map_file(o->files[i], &o->seed_map, "--cloud-init", e);
	if (!s->on || r < 0)
		return r;
	for (size_t i = 0; i < c->n_devices && r == 0; i++)
		r = label_device(o, c, i, s, e);
	if (r == 0)
		r = map_file(o->kernel, &o->kernel_map, c->firmware ? "--firmware" : "--kernel", e);
	return r < 0 ? r : map_file(o->initrd, &o->initrd_map, "--initrd", e);
}

/* Whole, and never to change. */
static int fill(int fd, const struct boot_file *f)
{
	for (size_t at = 0; at < f->len;) {
		ssize_t n = write(fd, (const char *)f->bytes + at, f->len - at);

		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
}

int boot_seal(const char *name, const struct boot_file *f)
{
	_cleanup_(closep) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : fill(fd, f);

	return r < 0 ? r : take_fd(&fd);
}

/* *fd: the file's descriptor, replaced. */
static int copy(struct boot_file *f, int *fd, const char *what, struct open_error *e)
{
	int new;

	if (f->len == 0)
		return 0;
	new = boot_seal(what, f);
	if (new < 0)
		return open_complain(e, new, "--%s: a copy of it: %s", what, strerror(-new));
	munmap((void *)(uintptr_t)f->bytes, f->len);
	closep(fd);
	*fd = new;
	return 0;
}

/* The command may hold it open for writing: what was read is what stays. */
static int copy_seed(struct opened *o, struct open_error *e)
{
	for (size_t i = 0; i < CONFIG_DEVICES_MAX && o->seed_map.len; i++)
		if (o->files[i] == SUPERVISOR_FD_SEED)
			return copy(&o->seed_map, &o->files[i], "cloud-init", e);
	return 0;
}

int boot_copy(struct opened *o, struct open_error *e)
{
	int r = copy(&o->kernel_map, &o->kernel, "kernel", e);

	if (r == 0)
		r = copy(&o->initrd_map, &o->initrd, "initrd", e);
	return r < 0 ? r : copy_seed(o, e);
}
