/* SPDX-License-Identifier: Apache-2.0 */
/* The directory with a TPM's state; see internal.h. */
#include "lib/swtpm/internal.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY_ELSE 0077

int swtpm_complain(char why[SWTPM_WHY_MAX], int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, SWTPM_WHY_MAX, fmt, ap);
	va_end(ap);
	return error;
}

static bool is_ours(const struct stat *st)
{
	return st->st_uid == geteuid() || (geteuid() == 0 && st->st_uid == CGROUP_SWTPM_ID);
}

static int check(int fd, char why[SWTPM_WHY_MAX])
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return swtpm_complain(why, -errno, "%s", strerror(errno));
	if (!is_ours(&st))
		return swtpm_complain(why, -EPERM,
				      "it belongs to user %u, not to who starts the VM",
				      (unsigned int)st.st_uid);
	if (st.st_mode & NOBODY_ELSE)
		return swtpm_complain(
			why, -EPERM,
			"others may use it (mode %04o): a TPM's keys are in it, so make "
			"it 0700",
			(unsigned int)(st.st_mode & 07777));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return swtpm_complain(why, -errno, "%s",
				      errno == EWOULDBLOCK ? "another VM uses it" :
							     strerror(errno));
	return 0;
}

/* As root: to the id that has it. The directory was nobody else's to write before. */
static int give_file(int fd, const char *name)
{
	if (geteuid() != 0)
		return 0;
	return fchownat(fd, name, CGROUP_SWTPM_ID, CGROUP_SWTPM_ID, AT_SYMLINK_NOFOLLOW) < 0 ?
		       -errno :
		       0;
}

/* What swtpm 0.7 and its tools make there. */
static bool is_state(const char *name)
{
	static const char *const begins[] = { "tpm2-", "TMP2-", ".lock" };

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (strncmp(name, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

/* What has another name, or leads elsewhere, is not of this TPM alone. */
static int check_file(int fd, const char *name, char why[SWTPM_WHY_MAX])
{
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return swtpm_complain(why, -errno, "%.60s in it: %s", name, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return swtpm_complain(
			why, -EINVAL,
			"%.60s in it is a link or no file: a TPM's directory has files of "
			"its own alone",
			name);
	if (!is_state(name))
		return swtpm_complain(
			why, -EINVAL,
			"%.60s in it is not swtpm's: a TPM's directory has files of its own "
			"alone, so name an empty or a new one",
			name);
	return 0;
}

/* The label first: then it is still the caller's. */
static int take_file(int dir, const char *name, const struct selinux_vm *labels,
		     char why[SWTPM_WHY_MAX])
{
	_cleanup_(closep) int fd = -1;
	int r;

	if (labels->on) {
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		r = fd < 0 ? -errno : selinux_label_keys(labels, fd);
		if (r < 0)
			return swtpm_complain(
				why, r, "%.60s in it cannot be given the VM's SELinux label: %s",
				name, strerror(-r));
	}
	r = give_file(dir, name);
	return r < 0 ? swtpm_complain(why, r, "%.60s in it cannot be given to swtpm: %s", name,
				      strerror(-r)) :
		       0;
}

/* Looks at each file, or takes it with those labels. */
static int each_file(int fd, const struct selinux_vm *labels, char why[SWTPM_WHY_MAX])
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;
	int r = 0;

	if (!d) {
		r = swtpm_complain(why, -errno, "%s", strerror(errno));
		closep(&copy);
		return r;
	}
	while (r == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = labels ? take_file(fd, e->d_name, labels, why) :
				     check_file(fd, e->d_name, why);
	closedir(d);
	return r;
}

/* All of them are looked at before one is given away: of a directory that is named by mistake nothing changes. */
static int take_files(int fd, const struct selinux_vm *labels, char why[SWTPM_WHY_MAX])
{
	int r = each_file(fd, NULL, why);

	if (r == 0)
		r = each_file(fd, labels, why);
	return r < 0 ? r : take_file(fd, ".", labels, why);
}

int directory_open(const char *dir, const struct selinux_vm *labels, char why[SWTPM_WHY_MAX])
{
	_cleanup_(closep) int fd = -1;
	int r;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return swtpm_complain(why, -errno, "it cannot be made: %s", strerror(errno));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return swtpm_complain(why, -errno, "%s", strerror(errno));
	r = check(fd, why);
	if (r == 0)
		r = take_files(fd, labels, why);
	return r < 0 ? r : take_fd(&fd);
}
