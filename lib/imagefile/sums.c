/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums; see sums.h. */
#include "lib/imagefile/sums.h"

#include "lib/base/cleanup.h"
#include "lib/base/hex.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

const char *const digest_names[] = { "sha256", "sha512", NULL };

size_t digest_hex_len(enum digest_kind kind)
{
	return kind == DIGEST_SHA512 ? 128 : 64;
}

int digest_parse(enum digest_kind kind, const char *hex, size_t len, struct digest *ret)
{
	struct digest d = { .kind = kind };

	if (len != digest_hex_len(kind))
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int digit = hex_digit(hex[i]);

		if (digit < 0)
			return -EINVAL;
		d.hex[i] = "0123456789abcdef"[digit];
	}
	*ret = d;
	return 0;
}

/* One line of a list, without its end. */
struct line {
	const char *text;
	size_t len;
};

static bool is_named(const char *said, size_t len, const char *name)
{
	for (size_t i = len; i > 0; i--)
		if (said[i - 1] == '/') {
			said += i;
			len -= i;
			break;
		}
	return len && strlen(name) == len && memcmp(said, name, len) == 0;
}

/* "HEX  NAME": a space, and another or a '*' of a file that is read in binary. */
static int take_plain(const struct line *l, const char *name, struct digest *ret)
{
	const char *space = memchr(l->text, ' ', l->len);
	const size_t hex = space ? (size_t)(space - l->text) : 0;

	if (!hex || l->len < hex + 3 || (space[1] != ' ' && space[1] != '*') ||
	    !is_named(space + 2, l->len - hex - 2, name))
		return -ENOENT;
	for (enum digest_kind k = DIGEST_SHA256; k < N_DIGESTS; k++)
		if (digest_parse(k, l->text, hex, ret) == 0)
			return 0;
	return -ENOENT;
}

/* "SHA256 (NAME) = HEX" */
static int take_tagged(const struct line *l, const char *name, struct digest *ret)
{
	static const char *const tags[] = { "SHA256 (", "SHA512 (" };
	static const char middle[] = ") = ";

	for (enum digest_kind k = DIGEST_SHA256; k < N_DIGESTS; k++) {
		const size_t tag = strlen(tags[k]), hex = digest_hex_len(k), rest = strlen(middle);
		const char *digits = l->text + l->len - hex;

		if (l->len <= tag + rest + hex || memcmp(l->text, tags[k], tag) != 0 ||
		    memcmp(digits - rest, middle, rest) != 0)
			continue;
		if (is_named(l->text + tag, l->len - tag - rest - hex, name) &&
		    digest_parse(k, digits, hex, ret) == 0)
			return 0;
	}
	return -ENOENT;
}

static int merge(const struct digest *d, struct digest *found, bool *any)
{
	if (*any && d->kind == found->kind)
		return strcmp(d->hex, found->hex) == 0 ? 0 : -EEXIST;
	if (!*any || d->kind > found->kind)
		*found = *d;
	*any = true;
	return 0;
}

int sums_find(const char *list, size_t len, const char *name, struct digest *ret)
{
	struct digest found, d;
	bool any = false;
	int r = 0;

	while (len && r == 0) {
		const char *end = memchr(list, '\n', len);
		struct line l = { list, end ? (size_t)(end - list) : len };
		const size_t whole = l.len + (end ? 1 : 0);

		if (l.len && l.text[l.len - 1] == '\r')
			l.len--;
		if (take_plain(&l, name, &d) == 0 || take_tagged(&l, name, &d) == 0)
			r = merge(&d, &found, &any);
		list += whole;
		len -= whole;
	}
	if (r < 0 || !any)
		return r < 0 ? r : -ENOENT;
	*ret = found;
	return 0;
}
