/* SPDX-License-Identifier: Apache-2.0 */
/* Parsers of single values; see values.h. */
#include "lib/options/values.h"

#include "lib/base/checked.h"
#include "lib/base/hex.h"

#include <errno.h>
#include <string.h>

struct span span_of(const char *text)
{
	return (struct span){ text, strlen(text) };
}

bool span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

struct span span_cut(struct span *rest, char c)
{
	const char *end = rest->len ? memchr(rest->at, c, rest->len) : NULL;
	struct span piece = { rest->at, end ? (size_t)(end - rest->at) : rest->len };
	size_t taken = piece.len + (end ? 1 : 0);

	rest->at += taken;
	rest->len -= taken;
	return piece;
}

int value_onoff(struct span s, bool *ret)
{
	static const char *const words[] = { "off", "on" };
	unsigned int i;
	int r = value_choice(s, words, 2, &i);

	if (r == 0)
		*ret = i;
	return r;
}

int value_number(struct span s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (s.len == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return -EINVAL;
		if (!u64_mul(v, 10, &v) || !u64_add(v, (uint64_t)(s.at[i] - '0'), &v))
			return -EINVAL;
	}
	if (v < min || v > max)
		return -EINVAL;
	*ret = v;
	return 0;
}

int value_mac(struct span s, uint64_t *ret)
{
	uint64_t v = 0;

	if (s.len != sizeof("52:54:00:12:34:56") - 1)
		return -EINVAL;
	for (size_t i = 0; i < 6; i++) {
		struct span digits = span_cut(&s, ':');
		int byte = digits.len == 2 ? hex_byte(digits.at) : -EINVAL;

		if (byte < 0 || (i == 0 && byte & 1))
			return -EINVAL;
		v = v << 8 | (uint64_t)byte;
	}
	if (!v)
		return -EINVAL;
	*ret = v;
	return 0;
}

static uint64_t unit_of(char c)
{
	switch (c) {
	case 'K':
	case 'k':
		return 1ULL << 10;
	case 'M':
	case 'm':
		return 1ULL << 20;
	case 'G':
	case 'g':
		return 1ULL << 30;
	case 'T':
	case 't':
		return 1ULL << 40;
	}
	return 1;
}

int value_size(struct span s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t unit = s.len ? unit_of(s.at[s.len - 1]) : 1;
	uint64_t v;
	int r;

	if (unit > 1)
		s.len--;
	r = value_number(s, 0, UINT64_MAX, &v);
	if (r < 0)
		return r;
	if (!u64_mul(v, unit, &v) || v < min || v > max)
		return -EINVAL;
	*ret = v;
	return 0;
}

int value_choice(struct span s, const char *const *words, size_t n, unsigned int *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (span_is(s, words[i])) {
			*ret = (unsigned int)i;
			return 0;
		}
	}
	return -EINVAL;
}
