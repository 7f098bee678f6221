/* SPDX-License-Identifier: Apache-2.0 */
/* What another program has said of itself, for one line of ours. */
#ifndef BULKHEAD_BASE_SAID_H
#define BULKHEAD_BASE_SAID_H

#include <string.h>

/* Each byte that is not printable ASCII becomes a question mark. */
static inline void said_clean(char *line)
{
	for (; *line; line++)
		if (*line < ' ' || *line > '~')
			*line = '?';
}

/* The last line that is not empty, cleaned, or NULL: there is none. The text is taken apart. */
static inline char *said_last_line(char *text)
{
	char *rest = NULL, *last = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		last = line;
	if (last)
		said_clean(last);
	return last;
}

#endif
