/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of passwords, as crypt(5) has them. Pure. */
#ifndef BULKHEAD_IMAGE_SEED_HASH_H
#define BULKHEAD_IMAGE_SEED_HASH_H

#include <stddef.h>
#include <stdint.h>

/* NULL, or what is wrong, without a byte of it: it may be a password. */
const char *hash_wrong(const uint8_t *at, size_t len);

#endif
