/* SPDX-License-Identifier: Apache-2.0 */
/* A job of `bulkhead image`, also for other verbs. */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_IMAGE_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_IMAGE_H

#include "cmd/bulkhead/image/words.h"

/* Opens the words' files and carries the job out. An exit status, after one line if it is not 0. This process is
 * confined afterwards. */
[[nodiscard]] int image_carry_out(struct image_words *w);

struct image_target;

/* A signalfd of what interrupts a job; from here on nothing else does. Or a negative errno. */
[[nodiscard]] int image_signals_open(void);
/* The command while it relays, with the directory of t, if it makes something; as sandbox_confine_self. */
[[nodiscard]] int image_confine(struct image_target *t, const char **ret_what);

#endif
