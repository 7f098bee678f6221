/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of addresses (RFC 3986), as those of NBD and iSCSI are made of. Pure; errors are -EINVAL. */
#ifndef BULKHEAD_BASE_URI_H
#define BULKHEAD_BASE_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is left of a text. */
struct uri_text {
	const char *at;
	size_t len;
};

/* A letter or a digit. */
bool uri_is_word(char c);
bool uri_starts(struct uri_text t, const char *word);
void uri_skip(struct uri_text *t, size_t n);
/* Up to the first of those bytes, which stays. */
struct uri_text uri_cut(struct uri_text *t, const char *ends);
/* Whether the scheme begins with that word, of small letters, or the same of capitals. */
bool uri_is_meant(const char *text, size_t len, const char *scheme);
/* Each byte as it is or as %XX; NUL-terminated, and no NUL or control character is in it. */
[[nodiscard]] int uri_decode(struct uri_text t, char *out, size_t cap);
/* Up to five digits and nothing else, up to max. */
[[nodiscard]] int uri_number(struct uri_text t, uint32_t max, uint32_t *ret);
/* A name, or an address, which is IPv6 in brackets; up to the first of those bytes. NUL-terminated, without brackets. */
[[nodiscard]] int uri_take_host(struct uri_text *t, const char *ends, char *out, size_t cap);

#endif
