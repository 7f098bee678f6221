/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile guest may make the user's terminal do: `--console=safe`.
 *
 * A pure byte filter with bounded state. Its output holds only
 *   - printable ASCII, and \n \r \t \b;
 *   - in UTF-8 mode, well-formed UTF-8 (RFC 3629) that is no C1 control, no bidirectional embedding,
 *     override or isolate, no line or paragraph separator, no annotation, tag or noncharacter;
 *   - the control sequences (ECMA-48) SGR `CSI … m`, and those that touch the cursor's own line
 *     only, where \r, \b and spaces reach as well: CUF `C`, CUB `D`, CHA `G`, EL `K`, ICH `@`,
 *     DCH `P`, ECH `X`, and ED `J` from the cursor to the end. Parameters are digits (at most 4 each),
 *     `;` and, for SGR, `:`; at most TERMFILTER_PARAM_MAX bytes.
 * All else is dropped: vertical movement, modes, reports and queries, window operations, OSC, DCS,
 * SOS, PM and APC strings with their contents, other escape sequences, other C0 and DEL (BEL too).
 * A byte or character that stands for text but is not allowed becomes '?'.
 *
 * What comes out does not depend on how the input is cut into pieces.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_TERMFILTER_H
#define BULKHEAD_CMD_BULKHEAD_TERMFILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TERMFILTER_PARAM_MAX 32
/* A string that is longer than this is taken as ended, so that one cannot hide all that follows. */
#define TERMFILTER_STRING_MAX 4096
/* The output of a call is at most its input's length and this many bytes. */
#define TERMFILTER_PENDING_MAX (TERMFILTER_PARAM_MAX + 4)

/* Ends every attribute that filtered output can have set. */
#define TERMFILTER_RESET "\033[0m"

struct termfilter {
	bool utf8;     /* false: every byte above 0x7f becomes '?' */
	uint8_t state; /* private to termfilter.c, as are all below */
	uint8_t n_param;
	uint8_t params[TERMFILTER_PARAM_MAX];
	uint16_t n_string;
	uint8_t utf8_left;   /* continuation bytes still to come */
	uint32_t utf8_char;  /* bits so far */
	uint32_t utf8_least; /* below this the form is overlong */
};

void termfilter_init(struct termfilter *f, bool utf8);
/*
 * Filters len bytes of in to out, which has room for len + TERMFILTER_PENDING_MAX bytes and does
 * not overlap in. Returns the number of bytes put out.
 */
[[nodiscard]] size_t termfilter_feed(struct termfilter *f, const void *in, size_t len, void *out);

#endif
