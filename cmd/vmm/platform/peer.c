/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded exchanges with a device's process; see peer.h. */
#include "cmd/vmm/platform/peer.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The call itself, not the C library's: it takes what was waited off the limit, so no clock is
 * needed. */
static int wait_for(int sock, short events, struct peer_deadline *d)
{
	struct pollfd p = { .fd = sock, .events = events };
	long r;

	do
		r = syscall(SYS_ppoll, &p, 1UL, &d->left, NULL, 0UL);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r ? 0 : -ETIMEDOUT;
}

int peer_wait(int sock, struct peer_deadline *d)
{
	return wait_for(sock, POLLIN, d);
}

/* A whole message at once, as long as there is room; the UART's bytes are sent this way. */
static ssize_t send_now(int sock, const void *data, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	const struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	do
		sent = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return sent;
	if (errno == EAGAIN)
		return 0;
	return errno == ECONNRESET ? -EPIPE : -errno;
}

int peer_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds,
	      struct peer_deadline *d)
{
	ssize_t sent = n_fds ? 0 : send_now(sock, data, len);
	struct iovec iov;
	int r;

	if (sent < 0 || (size_t)sent == len)
		return sent < 0 ? (int)sent : 0;
	iov = (struct iovec){ (uint8_t *)(uintptr_t)data + sent, len - (size_t)sent };
	/* a writable UNIX socket has three quarters of its buffer free: msg_send does not wait */
	r = wait_for(sock, POLLOUT, d);
	return r < 0 ? r : msg_send(sock, &iov, 1, fds, n_fds);
}

union one_fd {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

/* The kernel gives at most as many descriptors as there is room for: one. */
static void take_fd_of(struct msghdr *mh, int *ret_fd)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(mh);

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
}

/* Bytes received, or a negative errno. */
static ssize_t recv_some(int sock, void *data, size_t len, int *ret_fd)
{
	struct iovec iov = { data, len };
	union one_fd u;
	bool want = ret_fd && *ret_fd < 0;
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = want ? u.space : NULL,
			     .msg_controllen = want ? CMSG_LEN(sizeof(int)) : 0 };
	ssize_t got;

	do
		got = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (got == 0)
		return -EPIPE;
	if (want)
		take_fd_of(&mh, ret_fd);
	return mh.msg_flags & MSG_CTRUNC ? -EBADMSG : got;
}

int peer_recv(int sock, void *data, size_t len, int *ret_fd, struct peer_deadline *d)
{
	uint8_t *at = data;

	while (len) {
		ssize_t got;
		int r = wait_for(sock, POLLIN, d);

		if (r < 0)
			return r;
		got = recv_some(sock, at, len, ret_fd);
		if (got == -EAGAIN)
			continue;
		if (got < 0)
			return (int)got;
		at += got;
		len -= (size_t)got;
	}
	return 0;
}

const char *peer_strerror(int error)
{
	switch (error) {
	case -ETIMEDOUT:
		return "its process does not answer";
	case -EPIPE:
		return "its process has ended";
	case -EBADMSG:
	case -EPROTO:
		return "its process broke the protocol";
	default:
		return strerrordesc_np(-error);
	}
}
