/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that a user named, opened with the caller's rights: which may be used, and by whom at a time. An
 * error is one line in why, beside a negative errno; what is the option's name in it, "--disk".
 */
#ifndef BULKHEAD_FILES_FILES_H
#define BULKHEAD_FILES_FILES_H

#include "lib/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* A regular file, or with block_too a block device. */
[[nodiscard]] int file_open(const char *what, const char *path, int flags, bool block_too,
			    struct stat *ret_st, char *why, size_t cap);
/* The i-th file of a device (config_device_file), of a size that can be served. */
[[nodiscard]] int file_open_served(const struct config_device *d, unsigned int i, const char *what,
				   const char *path, struct stat *ret_st, char *why, size_t cap);
/*
 * One VM may write, or several may read. The lock belongs to the open file, so that it lasts as long as the
 * device that the descriptor is handed to, and as its I/O: the kernel may need a moment to wind that up
 * after the device is gone, which is waited for. -EBUSY: somebody else has it.
 */
[[nodiscard]] int file_lock(int fd, bool readonly, const char *what, const char *path, char *why,
			    size_t cap);

/*
 * lock.c: the image may be used by this VM, to write it or together with others that only read, also as far
 * as QEMU's programs are concerned, as long as the open file lasts. 0; -EAGAIN: somebody else uses it in a
 * way that does not go together; or the error of fcntl.
 */
[[nodiscard]] int image_lock(int fd, bool readonly);

/* The same for a moment longer: a device that has just ended may still hold it. */
[[nodiscard]] int image_lock_soon(int fd, bool readonly);

/*
 * lock.c: a command that changes the image of a VM that runs, and has let go of it, says so before it asks the VM for it. No
 * process of a disk is started on it, and no image_lock gets it, as long as the open file lasts: until nobody is left
 * who could write by it. 0; -EAGAIN: another does; or the error of fcntl.
 */
[[nodiscard]] int image_change_lock(int fd);
/* Whether somebody does, by another open file of it than this. */
[[nodiscard]] bool image_is_changing(int fd);
/* The process that has locked it for that, as far as it can be seen from here; or 0. */
[[nodiscard]] pid_t image_changer(int fd);

#endif
