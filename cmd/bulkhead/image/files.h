/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a job of `bulkhead image`: opened with their user's rights, locked, and handed on as descriptors. */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_FILES_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_FILES_H

#include "cmd/bulkhead/image/words.h"

#include <limits.h>
#include <stdbool.h>

/*
 * A file that is made. It is written under another name in the same directory, which becomes its own when
 * all is well: what was there before stays until then.
 */
struct image_target {
	const char *path;	 /* as the user said it */
	int dir;		 /* -1: it is written in its place, a block device */
	char name[NAME_MAX + 1]; /* in dir */
	char part[NAME_MAX + 1];
	int fd;	 /* -1: there is none */
	int old; /* the file that it takes the place of, locked; or -1 */
};

#define IMAGE_TARGET_NONE ((struct image_target){ .dir = -1, .fd = -1, .old = -1 })

/* Opens everything that the words name, and fills the job's nodes, whose descriptors are those of this
 * process. 0, or an exit status after one line. */
[[nodiscard]] int image_files_open(struct image_words *w, struct image_target *t);

/* t->path's directory and its name there; links are followed, so that what they point to is replaced. */
[[nodiscard]] int image_target_split(const struct image_words *w, struct image_target *t);
/* Locks a file that is open as a VM would; opens one. 0, or an exit status after one line. */
[[nodiscard]] int image_file_lock(const struct image_words *w, int fd, bool readonly,
				  const char *path);
[[nodiscard]] int image_file_open(const struct image_words *w, const char *path, bool readonly,
				  int *ret);

/* These use no path and no call but renameat and unlinkat in its directory, fchmod and fsync: for a
 * confined process. 0 or a negative errno. */
[[nodiscard]] int image_target_keep(struct image_target *t);
void image_target_drop(struct image_target *t);

#endif
