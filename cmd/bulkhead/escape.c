/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's own keys; see escape.h. */
#include "cmd/bulkhead/escape.h"

void escape_init(struct escape *e)
{
	*e = (struct escape){ 0 };
}

static enum escape_key key_of(uint8_t c)
{
	switch (c) {
	case 'q':
	case 'Q':
		return ESCAPE_QUIT;
	case '?':
	case 'h':
	case 'H':
		return ESCAPE_HELP;
	default:
		return ESCAPE_NONE;
	}
}

size_t escape_feed(struct escape *e, const uint8_t *in, size_t len, uint8_t *out, size_t *ret_out,
		   enum escape_key *ret_key)
{
	enum escape_key key = ESCAPE_NONE;
	size_t n = 0;
	size_t i = 0;

	while (i < len && key == ESCAPE_NONE) {
		uint8_t c = in[i++];

		if (!e->prefixed && c == ESCAPE_PREFIX) {
			e->prefixed = true;
			continue;
		}
		if (!e->prefixed || c == ESCAPE_PREFIX)
			out[n++] = c;
		else
			key = key_of(c);
		e->prefixed = false;
	}
	*ret_out = n;
	*ret_key = key;
	return i;
}
