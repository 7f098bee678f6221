/* SPDX-License-Identifier: Apache-2.0 */
/* vhost-user messages over a stream socket; see vhost_user.h. */
#include "lib/base/bytes.h"
#include "lib/base/fd.h"
#include "lib/vhost_user/vhost_user.h"

#include <errno.h>

static int take_fds(const struct vu_msg *m, int *fds, size_t *n_fds)
{
	if (m->request == VHOST_USER_REM_MEM_REG && !m->reply && *n_fds == 1) {
		fds_close(fds, 1);
		*n_fds = 0;
	}
	if (*n_fds == vu_n_fds(m))
		return 1;
	fds_close(fds, *n_fds);
	return -EBADMSG;
}

/* Of whatever header. */
static uint32_t request_of(const uint8_t wire[VU_HEADER_LEN])
{
	struct bytes_reader r = bytes_reader(wire, VU_HEADER_LEN);

	return bytes_get32(&r);
}

int vu_recv(int sock, struct vu_msg *ret, int fds[MSG_MAX_FDS], size_t *ret_n_fds)
{
	uint8_t wire[VU_HEADER_LEN], payload[VU_PAYLOAD_MAX];
	struct vu_header h;
	struct vu_msg m = { 0 };
	size_t n_fds = 0;
	int known;
	int r = stream_recv(sock, wire, sizeof(wire), fds, &n_fds, false);

	if (r <= 0)
		return r;
	*ret = (struct vu_msg){ .request = request_of(wire) };
	known = vu_decode_header(wire, &h);
	if (known == 0 || known == -EOPNOTSUPP) {
		r = stream_recv(sock, payload, h.size, fds, &n_fds, true);
		if (r < 0)
			return r;
	}
	if (known == 0)
		known = vu_decode(&h, payload, h.size, &m);
	if (known < 0) {
		fds_close(fds, n_fds);
		if (known == -EOPNOTSUPP) {
			ret->reply = h.flags & VU_FLAG_REPLY;
			ret->need_reply = h.flags & VU_FLAG_NEED_REPLY;
		}
		return known;
	}
	r = take_fds(&m, fds, &n_fds);
	if (r < 0)
		return r;
	*ret = m;
	*ret_n_fds = n_fds;
	return 1;
}

int vu_send(int sock, const struct vu_msg *m, const int *fds, size_t n_fds)
{
	uint8_t wire[VU_HEADER_LEN + VU_PAYLOAD_MAX];
	int len = vu_encode(m, wire, sizeof(wire));
	struct iovec iov = { wire, 0 };

	if (len < 0)
		return len;
	if (n_fds != vu_n_fds(m))
		return -EINVAL;
	iov.iov_len = (size_t)len;
	return msg_send(sock, &iov, 1, fds, n_fds);
}
