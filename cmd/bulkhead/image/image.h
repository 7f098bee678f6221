/* SPDX-License-Identifier: Apache-2.0 */
/* A job of `bulkhead image`, also for other verbs. */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_IMAGE_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_IMAGE_H

#include "cmd/bulkhead/image/words.h"

/* Opens the words' files and carries the job out. An exit status, after one line if it is not 0. This process is
 * confined afterwards. */
[[nodiscard]] int image_carry_out(struct image_words *w);

#endif
