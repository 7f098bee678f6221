/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher as the supervisor sees it; see launcher.h. */
#include "cmd/supervisor/launcher.h"

#include "cmd/supervisor/child.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(ANSWER_MAX_FDS <= MSG_MAX_FDS, "they fit into a message");

static int make_channel(int *ret_ours, int *ret_theirs)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	*ret_theirs = pair[0];
	*ret_ours = pair[1];
	return fd_set_nonblock(*ret_ours, true);
}

int launcher_start(const struct jail_host *host, const struct selinux_vm *labels,
		   struct launcher_kit *kit, struct launcher *ret, struct open_error *e)
{
	_cleanup_(closep) int sock = -1;
	const pid_t supervisor = getpid();
	int r;

	*ret = LAUNCHER_NONE;
	r = make_channel(&ret->sock, &sock);
	if (r == 0) {
		ret->process.pid = child_fork(&ret->process.pidfd);
		if (ret->process.pid == 0)
			launcher_run(host, labels, kit, sock, supervisor);
		r = ret->process.pid < 0 ? -errno : 0;
	}
	if (r == 0)
		return 0;
	ret->process = JAIL_PROCESS_NONE;
	launcher_end(ret);
	return open_complain(e, r, "the launcher cannot be started: %s", strerror(-r));
}

int launcher_await(const struct launcher *l, struct open_error *e)
{
	struct pollfd p = { .fd = l->sock, .events = POLLIN };
	int fds[MSG_MAX_FDS];
	size_t n = 0;
	char byte;

	if (l->sock < 0)
		return 0;
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	return msg_recv(l->sock, &byte, 1, fds, &n, 0) == 1 ?
		       0 :
		       open_complain(e, -EPERM, "the launcher cannot be confined");
}

void launcher_end(struct launcher *l)
{
	jail_kill(&l->process);
	closep(&l->sock);
}

int launcher_ask(const struct launcher *l, const struct ask *a, int fd)
{
	struct pollfd p = { .fd = l->sock, .events = POLLOUT };
	uint8_t wire[ASK_WIRE_MAX];
	int len = ask_encode(a, wire, sizeof(wire));
	struct iovec iov = { wire, len < 0 ? 0 : (size_t)len };

	if (len < 0)
		return len;
	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
		return -EAGAIN;
	return msg_send(l->sock, &iov, 1, &fd, fd < 0 ? 0 : 1);
}

int launcher_ask_beside(const struct launcher *l, const int *beside)
{
	int r = 0;

	for (uint8_t i = 1; i < KIND_FILES_MAX && r == 0; i++) {
		const struct ask a = { .what = ASK_BESIDE, .number = i };

		if (beside[i - 1] >= 0)
			r = launcher_ask(l, &a, beside[i - 1]);
	}
	return r;
}

int launcher_hear(const struct launcher *l, struct answer *ret, int fds[ANSWER_MAX_FDS],
		  size_t *ret_n_fds)
{
	uint8_t wire[ANSWER_WIRE_MAX];
	int got[MSG_MAX_FDS];
	size_t n = 0;
	ssize_t len = msg_recv(l->sock, wire, sizeof(wire), got, &n, 0);

	if (len <= 0) {
		if (len == 0)
			fds_close(got, n);
		return (int)len;
	}
	if (answer_decode(wire, (size_t)len, n, ret) < 0) {
		fds_close(got, n);
		return -EBADMSG;
	}
	memcpy(fds, got, n * sizeof(got[0]));
	*ret_n_fds = n;
	return 1;
}
