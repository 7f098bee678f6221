/* SPDX-License-Identifier: Apache-2.0 */
/* vfio-user: what decodes can be said again and then decodes the same. */
#include "tests/fuzz/fuzz.h"

#include "lib/vfio_user/vfio_user.h"

#include <errno.h>
#include <string.h>

#define WIRE_MAX (VFU_HEADER_LEN + VFU_PAYLOAD_MAX)

static void check_bounds(const struct vfu_msg *m)
{
	if (m->error)
		return;
	if (m->command == VFIO_USER_VERSION)
		require(memchr(m->version.json, 0, sizeof(m->version.json)));
	if (m->command == VFIO_USER_DEVICE_GET_REGION_INFO && m->reply)
		require(m->region_info.n_sparse <= VFU_MAX_SPARSE);
	if (m->command == VFIO_USER_REGION_READ ||
	    (m->command == VFIO_USER_REGION_WRITE && !m->reply))
		require(m->access.count <= VFU_DATA_MAX);
}

static void check(const struct vfu_header *h, const struct vfu_msg *m)
{
	uint8_t wire[WIRE_MAX], again[WIRE_MAX];
	struct vfu_header h2;
	struct vfu_msg n;
	int len = vfu_encode(m, wire, sizeof(wire));

	require(len >= VFU_HEADER_LEN);
	require(vfu_decode_header(wire, &h2) == 0);
	require(h2.id == h->id && h2.command == h->command && h2.flags == h->flags);
	require(h2.size == (uint32_t)len && h2.size <= h->size);
	require(vfu_decode(&h2, wire + VFU_HEADER_LEN, (size_t)len - VFU_HEADER_LEN, &n) == 0);
	require(vfu_encode(&n, again, sizeof(again)) == len);
	require(memcmp(wire, again, (size_t)len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vfu_header h = { 0 };
	struct vfu_msg m = { .id = 0x4242 };
	int r;

	if (size < VFU_HEADER_LEN)
		return 0;
	r = vfu_decode_header(data, &h);
	require(r == 0 || r == -EBADMSG || r == -EOPNOTSUPP);
	data += VFU_HEADER_LEN;
	size -= VFU_HEADER_LEN;
	if (r == -EOPNOTSUPP)
		require(vfu_decode(&h, data, size, &m) == -EBADMSG);
	if (r < 0)
		return 0;
	if (h.size != size + VFU_HEADER_LEN) {
		require(vfu_decode(&h, data, size, &m) == -EBADMSG && m.id == 0x4242);
		h.size = (uint32_t)(size + VFU_HEADER_LEN);
	}
	if (vfu_decode(&h, data, size, &m) < 0)
		return 0;
	check_bounds(&m);
	check(&h, &m);
	return 0;
}
