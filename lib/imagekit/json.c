/* SPDX-License-Identifier: Apache-2.0 */
/* JSON for machines; see json.h. */
#include "lib/imagekit/json.h"

#include "lib/imagekit/process.h"

#include <stdlib.h>

const char *text_plain(const char *text, char *out, size_t cap)
{
	size_t i = 0;

	for (; text[i] && i + 1 < cap; i++)
		out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	out[i] = '\0';
	return out;
}

void json_put(json_t *o, const char *key, json_t *v)
{
	(void)json_object_set_new(o, key, v);
}

void json_put_text(json_t *o, const char *key, const char *text)
{
	char plain[1024];
	json_t *v = json_string(text);

	json_put(o, key, v ? v : json_string(text_plain(text, plain, sizeof(plain))));
}

void json_put_number(json_t *o, const char *key, uint64_t v)
{
	json_put(o, key, json_integer((json_int_t)v));
}

void json_put_bool(json_t *o, const char *key, bool v)
{
	json_put(o, key, json_boolean(v));
}

static int put(const char *text, size_t len, void *arg)
{
	(void)arg;
	image_print("%.*s", (int)len, text);
	return 0;
}

void json_print(json_t *o)
{
	(void)json_dump_callback(o, put, NULL, JSON_INDENT(4) | JSON_ENSURE_ASCII);
	image_print("\n");
	json_decref(o);
}
