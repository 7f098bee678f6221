/* SPDX-License-Identifier: Apache-2.0 */
/* Text and user-data; see text.h. */
#include "cmd/image-seed/text.h"

#include "lib/base/cleanup.h"

#include <string.h>
#include <strings.h>

#define HEADERS_LOOKED_AT 4096U /* as far as cloud-init looks for MIME */

size_t utf8_decode(const uint8_t *at, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const size_t n = at[0] < 0x80 ? 1 :
			 at[0] < 0xc2 ? 0 :
			 at[0] < 0xe0 ? 2 :
			 at[0] < 0xf0 ? 3 :
			 at[0] < 0xf5 ? 4 :
					0;
	uint32_t c;

	if (n == 0 || n > len)
		return 0;
	c = n == 1 ? at[0] : at[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (at[i] & 0x3fU);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

static bool begins(const uint8_t *at, size_t len, const char *with)
{
	const size_t n = strlen(with);

	return len >= n && memcmp(at, with, n) == 0;
}

/* A file of another encoding has a mark or NUL bytes at its beginning. */
static const char *encoding_wrong(const uint8_t *at, size_t len)
{
	if (begins(at, len, "\xef\xbb\xbf"))
		return "it begins with a byte order mark, which cloud-init does not know: UTF-8 "
		       "without one is right";
	if (begins(at, len, "\xff\xfe") || begins(at, len, "\xfe\xff"))
		return "it is UTF-16: UTF-8 is right";
	return NULL;
}

const char *text_wrong(const uint8_t *at, size_t len)
{
	const char *wrong = encoding_wrong(at, len);
	uint32_t c;

	if (wrong)
		return wrong;
	if (len == 0)
		return "it is empty";
	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_decode(at + i, len - i, &c);
		if (n == 0)
			return "it is no UTF-8: a text file is right";
		if (c == 0)
			return "it has a NUL byte: a text file is right";
	}
	return NULL;
}

/* What its first line may be, and whether all of it is text then; a script may bring data along. */
static const struct {
	const char *first;
	bool text;
} kinds[] = {
	{ "#cloud-config-archive", true },
	{ "#cloud-config", true },
	{ "## template: jinja", true },
	{ "#include-once", true },
	{ "#include", true },
	{ "#!", false },
	{ "#cloud-boothook", false },
	{ "#part-handler", true },
	{ "\x1f\x8b", false }, /* any of these, packed by gzip */
};

/* Behind a word there is a blank, or the line's end; of the others anything. */
static bool ends_word(const char *first, const uint8_t *at, size_t len)
{
	const size_t n = strlen(first);

	return first[n - 1] == '!' || first[0] == '\x1f' || len == n ||
	       (at[n] && strchr("\r\n \t", at[n]));
}

/* A header of a message in several parts: a name, a colon, and one that says MIME further on. */
static bool is_mime(const uint8_t *at, size_t len)
{
	static const char *const names[] = { "mime-version:", "content-type:" };
	const size_t most = len < HEADERS_LOOKED_AT ? len : HEADERS_LOOKED_AT;

	for (size_t i = 0; i < most; i++) {
		if (i > 0 && at[i - 1] != '\n')
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			if (most - i >= strlen(names[k]) &&
			    strncasecmp((const char *)at + i, names[k], strlen(names[k])) == 0)
				return true;
		if (at[i] == '\n' || at[i] == '#') /* no header any more */
			return false;
	}
	return false;
}

const char *user_data_wrong(const uint8_t *at, size_t len)
{
	const char *wrong = encoding_wrong(at, len);

	if (wrong || len == 0)
		return wrong ? wrong : "it is empty";
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (begins(at, len, kinds[i].first) && ends_word(kinds[i].first, at, len))
			return kinds[i].text ? text_wrong(at, len) : NULL;
	if (is_mime(at, len))
		return text_wrong(at, len);
	return "cloud-init would pass over it: it must begin with #cloud-config, #!, #include, "
	       "#cloud-boothook, ## template: jinja, a MIME header, or be one of those packed by "
	       "gzip";
}
