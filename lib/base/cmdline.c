/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a kernel's command line; see cmdline.h. */
#include "lib/base/cmdline.h"

#include <stddef.h>
#include <string.h>

#define SPACE " \t\n"

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* The value of the first word from text on that begins with the key, or NULL. */
static const char *find(const char *text, const char *key)
{
	for (text += strspn(text, SPACE); *text; text += strspn(text, SPACE)) {
		if (begins(text, key))
			return text + strlen(key);
		text += strcspn(text, SPACE);
	}
	return NULL;
}

bool cmdline_says_panic(const char *cmdline)
{
	return find(cmdline, "panic=") != NULL;
}

/* Whether one of the value's parts, between commas, begins so: the kernel looks no further. */
static bool has_part(const char *value, const char *with)
{
	const char *end = value + strcspn(value, SPACE);

	while (value < end && !begins(value, with)) {
		value += strcspn(value, "," SPACE);
		value += *value == ',';
	}
	return value < end;
}

bool cmdline_tells_panic(const char *cmdline)
{
	bool tells = false;

	while ((cmdline = find(cmdline, "reboot="))) {
		if (has_part(cmdline, "w"))
			return false;
		tells = tells || has_part(cmdline, "panic_w");
		cmdline += strcspn(cmdline, SPACE);
	}
	return tells;
}
