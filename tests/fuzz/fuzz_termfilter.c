/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal filter: whatever goes in, what comes out holds only what a strict reader of its own
 * knows, is bounded, is the same in any pieces, and passes the filter unchanged once more.
 */
#include "cmd/bulkhead/termfilter.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE_MAX_IN 4096

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* ---- the reader: one item at a time, length or 0 for what must not be there ---- */

static size_t read_csi(const uint8_t *p, size_t n)
{
	size_t params = 0, digits = 0;
	bool colon = false;

	for (size_t i = 2; i < n; i++) {
		uint8_t c = p[i];

		if (c >= '0' && c <= '9') {
			if (++digits > 4)
				return 0;
		} else if (c == ';' || c == ':') {
			digits = 0;
			colon |= c == ':';
		} else if (c == 'm') {
			return i + 1;
		} else if (c == 'J') {
			return params == 0 || (params == 1 && p[2] == '0') ? i + 1 : 0;
		} else {
			return memchr("CDGK@PX", c, 7) && !colon ? i + 1 : 0;
		}
		if (++params > 32)
			return 0;
	}
	return 0;
}

static size_t utf8_len(uint8_t c)
{
	if (c < 0xc2 || c > 0xf4)
		return 0;
	return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static size_t read_utf8(const uint8_t *p, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = utf8_len(p[0]);
	uint32_t c;

	if (!len || len > n)
		return 0;
	c = p[0] & (0xffU >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
		c = c * 64 + (p[i] - 0x80U);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	if (c < 0xa0 || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e))
		return 0;
	if (c >= 0x2066 && c <= 0x2069)
		return 0;
	return len;
}

static size_t read_item(const uint8_t *p, size_t n, bool utf8)
{
	if ((p[0] >= ' ' && p[0] <= '~') || memchr("\n\r\t\b", p[0], 4))
		return 1;
	if (p[0] == 0x1b)
		return n > 2 && p[1] == '[' ? read_csi(p, n) : 0;
	return utf8 ? read_utf8(p, n) : 0;
}

static void check_output(const uint8_t *p, size_t n, bool utf8)
{
	while (n) {
		size_t len = read_item(p, n, utf8);

		require(len > 0);
		p += len;
		n -= len;
	}
}

/* ---- the properties ---- */

static size_t filter(const uint8_t *in, size_t size, bool utf8, uint32_t seed, uint8_t *out)
{
	struct termfilter f;
	size_t n = 0;

	termfilter_init(&f, utf8);
	for (size_t at = 0; at < size;) {
		size_t piece = seed ? 1 + (seed >> 16) % 7 : size;
		size_t got;

		if (piece > size - at)
			piece = size - at;
		got = termfilter_feed(&f, in + at, piece, out + n);
		require(got <= piece + TERMFILTER_PENDING_MAX);
		n += got;
		at += piece;
		seed = seed * 1103515245 + (seed ? 12345 : 0);
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t whole[SIZE_MAX_IN + TERMFILTER_PENDING_MAX];
	static uint8_t cut[SIZE_MAX_IN + TERMFILTER_PENDING_MAX];
	size_t n;
	bool utf8;

	if (!size || size > SIZE_MAX_IN)
		return 0;
	utf8 = data[0] & 1;
	n = filter(data, size, utf8, 0, whole);
	require(n <= size);
	check_output(whole, n, utf8);
	require(filter(data, size, utf8, data[0] + 1U, cut) == n && !memcmp(whole, cut, n));
	require(filter(whole, n, utf8, 0, cut) == n && !memcmp(whole, cut, n));
	return 0;
}
