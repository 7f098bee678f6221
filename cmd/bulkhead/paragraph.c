/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people; see paragraph.h. */
#include "cmd/bulkhead/paragraph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS 100
#define LABEL 18

static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

/* How much of the text goes on a line of this width: up to a blank, if there is one. */
static size_t line_len(const char *text, size_t width)
{
	size_t len = strlen(text), cut = width;

	if (len <= width)
		return len;
	while (cut > 0 && text[cut] != ' ')
		cut--;
	return cut ? cut : width;
}

void paragraph(const char *label, const char *fmt, ...)
{
	char text[8192];
	const char *at = text;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	make_printable(text);
	do {
		size_t len = line_len(at, COLUMNS - LABEL - 2);

		printf("  %-*s%.*s\n", LABEL, label, (int)len, at);
		at += len;
		at += strspn(at, " ");
		label = "";
	} while (*at);
}

void list_add(struct list *l, const char *fmt, ...)
{
	size_t room = sizeof(l->text) - l->len;
	va_list ap;
	int len;

	if (l->len && room > 2) {
		memcpy(l->text + l->len, ", ", 3);
		l->len += 2;
		room -= 2;
	}
	va_start(ap, fmt);
	len = vsnprintf(l->text + l->len, room, fmt, ap);
	va_end(ap);
	if (len > 0)
		l->len += (size_t)len < room ? (size_t)len : room - 1;
}
