/* SPDX-License-Identifier: Apache-2.0 */
/* The root of an swtpm; see internal.h. */
#include "lib/swtpm/internal.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where programs and libraries are; on a merged /usr the last ones are symbolic links. */
static const char *const shown[] = { "/usr", "/lib", "/lib64" };
static int trees[ARRAY_SIZE(shown)] = { -1, -1, -1 };

static int lock_tree(int tree, uint64_t attributes)
{
	struct mount_attr attr = { .attr_set = attributes };

	return mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ?
		       -errno :
		       0;
}

/* A copy of what is mounted there. */
static int copy_tree(const char *path, unsigned int flags, uint64_t attributes)
{
	_cleanup_(closep) int tree =
		open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
	int r;

	if (tree < 0)
		return -errno;
	r = lock_tree(tree, attributes);
	return r < 0 ? r : take_fd(&tree);
}

static int copy_shown(void)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		if (lstat(shown[i], &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		trees[i] = copy_tree(shown[i], AT_RECURSIVE,
				     MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
		if (trees[i] < 0)
			return trees[i];
	}
	return 0;
}

/* By its name once more, as a mount of this namespace; it must be what is locked. */
static int copy_state(const char *dir, int lock)
{
	_cleanup_(closep) int tree =
		copy_tree(dir, 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	struct stat is, was;

	if (tree < 0)
		return tree;
	if (fstat(tree, &is) < 0 || fstat(lock, &was) < 0)
		return -errno;
	return is.st_dev == was.st_dev && is.st_ino == was.st_ino ? take_fd(&tree) : -ESTALE;
}

static int small_mount(void)
{
	_cleanup_(closep) int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	int mnt;

	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "size", "16384", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "16", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0555", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mnt = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	return mnt < 0 ? -errno : mnt;
}

/* path is from the root; the new one is the working directory. */
static int attach(int tree, const char *path)
{
	if (mkdir(path + 1, 0755) < 0 ||
	    move_mount(tree, "", AT_FDCWD, path + 1, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static int show(const char *path, int tree)
{
	char to[PATH_MAX];
	ssize_t n;

	if (tree >= 0)
		return attach(tree, path);
	n = readlink(path, to, sizeof(to) - 1);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	to[n] = '\0';
	return symlink(to, path + 1) < 0 ? -errno : 0;
}

static int fill(int state)
{
	int r = attach(state, SWTPM_STATE);

	for (size_t i = 0; i < ARRAY_SIZE(shown) && r == 0; i++)
		r = show(shown[i], trees[i]);
	return r;
}

/* The old root ends up on top of the new one, where "." still finds it to be taken off. */
static int enter(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
	    chdir("/") < 0 || mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0)
		return -errno;
	return chdir(SWTPM_STATE) < 0 ? -errno : 0;
}

int root_make(const char *dir, int lock)
{
	_cleanup_(closep) int mnt = -1, state = -1;
	int r;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	state = copy_state(dir, lock);
	if (state < 0)
		return state;
	r = copy_shown();
	if (r < 0)
		return r;
	mnt = small_mount();
	if (mnt < 0)
		return mnt;
	if (move_mount(mnt, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 || fchdir(mnt) < 0)
		return -errno;
	r = fill(state);
	return r < 0 ? r : enter();
}
