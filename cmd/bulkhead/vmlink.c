/* SPDX-License-Identifier: Apache-2.0 */
/* Links to running VMs; see vmlink.h. */
#include "cmd/bulkhead/vmlink.h"

#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"
#include "lib/sandbox/peer.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

int vmlink_open_of(uid_t uid, const char *name)
{
	const struct timeval timeout = { .tv_sec = VMLINK_TIMEOUT_S };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int len = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "bulkhead/%u/%s", uid, name);
	socklen_t sa_len;

	if (fd < 0)
		return -errno;
	if (peer_uid_is_ambiguous(uid))
		return -EOVERFLOW;
	if ((size_t)len >= sizeof(sa.sun_path) - 1)
		return -ENOENT;
	sa_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&sa, sa_len) < 0)
		return errno == ECONNREFUSED ? -ENOENT : -errno;
	return peer_is(fd, uid) ? take_fd(&fd) : -ENOENT;
}

int vmlink_open(const char *name)
{
	return vmlink_open_of(geteuid(), name);
}

int vmlink_complain(const char *name, int error)
{
	if (error == -ENOENT)
		return complain(EXIT_START, "no VM of yours is named '%.64s': see bulkhead ps",
				name);
	if (error == -EOVERFLOW)
		return complain(EXIT_START,
				"%.64s: user %u stands for all unknown users in this user "
				"namespace, so that no VM can be told to be yours: map an id for "
				"yourself, or ask from outside",
				name, geteuid());
	return complain(EXIT_START, "%.64s: %s", name, strerror(-error));
}

int vmlink_ask(int sock, const struct control_msg *q, enum control_type wanted,
	       struct control_msg *ret, int *ret_fd)
{
	int r = control_send(sock, q, -1);

	if (r < 0)
		return r;
	r = control_recv(sock, ret, ret_fd);
	if (r == -EAGAIN)
		return -ETIMEDOUT;
	if (r <= 0)
		return r < 0 ? r : -EPIPE;
	if (ret->type == wanted || ret->type == CTL_REFUSED)
		return 1;
	closep(ret_fd);
	return -EPROTO;
}

/* /proc/net/unix: Num RefCount Protocol Flags Type St Inode Path; '@' is an abstract name. */
static bool name_of(const char *line, char name[CTL_NAME_MAX + 1])
{
	unsigned int flags, type, uid;
	char path[128];

	if (sscanf(line, "%*s %*s %*s %x %x %*s %*s %127s", &flags, &type, path) != 3)
		return false;
	if (!(flags & 0x10000) || type != SOCK_SEQPACKET) /* listening */
		return false;
	return sscanf(path, "@bulkhead/%u/%64[A-Za-z0-9._-]", &uid, name) == 2 && uid == geteuid();
}

int vmlink_each(void (*fn)(const char *name, void *owner), void *owner)
{
	FILE *f = fopen("/proc/net/unix", "re");
	char *line = NULL;
	size_t cap = 0;
	char name[CTL_NAME_MAX + 1];

	if (!f)
		return -errno;
	while (getline(&line, &cap, f) > 0)
		if (name_of(line, name))
			fn(name, owner);
	free(line);
	fclose(f);
	return 0;
}
