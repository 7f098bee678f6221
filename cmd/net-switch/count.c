/* SPDX-License-Identifier: Apache-2.0 */
/* What a segment has counted, as a text; see segment.h. */
#include "cmd/net-switch/segment.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Short, as a line has room for all of them; docs/bulkhead.1 says what each of them is. */
static const char *const names[SEGMENT_DROPS] = {
	[GUARD_MALFORMED] = "malformed", [GUARD_TYPE] = "type",
	[GUARD_OPTIONS] = "options",	 [GUARD_MAC] = "mac",
	[GUARD_SOURCE] = "address",	 [GUARD_ROLE] = "role",
	[GUARD_DEST] = "destination",	 [GUARD_PRIVATE] = "private",
	[SEGMENT_NOBODY] = "nobody",	 [SEGMENT_ISOLATED] = "isolated",
	[SEGMENT_RATE] = "rate",	 [SEGMENT_FULL] = "unread",
};

struct line {
	char *text;
	size_t len;
};

/* What finds no room is left out. */
__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *fmt, ...)
{
	size_t room = SEGMENT_TEXT_MAX - l->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->len, room, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < room)
		l->len += (size_t)n;
	else
		l->text[l->len] = '\0';
}

bool segment_say(const struct segment *s, unsigned int port, char out[SEGMENT_TEXT_MAX])
{
	const struct segment_port *p = &s->ports[port];
	struct line l = { .text = out };
	char member[MEMBER_TEXT_MAX];
	uint64_t dropped = 0;

	if (!p->joined)
		return false;
	member_say(&p->member, member);
	for (size_t i = 0; i < SEGMENT_DROPS; i++)
		dropped += p->n_dropped[i];
	add(&l, "port %u %s: %" PRIu64 " passed, %" PRIu64 " dropped", port, member, p->n_passed,
	    dropped);
	for (size_t i = 0, n = 0; i < SEGMENT_DROPS; i++)
		if (p->n_dropped[i])
			add(&l, "%s %s %" PRIu64, n++ ? "," : ":", names[i], p->n_dropped[i]);
	return true;
}
