/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that are to be text, and what cloud-init takes as user-data. Pure. */
#ifndef BULKHEAD_IMAGE_SEED_TEXT_H
#define BULKHEAD_IMAGE_SEED_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The character at the beginning of len > 0 bytes (RFC 3629): how many bytes it has, or 0: that is no UTF-8.
 */
size_t utf8_decode(const uint8_t *at, size_t len, uint32_t *ret);

/* NULL, or what is wrong with it as text in UTF-8, and what would be right. */
const char *text_wrong(const uint8_t *at, size_t len);
/* The same of user-data: cloud-init looks at how it begins, and passes over what it does not know. */
const char *user_data_wrong(const uint8_t *at, size_t len);

#endif
