/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a login (RFC 7143, 6): pairs KEY=VALUE, each ended by a NUL. Pure. */
#ifndef BULKHEAD_ISCSI_TEXT_H
#define BULKHEAD_ISCSI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISCSI_TEXT_MAX 8192U /* what a target may send before it is answered, and what is sent */
#define ISCSI_BINARY_MAX 1024U
#define ISCSI_KEY_MAX 63U

struct iscsi_text {
	bool failed; /* something did not fit */
	size_t len;
	uint8_t bytes[ISCSI_TEXT_MAX];
};

void iscsi_text_add(struct iscsi_text *t, const char *key, const char *value);
void iscsi_text_add_number(struct iscsi_text *t, const char *key, uint32_t value);
/* As 0x… */
void iscsi_text_add_binary(struct iscsi_text *t, const char *key, const void *data, size_t len);

struct iscsi_pair {
	char key[ISCSI_KEY_MAX + 1];
	const char *value; /* NUL-terminated, in the text */
};

/* The pair from *at on, which moves on. 1; 0: there is no other; -EBADMSG. */
[[nodiscard]] int iscsi_text_next(const struct iscsi_text *t, size_t *at, struct iscsi_pair *ret);
/* Digits alone. 0 or -EBADMSG: or it is above max. */
[[nodiscard]] int iscsi_number(const char *value, uint32_t max, uint32_t *ret);
/* A value 0x… or 0b…, of at most cap bytes: how many, or -EBADMSG. */
[[nodiscard]] int iscsi_binary(const char *value, uint8_t *out, size_t cap);

#endif
