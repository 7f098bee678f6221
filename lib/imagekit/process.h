/* SPDX-License-Identifier: Apache-2.0 */
/* What the mains of image-tool and image-import share: their words and descriptors, the sandbox, and what they say. */
#ifndef BULKHEAD_IMAGEKIT_PROCESS_H
#define BULKHEAD_IMAGEKIT_PROCESS_H

#include "lib/declared/declared.h"
#include "lib/imagefile/job.h"
#include "lib/imagefile/progress.h"

#include <stdbool.h>

/* Words, then descriptors: all but the job's are closed. 0, or a negative errno after a line. */
[[nodiscard]] int image_process_open(int argc, char **argv, struct image_job *ret);
/* No way back. The same. */
[[nodiscard]] int image_process_enter(const struct sandbox_policy *policy);

/* A line about the job's failure, for the user; name may be NULL. Returns IMAGE_EXIT_FAILED. */
[[gnu::format(printf, 2, 3)]] int image_fail(const char *name, const char *fmt, ...);
/* "NAME: what: REASON", where the reason is the errno's; "no space is left …" for its. */
int image_fail_errno(const char *name, const char *what, int error);
[[gnu::format(printf, 2, 3)]] void image_warn(const char *name, const char *fmt, ...);

/* Text for the user's standard output, kept and written in pieces. */
[[gnu::format(printf, 1, 2)]] void image_print(const char *fmt, ...);
/* The rest of it. False: it could not be written, and no more is needed. */
[[nodiscard]] bool image_print_end(void);

/* Does not wait; what nobody reads is dropped. */
void image_progress(uint64_t done, uint64_t total);

/* A number of bytes as people say it: "1.5 GiB", as qemu-img does. */
const char *image_size_text(uint64_t bytes, char *out, size_t cap);

#endif
