/* SPDX-License-Identifier: Apache-2.0 */
/* MD5 (RFC 1321), which CHAP is made of (RFC 1994). It hides nothing else here, and proves nothing else. */
#ifndef BULKHEAD_ISCSI_MD5_H
#define BULKHEAD_ISCSI_MD5_H

#include <stddef.h>
#include <stdint.h>

#define MD5_LEN 16U

struct md5 {
	uint32_t state[4];
	uint64_t len; /* bytes so far */
	uint8_t block[64];
};

void md5_begin(struct md5 *m);
void md5_add(struct md5 *m, const void *data, size_t len);
/* Wipes m. */
void md5_end(struct md5 *m, uint8_t out[MD5_LEN]);

#endif
