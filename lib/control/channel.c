/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages over a socket; see control.h. */
#include "lib/base/fd.h"
#include "lib/control/control.h"

#include <errno.h>

int control_send(int sock, const struct control_msg *m, int fd)
{
	uint8_t wire[CTL_WIRE_MAX];
	struct iovec iov = { wire, 0 };
	int len = control_encode(m, wire, sizeof(wire));

	if (len < 0)
		return len;
	if (control_n_fds(m->type) != (fd >= 0 ? 1U : 0U))
		return -EINVAL;
	iov.iov_len = (size_t)len;
	return msg_send(sock, &iov, 1, &fd, fd >= 0 ? 1 : 0);
}

int control_recv(int sock, struct control_msg *ret, int *ret_fd)
{
	uint8_t wire[CTL_WIRE_MAX];
	int fds[MSG_MAX_FDS];
	size_t n_fds = 0;
	struct control_msg m;
	ssize_t got = msg_recv(sock, wire, sizeof(wire), fds, &n_fds, 0);

	if (got <= 0) {
		if (got == 0)
			fds_close(fds, n_fds);
		return (int)got;
	}
	if (control_decode(wire, (size_t)got, &m) < 0 || n_fds != control_n_fds(m.type)) {
		fds_close(fds, n_fds);
		return -EBADMSG;
	}
	*ret = m;
	*ret_fd = n_fds ? fds[0] : -1;
	return 1;
}
