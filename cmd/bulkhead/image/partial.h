/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is imported until it is whole and checked: ".NAME.import" beside its name, and ".NAME.import-from", which
 * says where it came from, so that the same command goes on with it.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_PARTIAL_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_PARTIAL_H

#include "cmd/bulkhead/image/files.h"
#include "lib/imagefile/fetched.h"

#include <stdint.h>

struct partial {
	struct image_target target; /* its part is the file, and its fd */
	struct origin origin;
	bool ours; /* this import's to change, and to remove */
	char from[NAME_MAX + 1];
};

/* Makes it or takes up what is there, for url; NULL: a file, from its beginning. 0, or an exit status after one line. */
[[nodiscard]] int partial_open(const struct image_words *w, const char *url, struct partial *ret);
/* Bytes that are there and can be gone on with. */
uint64_t partial_begun(const struct partial *p);
/* Bytes that its file system has for it, those that are there among them. */
uint64_t partial_room(const struct partial *p);
/* From here on what is there is of the file that the validator tells, which is "" of what cannot be gone on with. 0 or a
 * negative errno. */
[[nodiscard]] int partial_note(struct partial *p, const char *validator);
/* It failed: what can be gone on with stays. True if something does. */
bool partial_leave(struct partial *p);
/* It has its name, or is of no use. */
void partial_forget(struct partial *p);
void partial_close(struct partial *p);

#endif
