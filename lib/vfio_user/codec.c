/* SPDX-License-Identifier: Apache-2.0 */
/* The vfio-user codec: pure, no I/O; see vfio_user.h. What a message carries is in payload.c. */
#include "lib/vfio_user/payload.h"

#include <errno.h>
#include <string.h>

#define FLAGS_KNOWN (VFU_FLAG_TYPE_MASK | VFU_FLAG_NO_REPLY | VFU_FLAG_ERROR)

static bool flags_valid(uint32_t flags)
{
	switch (flags & VFU_FLAG_TYPE_MASK) {
	case VFU_FLAG_TYPE_COMMAND:
		return !(flags & (VFU_FLAG_ERROR | ~FLAGS_KNOWN));
	case VFU_FLAG_TYPE_REPLY:
		return !(flags & (VFU_FLAG_NO_REPLY | ~FLAGS_KNOWN));
	default:
		return false;
	}
}

int vfu_decode_header(const uint8_t wire[VFU_HEADER_LEN], struct vfu_header *ret)
{
	struct bytes_reader r = bytes_reader(wire, VFU_HEADER_LEN);
	struct vfu_header h = { 0 };

	h.id = bytes_get16(&r);
	h.command = bytes_get16(&r);
	h.size = bytes_get32(&r);
	h.flags = bytes_get32(&r);
	h.error_no = bytes_get32(&r);
	if (h.size < VFU_HEADER_LEN || h.size > VFU_HEADER_LEN + VFU_PAYLOAD_MAX ||
	    !flags_valid(h.flags))
		return -EBADMSG;
	*ret = h;
	return vfu_row_of(h.command) ? 0 : -EOPNOTSUPP;
}

int vfu_decode(const struct vfu_header *h, const uint8_t *payload, size_t len, struct vfu_msg *ret)
{
	struct bytes_reader r = bytes_reader(payload, len);
	const struct vfu_row *row = vfu_row_of(h->command);
	struct vfu_msg m;
	int err;

	if (!row || !flags_valid(h->flags) || h->size < VFU_HEADER_LEN ||
	    len != h->size - VFU_HEADER_LEN)
		return -EBADMSG;
	memset(&m, 0, sizeof(m)); /* the whole union */
	m.id = h->id;
	m.command = h->command;
	m.reply = (h->flags & VFU_FLAG_TYPE_MASK) == VFU_FLAG_TYPE_REPLY;
	m.no_reply = h->flags & VFU_FLAG_NO_REPLY;
	m.error = h->flags & VFU_FLAG_ERROR;
	m.error_no = m.error ? h->error_no : 0;
	vfu_getter(row, &m)(&r, &m);
	err = bytes_finish(&r);
	if (err < 0)
		return err;
	*ret = m;
	return 0;
}

static uint32_t flags_of(const struct vfu_msg *m)
{
	return (m->reply ? VFU_FLAG_TYPE_REPLY : VFU_FLAG_TYPE_COMMAND) |
	       (m->no_reply ? VFU_FLAG_NO_REPLY : 0) | (m->error ? VFU_FLAG_ERROR : 0);
}

int vfu_encode(const struct vfu_msg *m, uint8_t *out, size_t cap)
{
	uint8_t payload[VFU_PAYLOAD_MAX];
	struct bytes_writer body = bytes_writer(payload, sizeof(payload));
	struct bytes_writer w = bytes_writer(out, cap);
	const struct vfu_row *row = vfu_row_of(m->command);

	if (!row || !flags_valid(flags_of(m)))
		return -EINVAL;
	vfu_putter(row, m)(&body, m);
	if (body.failed) /* any legal payload fits */
		return -EINVAL;
	bytes_put16(&w, m->id);
	bytes_put16(&w, m->command);
	bytes_put32(&w, (uint32_t)(VFU_HEADER_LEN + body.at));
	bytes_put32(&w, flags_of(m));
	bytes_put32(&w, m->error ? m->error_no : 0);
	bytes_put(&w, payload, body.at);
	return bytes_written(&w);
}
