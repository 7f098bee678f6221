/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who else uses a disk's image; see files.h.
 *
 * Bulkhead's own lock, for one writer or several readers, is on the first 100 bytes, where a lock on
 * the whole file meets it too. QEMU's convention is beside it (its block/file-posix.c): a byte for each
 * kind of access that a process has (from 100 on) and for each that it does not share (from 200 on), each
 * locked by reading locks only; it may be used if nobody holds a byte that speaks against it.
 *
 * Two bytes more are for who changes the image of a running VM, beside the VM's lock. The first is an open file's lock,
 * as the others are: it lasts until the last process is gone that could still write by it. The second is a process's, for
 * it to be named.
 */
#include "lib/files/files.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>

#define OWN_START 0
#define OWN_LEN 100
#define QEMU_USES 100
#define QEMU_KEEPS 200
#define CHANGE_START 300
#define CHANGE_NAME 301

/* QEMU's BLK_PERM_*; the others, rewriting what is there already among them, are not ours to use and
 * do no harm. */
enum access { ACCESS_READ = 0, ACCESS_WRITE = 1, ACCESS_RESIZE = 3 };

static int set_lock(int fd, short type, off_t start, off_t len)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* 0 when nobody else has a lock on the byte against which one of that type would be. */
static int look_for(int fd, short type, off_t byte)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	return lock.l_type == F_UNLCK ? 0 : -EAGAIN;
}

static int look(int fd, off_t byte)
{
	return look_for(fd, F_WRLCK, byte);
}

/* Whoever can only read the file can lock it only for that, and holds nobody up. */
static int look_for_change(int fd)
{
	return look_for(fd, F_RDLCK, CHANGE_START);
}

/* Says it first and looks afterwards, as everybody does: of two that begin at once, one sees the
 * other. */
static int uses(int fd, enum access access)
{
	int r = set_lock(fd, F_RDLCK, QEMU_USES + access, 1);

	return r < 0 ? r : look(fd, QEMU_KEEPS + access);
}

static int keeps(int fd, enum access access)
{
	int r = set_lock(fd, F_RDLCK, QEMU_KEEPS + access, 1);

	return r < 0 ? r : look(fd, QEMU_USES + access);
}

static int lock_for_qemu(int fd, bool readonly)
{
	int r = uses(fd, ACCESS_READ);

	if (r == 0 && !readonly)
		r = uses(fd, ACCESS_WRITE);
	if (r == 0)
		r = keeps(fd, ACCESS_WRITE);
	return r < 0 ? r : keeps(fd, ACCESS_RESIZE);
}

int image_lock(int fd, bool readonly)
{
	int r = set_lock(fd, readonly ? F_RDLCK : F_WRLCK, OWN_START, OWN_LEN);

	if (r == 0)
		r = look_for_change(fd); /* of a VM that has ended meanwhile */
	if (r == 0)
		r = lock_for_qemu(fd, readonly);
	if (r < 0) /* nobody is to meet the half of it */
		(void)!set_lock(fd, F_UNLCK, 0, 0);
	return r == -EACCES ? -EAGAIN : r;
}

/* ---- changes beside a running VM ---- */

int image_change_lock(int fd)
{
	struct flock name = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = CHANGE_NAME, .l_len = 1
	};
	int r = set_lock(fd, F_WRLCK, CHANGE_START, 1);

	if (r == 0)
		(void)!fcntl(fd, F_SETLK, &name); /* no more than a help */
	return r == -EACCES ? -EAGAIN : r;
}

bool image_is_changing(int fd)
{
	return look_for_change(fd) == -EAGAIN;
}

pid_t image_changer(int fd)
{
	struct flock name = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = CHANGE_NAME, .l_len = 1
	};

	return fcntl(fd, F_GETLK, &name) == 0 && name.l_type != F_UNLCK && name.l_pid > 0 ?
		       name.l_pid :
		       0;
}
