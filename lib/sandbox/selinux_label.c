/* SPDX-License-Identifier: Apache-2.0 */
/* Giving labels and reading them; see selinux.h. */
#include "lib/sandbox/selinux.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define XATTR "security.selinux"

int selinux_read(int proc_fd, pid_t pid, char out[SELINUX_LABEL_MAX])
{
	_cleanup_(closep) int fd = -1;
	char path[48];
	ssize_t n;

	snprintf(path, sizeof(path), "%d/attr/current", (int)pid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, out, SELINUX_LABEL_MAX - 1);
	if (n < 0)
		return errno == EINVAL || errno == EOPNOTSUPP ? -ENODATA : -errno;
	if (n == SELINUX_LABEL_MAX - 1)
		return -ENAMETOOLONG;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0'; /* other modules than SELinux end it so */
	return *out ? 0 : -ENODATA;
}

/* "USER:ROLE:bulkhead_supervisor_t:LEVEL"; another label is that of a VM without. */
int selinux_vm_of(int proc_fd, pid_t supervisor, struct selinux_vm *ret)
{
	static const char domain[] = ":" SELINUX_SUPERVISOR ":";
	char label[SELINUX_LABEL_MAX] = "";
	int r = selinux_read(proc_fd, supervisor, label);
	const char *at = strstr(label, domain);

	*ret = SELINUX_VM_NONE;
	if (r < 0 || !at)
		return r == -ENODATA ? 0 : r;
	if ((size_t)(at - label) >= sizeof(ret->who) ||
	    strlen(at) - (sizeof(domain) - 1) >= sizeof(ret->level))
		return -ENAMETOOLONG;
	memcpy(ret->who, label, (size_t)(at - label));
	memcpy(ret->level, at + sizeof(domain) - 1, strlen(at) - (sizeof(domain) - 1));
	ret->on = true;
	return 0;
}

static int write_own(int proc_fd, const char *path, const char *label)
{
	_cleanup_(closep) int fd = openat(proc_fd, path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, label, strlen(label)) < 0)
		return -errno;
	return 0;
}

int selinux_become(const struct selinux_vm *s, int proc_fd, const char *domain)
{
	char label[SELINUX_LABEL_MAX];

	if (!s->on)
		return 0;
	selinux_label(s, domain, label);
	return write_own(proc_fd, "self/attr/current", label);
}

int selinux_at_exec(int proc_fd, const char *label)
{
	return write_own(proc_fd, "self/attr/exec", label);
}

/* Opening waits until an exec that closed a descriptor already has given the label, too. */
int selinux_check(int proc_fd, pid_t pid, const char *label)
{
	char is[SELINUX_LABEL_MAX];
	int r = selinux_read(proc_fd, pid, is);

	if (r < 0)
		return r;
	return strcmp(is, label) == 0 ? 0 : -EPERM;
}

static bool is_shared(int fd)
{
	static const char end[] = ":bulkhead_shared_t:s0";
	char is[SELINUX_LABEL_MAX] = "";
	ssize_t n = fgetxattr(fd, XATTR, is, sizeof(is) - 1);
	size_t len = n < 0 ? 0 : strlen(is);

	return len >= sizeof(end) && strcmp(is + len - (sizeof(end) - 1), end) == 0;
}

static int label_object(const struct selinux_vm *s, int fd, const char *type, const char *level)
{
	char label[SELINUX_LABEL_MAX];
	const char *user_end = strchr(s->who, ':');

	snprintf(label, sizeof(label), "%.*s:object_r:%s:%s", (int)(user_end - s->who), s->who,
		 type, level);
	return fsetxattr(fd, XATTR, label, strlen(label) + 1, 0) < 0 ? -errno : 0;
}

int selinux_label_disk(const struct selinux_vm *s, int fd, bool readonly)
{
	if (!s->on || (readonly && is_shared(fd)))
		return 0;
	return readonly ? label_object(s, fd, "bulkhead_shared_t", "s0") :
			  label_object(s, fd, "bulkhead_image_t", s->level);
}

int selinux_label_keys(const struct selinux_vm *s, int fd)
{
	return s->on ? label_object(s, fd, "bulkhead_keys_t", s->level) : 0;
}
