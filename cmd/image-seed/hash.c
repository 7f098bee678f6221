/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of passwords; see hash.h. */
#include "cmd/image-seed/hash.h"

#include "lib/base/cleanup.h"

#include <stdbool.h>
#include <string.h>

#define HASH_MAX 384U /* crypt(3)'s CRYPT_OUTPUT_SIZE */

/* crypt(5): the prefix, and how many characters come behind the last $. */
static const struct {
	const char *prefix;
	size_t last;
} methods[] = {
	{ "$y$", 43 },	{ "$gy$", 43 }, { "$7$", 43 }, { "$2b$", 53 },
	{ "$2a$", 53 }, { "$2y$", 53 }, { "$6$", 86 }, { "$5$", 43 },
};

/* Weaker than anybody should use now. */
static const char *const old[] = { "$1$", "$3$", "$sha1", "$md5", "_" };

static bool begins(const uint8_t *at, size_t len, const char *with)
{
	return len >= strlen(with) && memcmp(at, with, strlen(with)) == 0;
}

static bool is_of_crypt(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '/' || c == '$' || c == '=' || c == ',';
}

static bool is_whole(const uint8_t *at, size_t len, size_t prefix, size_t last)
{
	const uint8_t *dollar = memrchr(at, '$', len);
	size_t parts = 0;

	for (size_t i = prefix; i < len; i++) {
		if (!is_of_crypt(at[i]))
			return false;
		parts += at[i] == '$';
	}
	return parts >= 1 && dollar && (size_t)(at + len - dollar) - 1 == last;
}

const char *hash_wrong(const uint8_t *at, size_t len)
{
	if (len == 0)
		return "it is empty: mkpasswd or openssl passwd -6 makes one";
	for (size_t i = 0; i < ARRAY_SIZE(old); i++)
		if (begins(at, len, old[i]))
			return "its method is too weak: mkpasswd or openssl passwd -6 makes a hash "
			       "of a better one";
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		const size_t n = strlen(methods[i].prefix);

		if (!begins(at, len, methods[i].prefix))
			continue;
		return len <= HASH_MAX && is_whole(at, len, n, methods[i].last) ?
			       NULL :
			       "it is no whole hash: a shell takes $ for a variable's, so say it "
			       "in single quotes or by --password-hash-file";
	}
	return "it is no hash of crypt(3), as $y$... or $6$..., and a password itself is never "
	       "taken: mkpasswd or openssl passwd -6 makes one";
}
