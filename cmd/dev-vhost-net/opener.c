/* SPDX-License-Identifier: Apache-2.0 */
/* See opener.h. */
#include "cmd/dev-vhost-net/opener.h"

#include "lib/base/fd.h"
#include "lib/storagekit/dial.h"

int opener_ask(int sock)
{
	uint8_t place = 0, wire[DIAL_ANSWER_LEN];
	struct iovec iov = { &place, 1 };
	struct dial_answer a;
	int fds[MSG_MAX_FDS];
	size_t n = 0;
	ssize_t len;
	int r = msg_send(sock, &iov, 1, NULL, 0);

	if (r < 0)
		return r;
	len = msg_recv(sock, wire, sizeof(wire), fds, &n, 0);
	if (len <= 0)
		return len < 0 ? (int)len : -EPIPE;
	r = dial_decode(wire, (size_t)len, n, &a);
	if (r < 0)
		fds_close(fds, n);
	return r < 0 ? r : a.error ? a.error : fds[0];
}
