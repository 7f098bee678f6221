/* SPDX-License-Identifier: Apache-2.0 */
/* The files behind a guest's RAM and behind state; see ram.h. */
#include "cmd/supervisor/ram.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>

#define RAM_NAME "guest-ram" /* as maps and audits show it */

int ram_create_unsealed(const char *name, uint64_t size_bytes)
{
	_cleanup_(closep) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size_bytes) < 0)
		return -errno;
	return take_fd(&fd);
}

int ram_create_sized(const char *name, uint64_t size_bytes)
{
	_cleanup_(closep) int fd = ram_create_unsealed(name, size_bytes);

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return -errno;
	return take_fd(&fd);
}

int ram_create_sealed(const char *name, uint64_t size_bytes)
{
	_cleanup_(closep) int fd = ram_create_unsealed(name, size_bytes);

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return take_fd(&fd);
}

/* Not attached anywhere: it goes when the last descriptor and mapping of its one file go. */
static int mount_huge(uint64_t size_bytes)
{
	_cleanup_(closep) int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	char size[32];
	int mnt;

	if (fs < 0)
		return -errno;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)size_bytes);
	if (fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "2", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "huge", "within_size", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mnt = fsmount(fs, FSMOUNT_CLOEXEC,
		      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return mnt < 0 ? -errno : mnt;
}

static int create_huge(uint64_t size_bytes)
{
	_cleanup_(closep) int mnt = mount_huge(size_bytes);
	_cleanup_(closep) int fd = -1;

	if (mnt < 0)
		return mnt;
	fd = openat(mnt, RAM_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size_bytes) < 0)
		return -errno;
	return take_fd(&fd);
}

int ram_create(uint64_t size_bytes, bool huge)
{
	int fd = huge ? create_huge(size_bytes) : -EINVAL;

	/* EINVAL: a kernel without transparent huge pages does not know the option */
	return fd == -EINVAL ? ram_create_sealed(RAM_NAME, size_bytes) : fd;
}
