/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a login; see text.h. */
#include "lib/iscsi/text.h"

#include "lib/base/hex.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- made ---- */

static void append(struct iscsi_text *t, const void *data, size_t len)
{
	if (len > sizeof(t->bytes) - t->len) {
		t->failed = true;
		return;
	}
	memcpy(t->bytes + t->len, data, len);
	t->len += len;
}

void iscsi_text_add(struct iscsi_text *t, const char *key, const char *value)
{
	append(t, key, strlen(key));
	append(t, "=", 1);
	append(t, value, strlen(value) + 1);
}

void iscsi_text_add_number(struct iscsi_text *t, const char *key, uint32_t value)
{
	char digits[12];

	snprintf(digits, sizeof(digits), "%u", value);
	iscsi_text_add(t, key, digits);
}

void iscsi_text_add_binary(struct iscsi_text *t, const char *key, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = data;

	append(t, key, strlen(key));
	append(t, "=0x", 3);
	for (size_t i = 0; i < len; i++) {
		append(t, &digits[bytes[i] >> 4], 1);
		append(t, &digits[bytes[i] & 15], 1);
	}
	append(t, "", 1);
}

/* ---- read ---- */

int iscsi_text_next(const struct iscsi_text *t, size_t *at, struct iscsi_pair *ret)
{
	const char *pair, *end, *equals;
	size_t left;

	while (*at < t->len && !t->bytes[*at])
		++*at; /* some pad with more of them */
	left = t->len - *at;
	if (left == 0)
		return 0;
	pair = (const char *)t->bytes + *at;
	end = memchr(pair, '\0', left);
	equals = end ? memchr(pair, '=', (size_t)(end - pair)) : NULL;
	if (!equals || equals == pair || (size_t)(equals - pair) > ISCSI_KEY_MAX)
		return -EBADMSG;
	*at += (size_t)(end - pair) + 1;
	memcpy(ret->key, pair, (size_t)(equals - pair));
	ret->key[equals - pair] = '\0';
	ret->value = equals + 1;
	return 1;
}

int iscsi_number(const char *value, uint32_t max, uint32_t *ret)
{
	uint64_t n = 0;

	if (!*value)
		return -EBADMSG;
	for (; *value; value++) {
		if (*value < '0' || *value > '9')
			return -EBADMSG;
		n = n * 10 + (uint64_t)(*value - '0');
		if (n > max)
			return -EBADMSG;
	}
	*ret = (uint32_t)n;
	return 0;
}

/* An odd number of digits has a 0 before them. */
static int from_hex(const char *text, uint8_t *out, size_t cap)
{
	size_t len = strlen(text), odd = len % 2, n = (len + 1) / 2;

	if (len == 0 || n > cap)
		return -EBADMSG;
	memset(out, 0, n);
	for (size_t i = 0; i < len; i++) {
		int d = hex_digit(text[i]);

		if (d < 0)
			return -EBADMSG;
		out[(i + odd) / 2] = (uint8_t)(out[(i + odd) / 2] << 4 | d);
	}
	return (int)n;
}

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static int from_base64(const char *text, uint8_t *out, size_t cap)
{
	size_t len = strlen(text), n = 0;
	uint32_t bits = 0;
	unsigned int held = 0;

	if (len == 0 || len % 4)
		return -EBADMSG;
	for (unsigned int i = 0; i < 2 && text[len - 1] == '='; i++)
		len--;
	for (size_t i = 0; i < len; i++) {
		int d = base64_digit(text[i]);

		if (d < 0 || (held >= 2 && n == cap))
			return -EBADMSG;
		bits = (bits << 6 | (uint32_t)d) & 0xffff;
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[n++] = (uint8_t)(bits >> held);
		}
	}
	return n ? (int)n : -EBADMSG;
}

int iscsi_binary(const char *value, uint8_t *out, size_t cap)
{
	if (value[0] != '0')
		return -EBADMSG;
	if ((value[1] | 0x20) == 'x')
		return from_hex(value + 2, out, cap);
	return (value[1] | 0x20) == 'b' ? from_base64(value + 2, out, cap) : -EBADMSG;
}
