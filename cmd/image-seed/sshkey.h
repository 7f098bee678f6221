/* SPDX-License-Identifier: Apache-2.0 */
/* Files of public keys of ssh, a line each. Pure. */
#ifndef BULKHEAD_IMAGE_SEED_SSHKEY_H
#define BULKHEAD_IMAGE_SEED_SSHKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a private key is in it, of whatever program's making. */
bool sshkey_is_private(const uint8_t *at, size_t len);

/*
 * The next key from *at on, which is left behind its line; lines that are empty or begin with # are passed over. 1: a
 * key, of *ret_len bytes; 0: there are no more; -EINVAL: the line is none, with *ret_why what would be right.
 */
[[nodiscard]] int sshkey_next(const uint8_t *text, size_t len, size_t *at, const uint8_t **ret,
			      size_t *ret_len, const char **ret_why);

#endif
