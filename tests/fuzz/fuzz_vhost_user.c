/* SPDX-License-Identifier: Apache-2.0 */
/* vhost-user: what decodes can be said again and then decodes the same. */
#include "tests/fuzz/fuzz.h"

#include "lib/base/fd.h"
#include "lib/vhost_user/vhost_user.h"

#include <errno.h>
#include <string.h>

#define WIRE_MAX (VU_HEADER_LEN + VU_PAYLOAD_MAX)

static void check_bounds(const struct vu_msg *m)
{
	if (m->request == VHOST_USER_GET_CONFIG ||
	    (m->request == VHOST_USER_SET_CONFIG && !m->reply))
		require(m->config.size <= VU_MAX_CONFIG);
	if (m->request == VHOST_USER_SET_MEM_TABLE && !m->reply)
		require(m->mem.n >= 1 && m->mem.n <= VU_MAX_REGIONS);
}

static void check(const struct vu_header *h, const struct vu_msg *m)
{
	uint8_t wire[WIRE_MAX], again[WIRE_MAX];
	struct vu_header h2;
	struct vu_msg n;
	int len = vu_encode(m, wire, sizeof(wire));

	require(len >= VU_HEADER_LEN);
	require(vu_decode_header(wire, &h2) == 0);
	require(h2.request == h->request && h2.flags == h->flags && h2.size <= h->size);
	require(vu_decode(&h2, wire + VU_HEADER_LEN, (size_t)len - VU_HEADER_LEN, &n) == 0);
	require(vu_encode(&n, again, sizeof(again)) == len);
	require(memcmp(wire, again, (size_t)len) == 0);
	require(vu_n_fds(m) == vu_n_fds(&n) && vu_n_fds(m) <= MSG_MAX_FDS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vu_header h = { 0 };
	struct vu_msg m = { .request = ~0U };
	int r;

	if (size < VU_HEADER_LEN)
		return 0;
	r = vu_decode_header(data, &h);
	require(r == 0 || r == -EBADMSG || r == -EOPNOTSUPP);
	data += VU_HEADER_LEN;
	size -= VU_HEADER_LEN;
	if (r == -EOPNOTSUPP)
		require(vu_decode(&h, data, size, &m) == -EBADMSG && !vu_has_reply(h.request));
	if (r < 0)
		return 0;
	if (h.size != size) {
		require(vu_decode(&h, data, size, &m) == -EBADMSG && m.request == ~0U);
		h.size = (uint32_t)size; /* an honest length is the more interesting lie */
	}
	if (vu_decode(&h, data, size, &m) < 0) {
		require(m.request == ~0U);
		return 0;
	}
	check_bounds(&m);
	check(&h, &m);
	return 0;
}
