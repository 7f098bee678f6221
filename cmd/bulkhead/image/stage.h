/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One job of image-fetch or image-digest in the course of `bulkhead image import`. A child of the command starts it and
 * relays what it says, confined, as the command itself does for other jobs; the command hears lines of the child, each of
 * which is checked before it is used (lib/imagefile/fetched.h).
 */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_STAGE_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_STAGE_H

#include "cmd/bulkhead/image/words.h"
#include "lib/imagefile/fetched.h"

/* False: it is not what may be said now. */
typedef bool (*stage_heard)(void *owner, const struct said *said);

/*
 * Carries out w's job, whose descriptors stay open here; those of `keep`, which ends with -1, its processes do not get. An
 * exit status: a line has said why, but for that of an interruption.
 */
[[nodiscard]] int stage_run(struct image_words *w, int signals, const int *keep, stage_heard heard,
			    void *owner);
/* The same for any work of a child: run returns its exit status. */
[[nodiscard]] int stage_fork(struct image_words *w, int signals, int (*run)(struct image_words *w));

#endif
