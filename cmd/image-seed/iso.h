/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk with the label `cidata`, ISO 9660 with Joliet and Rock Ridge, made by libarchive: of its own accord that opens a
 * file for what it sorts, looks up the time zone and loads conversions between character sets. Here it finds the first two
 * made before the sandbox, and does without the third.
 */
#ifndef BULKHEAD_IMAGE_SEED_ISO_H
#define BULKHEAD_IMAGE_SEED_ISO_H

#include "cmd/image-seed/seed.h"

/* Before the sandbox. 0 or a negative errno. */
[[nodiscard]] int iso_prepare(void);
/* Once: the files into the disk, which gets all of its bytes in order by put. 0, or -EIO with *ret_why, which lives on. */
[[nodiscard]] int iso_write(const struct seed_files *files,
			    int (*put)(void *owner, const void *bytes, size_t len), void *owner,
			    const char **ret_why);

#endif
