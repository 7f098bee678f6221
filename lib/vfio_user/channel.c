/* SPDX-License-Identifier: Apache-2.0 */
/* vfio-user messages over a stream socket; see vfio_user.h. */
#include "lib/base/fd.h"
#include "lib/vfio_user/vfio_user.h"

#include <errno.h>

int vfu_recv(int sock, struct vfu_msg *ret, int fds[MSG_MAX_FDS], size_t *ret_n_fds)
{
	uint8_t wire[VFU_HEADER_LEN], payload[VFU_PAYLOAD_MAX];
	struct vfu_header h;
	struct vfu_msg m;
	size_t n_fds = 0, len = 0;
	int known;
	int r = stream_recv(sock, wire, sizeof(wire), fds, &n_fds, false);

	if (r <= 0)
		return r;
	known = vfu_decode_header(wire, &h);
	if (known == 0 || known == -EOPNOTSUPP) {
		len = h.size - VFU_HEADER_LEN;
		r = stream_recv(sock, payload, len, fds, &n_fds, true);
		if (r < 0)
			return r;
	}
	if (known == 0)
		known = vfu_decode(&h, payload, len, &m);
	if (known < 0)
		fds_close(fds, n_fds);
	if (known == -EOPNOTSUPP)
		*ret = (struct vfu_msg){ .id = h.id,
					 .command = h.command,
					 .no_reply = h.flags & VFU_FLAG_NO_REPLY };
	if (known < 0)
		return known;
	*ret = m;
	*ret_n_fds = n_fds;
	return 1;
}

int vfu_send(int sock, const struct vfu_msg *m, const int *fds, size_t n_fds)
{
	uint8_t wire[VFU_HEADER_LEN + VFU_PAYLOAD_MAX];
	int len = vfu_encode(m, wire, sizeof(wire));
	struct iovec iov = { wire, 0 };

	if (len < 0)
		return len;
	iov.iov_len = (size_t)len;
	return msg_send(sock, &iov, 1, fds, n_fds);
}
