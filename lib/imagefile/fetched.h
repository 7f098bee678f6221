/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What image-fetch and image-digest say to the command: lines of text through a pipe, HOSTILE, as a server may have taken
 * image-fetch over. And what is noted beside a file of which a part is there, and what a server says of the part that it
 * sends. Pure.
 */
#ifndef BULKHEAD_IMAGEFILE_FETCHED_H
#define BULKHEAD_IMAGEFILE_FETCHED_H

#include "lib/imagefile/sums.h"
#include "lib/imagefile/url.h"

#include <stdint.h>

#define SAID_MAX (URL_MAX + 32U) /* bytes of a line with its end */
#define VALIDATOR_MAX 200U

/* What tells whether a file is still the same: an ETag that is strong, or else the time of its last change. */
bool validator_is_fine(const char *text, size_t len);

enum said_kind {
	SAID_VALIDATOR, /* text: from here on what is kept is of the file that this tells */
	SAID_REDIRECT,	/* text: another address has it */
	SAID_AGAIN,	/* what is there is not the beginning of what the server has */
	SAID_DIGEST,	/* text: hexadecimal digits */
};

struct said {
	enum said_kind kind;
	char text[URL_MAX + 1];
};

extern const char *const said_words[]; /* by kind; NULL at the end */
/* One line, without its end. 0, or -EBADMSG. */
[[nodiscard]] int said_parse(const char *line, size_t len, struct said *ret);

/* Where a part of a file came from. */
struct origin {
	char url[URL_MAX + 1];
	char validator[VALIDATOR_MAX + 1];
};

#define ORIGIN_MAX (URL_MAX + VALIDATOR_MAX + 64U)

/* The file's text, and its length. */
size_t origin_render(const struct origin *o, char out[ORIGIN_MAX]);
/* 0, or -EBADMSG. */
[[nodiscard]] int origin_parse(const char *text, size_t len, struct origin *ret);

/* "bytes FIRST-LAST/TOTAL", or an asterisk and TOTAL. */
struct content_range {
	bool unsatisfied; /* the asterisk: first and last are 0 */
	uint64_t first, last, total;
};

/* 0, or -EBADMSG; a total that is not known is none. */
[[nodiscard]] int content_range_parse(const char *text, size_t len, struct content_range *ret);

#endif
