/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys of ssh (RFC 4253, 6.6; sshd(8), AUTHORIZED_KEYS FILE FORMAT); see sshkey.h. */
#include "cmd/image-seed/sshkey.h"

#include "cmd/image-seed/text.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <string.h>

static const char *const types[] = {
	"ssh-ed25519",
	"ssh-rsa",
	"ecdsa-sha2-nistp256",
	"ecdsa-sha2-nistp384",
	"ecdsa-sha2-nistp521",
	"sk-ssh-ed25519@openssh.com",
	"sk-ecdsa-sha2-nistp256@openssh.com",
};

/* OpenSSH's own and PEM, PuTTY's, ssh.com's. */
static const char *const private_marks[] = {
	"PRIVATE KEY-----",
	"PuTTY-User-Key-File-",
	"SSH2 ENCRYPTED PRIVATE KEY",
	"SSH PRIVATE KEY FILE FORMAT",
};

bool sshkey_is_private(const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(private_marks); i++)
		if (memmem(at, len, private_marks[i], strlen(private_marks[i])))
			return true;
	return false;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static size_t word_len(const uint8_t *at, size_t len)
{
	size_t n = 0;

	while (n < len && !is_blank(at[n]))
		n++;
	return n;
}

static const char *find_type(const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strlen(types[i]) == len && memcmp(types[i], at, len) == 0)
			return types[i];
	return NULL;
}

static int base64_digit(uint8_t c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* The first bytes of what is encoded, as many as want: false: it is no base64, or has fewer. */
static bool decode(const uint8_t *at, size_t len, uint8_t *out, size_t want)
{
	uint32_t bits = 0;
	size_t got = 0, pad = 0;

	if (len % 4)
		return false;
	while (pad < 2 && len && at[len - 1] == '=') {
		len--;
		pad++;
	}
	for (size_t i = 0; i < len; i++) {
		int d = base64_digit(at[i]);

		if (d < 0)
			return false;
		bits = bits << 6 | (uint32_t)d;
		if (i % 4 && got < want)
			out[got++] = (uint8_t)(bits >> (6 - i % 4 * 2));
	}
	return got == want;
}

/* The key begins with its type once more. */
static bool is_key_of(const char *type, const uint8_t *at, size_t len)
{
	uint8_t head[4 + 40];
	const size_t n = strlen(type);

	return n + 4 <= sizeof(head) && decode(at, len, head, n + 4) && head[0] == 0 &&
	       head[1] == 0 && head[2] == 0 && head[3] == n && memcmp(head + 4, type, n) == 0;
}

static bool is_comment(const uint8_t *at, size_t len)
{
	uint32_t c;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_decode(at + i, len - i, &c);
		if (n == 0 || (c < ' ' && c != '\t') || (c >= 0x7f && c < 0xa0) || c == 0x2028 ||
		    c == 0x2029)
			return false;
	}
	return true;
}

static const char *line_wrong(const uint8_t *at, size_t len)
{
	const size_t first = word_len(at, len);
	const char *type = find_type(at, first);
	size_t key = first, n;

	if (memmem(at, len, "BEGIN SSH2 PUBLIC KEY", 21))
		return "it is of another format: ssh-keygen -i makes it right";
	if (!type)
		return "a line must begin with the type of a key, as ssh-ed25519, ssh-rsa or "
		       "ecdsa-sha2-nistp256, without options before it";
	while (key < len && is_blank(at[key]))
		key++;
	n = word_len(at + key, len - key);
	if (n == 0 || !is_key_of(type, at + key, n))
		return "behind its type comes the key in base64, and this is none of that type: "
		       "copy the .pub file as it is";
	return is_comment(at + key + n, len - key - n) ? NULL :
							 "a comment is text without control "
							 "characters";
}

int sshkey_next(const uint8_t *text, size_t len, size_t *at, const uint8_t **ret, size_t *ret_len,
		const char **ret_why)
{
	while (*at < len) {
		const uint8_t *line = text + *at;
		const uint8_t *end = memchr(line, '\n', len - *at);
		size_t n = end ? (size_t)(end - line) : len - *at;

		*at += n + (end != NULL);
		while (n && (is_blank(line[n - 1]) || line[n - 1] == '\r'))
			n--;
		for (; n && is_blank(*line); line++)
			n--;
		if (n == 0 || *line == '#')
			continue;
		*ret_why = line_wrong(line, n);
		if (*ret_why)
			return -EINVAL;
		*ret = line;
		*ret_len = n;
		return 1;
	}
	return 0;
}
