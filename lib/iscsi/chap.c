/* SPDX-License-Identifier: Apache-2.0 */
/* CHAP's proof (RFC 1994, 4.1); see login.h. */
#include "lib/iscsi/login.h"
#include "lib/iscsi/md5.h"

_Static_assert(ISCSI_PROOF_LEN == MD5_LEN, "it is one");

void iscsi_chap(uint8_t id, const struct iscsi_secret *secret, const uint8_t *challenge, size_t len,
		uint8_t out[ISCSI_PROOF_LEN])
{
	struct md5 m;

	md5_begin(&m);
	md5_add(&m, &id, 1);
	md5_add(&m, secret->bytes, secret->len);
	md5_add(&m, challenge, len);
	md5_end(&m, out);
}
