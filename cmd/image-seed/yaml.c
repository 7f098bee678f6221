/* SPDX-License-Identifier: Apache-2.0 */
/* YAML; see yaml.h. */
#include "cmd/image-seed/yaml.h"

#include "cmd/image-seed/text.h"

#include <stdio.h>
#include <string.h>

#define REPLACEMENT 0xfffdU

void yaml_put(struct bytes_writer *w, const char *text)
{
	bytes_put(w, text, strlen(text));
}

static void put_character(struct bytes_writer *w, uint32_t c)
{
	char escape[16];

	if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
		bytes_put8(w, (uint8_t)c);
		return;
	}
	snprintf(escape, sizeof(escape),
		 c < 0x100   ? "\\x%02x" :
		 c < 0x10000 ? "\\u%04x" :
			       "\\U%08x",
		 c);
	yaml_put(w, escape);
}

void yaml_put_quoted(struct bytes_writer *w, const void *text, size_t len)
{
	const uint8_t *at = text;
	uint32_t c = 0;

	bytes_put8(w, '"');
	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_decode(at + i, len - i, &c);
		put_character(w, n ? c : REPLACEMENT);
		n += n == 0;
	}
	bytes_put8(w, '"');
}
