/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a socket; see peer.h. */
#include "lib/sandbox/peer.h"

#include "lib/base/cleanup.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define OVERFLOW_DEFAULT 65534U /* the kernel's own, where /proc does not say */

static bool read_text(const char *path, char *ret, size_t cap)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, cap - 1);

	ret[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

static uid_t overflow_uid(void)
{
	unsigned int uid = OVERFLOW_DEFAULT;
	char text[16];

	if (read_text("/proc/sys/kernel/overflowuid", text, sizeof(text)))
		(void)!sscanf(text, "%u", &uid);
	return uid;
}

/* As outside of every namespace: then the number is a user's like any other. */
static bool all_are_mapped(void)
{
	unsigned int inside, outside, count;
	char text[64];

	return read_text("/proc/self/uid_map", text, sizeof(text)) &&
	       sscanf(text, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 &&
	       count == UINT32_MAX;
}

bool peer_uid_is_ambiguous(uid_t uid)
{
	return uid <= UINT16_MAX && uid == overflow_uid() && !all_are_mapped();
}

static bool find_peer(int sock, struct ucred *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, ret, &len) == 0 && len == sizeof(*ret);
}

bool peer_is(int sock, uid_t uid)
{
	struct ucred peer;

	return find_peer(sock, &peer) && peer.uid == uid && !peer_uid_is_ambiguous(uid);
}

pid_t peer_pid(int sock)
{
	struct ucred peer;

	return find_peer(sock, &peer) ? peer.pid : 0;
}
