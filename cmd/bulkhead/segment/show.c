/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead segment: who is on a private network of one's VMs, and which of their frames were dropped. */
#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"
#include "lib/control/control.h"
#include "lib/names/names.h"
#include "lib/netkit/member.h"
#include "lib/sandbox/peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 60000 /* of each message */

static int reach(const char *name)
{
	_cleanup_(names_close) struct names n = NAMES_NONE;

	if (peer_uid_is_ambiguous(geteuid()))
		return -ENOENT;
	names_open(geteuid(), getenv("XDG_RUNTIME_DIR"), false, &n);
	return n.dir < 0 ? -ENOENT : names_connect_beside(&n, name, MEMBER_WORD, SOCK_SEQPACKET);
}

static int hear(int sock, struct control_msg *ret)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int fd = -1, r;

	if (poll(&p, 1, PATIENCE_MS) != 1)
		return -ETIMEDOUT;
	r = control_recv(sock, ret, &fd);
	closep(&fd);
	return r == 0 ? -EPIPE : r;
}

/* The keeper's lines are net-switch's, which hears guests: printable ASCII, as all text of a message. */
static int show(int sock, const char *name)
{
	static struct control_msg m = { .type = CTL_QUERY };
	int r = control_send(sock, &m, -1);

	while (r >= 0) {
		r = hear(sock, &m);
		if (r < 0 || m.type != CTL_LOG)
			break;
		puts(m.text);
	}
	if (r < 0)
		return complain(EXIT_FAILED, "segment: %s: its switch does not answer: %s", name,
				strerror(-r));
	if (m.type != CTL_DONE)
		return complain(EXIT_FAILED, "segment: %s: %s", name, m.text);
	return fflush(stdout) == 0 ? 0 : EXIT_OUTPUT;
}

int verb_segment(int argc, char **argv)
{
	_cleanup_(closep) int sock = -1;

	if (argc != 1 || !name_is_right(argv[0]))
		return complain(EXIT_WORDS,
				"segment: say NAME, of a network of your VMs (--net switch=NAME)");
	sock = reach(argv[0]);
	if (sock == -ENOENT || sock == -ECONNREFUSED)
		return complain(EXIT_START, "segment: no VM of yours is on switch=%s", argv[0]);
	if (sock < 0)
		return complain(EXIT_FAILED, "segment: %s: %s", argv[0], strerror(-sock));
	return show(sock, argv[0]);
}
