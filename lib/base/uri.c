/* SPDX-License-Identifier: Apache-2.0 */
/* See uri.h. */
#include "lib/base/uri.h"

#include "lib/base/hex.h"

#include <errno.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char lower(char c)
{
	return (char)(c | 0x20);
}

bool uri_is_word(char c)
{
	return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}

bool uri_starts(struct uri_text t, const char *word)
{
	const size_t len = strlen(word);

	return t.len >= len && memcmp(t.at, word, len) == 0;
}

void uri_skip(struct uri_text *t, size_t n)
{
	t->at += n;
	t->len -= n;
}

struct uri_text uri_cut(struct uri_text *t, const char *ends)
{
	struct uri_text piece = { t->at, 0 };

	while (piece.len < t->len && !(t->at[piece.len] && strchr(ends, t->at[piece.len])))
		piece.len++;
	uri_skip(t, piece.len);
	return piece;
}

bool uri_is_meant(const char *text, size_t len, const char *scheme)
{
	struct uri_text all = { text, len }, said = uri_cut(&all, ":/");
	const size_t n = strlen(scheme);
	bool small = said.len >= n, capital = small;

	for (size_t i = 0; i < n && (small || capital); i++) {
		small &= said.at[i] == scheme[i];
		capital &= said.at[i] == (scheme[i] & ~0x20);
	}
	return uri_starts(all, "://") && (small || capital);
}

int uri_decode(struct uri_text t, char *out, size_t cap)
{
	size_t n = 0;

	while (t.len) {
		int byte = (unsigned char)*t.at;

		if (byte == '%') {
			byte = t.len > 2 ? hex_byte(t.at + 1) : -EINVAL;
			if (byte < 0)
				return -EINVAL;
			uri_skip(&t, 2);
		}
		uri_skip(&t, 1);
		if (byte < ' ' || byte == 0x7f || n + 1 >= cap)
			return -EINVAL;
		out[n++] = (char)byte;
	}
	out[n] = '\0';
	return 0;
}

int uri_number(struct uri_text t, uint32_t max, uint32_t *ret)
{
	uint32_t n = 0;

	if (t.len == 0 || t.len > 5)
		return -EINVAL;
	for (size_t i = 0; i < t.len; i++) {
		if (!is_digit(t.at[i]))
			return -EINVAL;
		n = n * 10 + (uint32_t)(t.at[i] - '0');
	}
	if (n > max)
		return -EINVAL;
	*ret = n;
	return 0;
}

/* A name or an address has nothing else in it. */
static bool is_host(struct uri_text t, bool brackets, size_t cap)
{
	if (t.len == 0 || t.len >= cap || *t.at == '-')
		return false;
	for (size_t i = 0; i < t.len; i++) {
		const char c = t.at[i];

		if (!uri_is_word(c) && c != '.' &&
		    !(brackets ? c == ':' || c == '%' : c == '-' || c == '_'))
			return false;
	}
	return true;
}

int uri_take_host(struct uri_text *t, const char *ends, char *out, size_t cap)
{
	const bool brackets = uri_starts(*t, "[");
	struct uri_text host;

	uri_skip(t, brackets);
	host = uri_cut(t, brackets ? "]" : ends);
	if (brackets && !uri_starts(*t, "]"))
		return -EINVAL;
	uri_skip(t, brackets);
	if (!is_host(host, brackets, cap))
		return -EINVAL;
	memcpy(out, host.at, host.len);
	out[host.len] = '\0';
	return 0;
}
