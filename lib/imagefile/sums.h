/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checksums: what a user said, and lists as sha256sum and sha512sum write them, of either form ("HEX  NAME", "HEX *NAME",
 * "SHA256 (NAME) = HEX"). A list may come from the same server as the file, so it is HOSTILE. Pure.
 */
#ifndef BULKHEAD_IMAGEFILE_SUMS_H
#define BULKHEAD_IMAGEFILE_SUMS_H

#include <stddef.h>

#define SUMS_FILE_MAX (1U << 20) /* bytes of a list */
#define DIGEST_HEX_MAX 128U

enum digest_kind { DIGEST_SHA256, DIGEST_SHA512, N_DIGESTS };

extern const char *const digest_names[]; /* NULL at the end */
/* Hexadecimal digits of one. */
size_t digest_hex_len(enum digest_kind kind);

struct digest {
	enum digest_kind kind;
	char hex[DIGEST_HEX_MAX + 1]; /* lower case */
};

/* 0, or -EINVAL: it is not as many hexadecimal digits as that kind has. */
[[nodiscard]] int digest_parse(enum digest_kind kind, const char *hex, size_t len,
			       struct digest *ret);
/*
 * What the list says of a name, which has no '/': directories before it in the list do not count. 0; -ENOENT: nothing;
 * -EEXIST: different things; of two kinds the longer one is taken.
 */
[[nodiscard]] int sums_find(const char *list, size_t len, const char *name, struct digest *ret);

#endif
