/* SPDX-License-Identifier: Apache-2.0 */
/* A card's port on a segment; see join.h. */
#include "cmd/bulkhead/segment/join.h"

#include "cmd/bulkhead/programs.h"
#include "cmd/bulkhead/segment/keeper.h"
#include "cmd/bulkhead/vmlink.h"
#include "lib/base/cleanup.h"
#include "lib/netkit/member.h"
#include "lib/names/names.h"
#include "lib/sandbox/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define ANSWER_MS 60000
/* Of a switch that is ending, of a full queue, and of a card whose VM has just ended. */
#define TRIES 40
#define PAUSE_MS 50

static int blame(int error, const char *why, const char **ret_why)
{
	*ret_why = why;
	return -error;
}

static void pause_a_moment(void)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

	nanosleep(&pause, NULL);
}

/* ---- who keeps it ---- */

static int open_program(const char **ret_why)
{
	char path[PATH_MAX + 128];
	int fd = program_find("net-switch", path, sizeof(path)) < 0 ?
			 -1 :
			 open(path, O_PATH | O_CLOEXEC);

	return fd < 0 ? blame(ENOENT, "the program net-switch is not installed", ret_why) : fd;
}

/* -EAGAIN: somebody else is just starting one. */
static int start(const struct names *n, const char *name, const char **ret_why)
{
	int listener, exe = open_program(ret_why);

	if (exe < 0)
		return exe;
	listener = names_listen_beside(n, name, MEMBER_WORD, SOCK_SEQPACKET);
	if (listener >= 0)
		return switch_keeper_start(name, listener, exe, ret_why);
	close(exe);
	return listener == -EADDRINUSE ? -EAGAIN : blame(-listener, strerror(-listener), ret_why);
}

/* A channel to its keeper; -EAGAIN: not now. */
static int reach(const struct names *n, const char *name, const char **ret_why)
{
	int sock = names_connect_beside(n, name, MEMBER_WORD, SOCK_SEQPACKET);

	if (sock == -ENOENT || sock == -ECONNREFUSED)
		return start(n, name, ret_why);
	if (sock == -EACCES)
		return blame(EACCES, "it is another user's", ret_why);
	return sock >= 0 || sock == -EAGAIN ? sock : blame(-sock, strerror(-sock), ret_why);
}

/* ---- a port of it ---- */

/* -EAGAIN: it has ended before it answered; -EBUSY with why: it will not have the card. */
static int ask(int sock, const struct control_msg *q, int stream, const char **ret_why)
{
	static struct control_msg m;
	int r = control_send(sock, q, stream);

	if (r == 0)
		r = vmlink_await(sock, CTL_DONE, ANSWER_MS, &m);
	if (r == -EPIPE || r == -ECONNRESET)
		return -EAGAIN;
	if (r < 0)
		return blame(-r, "its switch does not answer", ret_why);
	return m.type == CTL_DONE ? 0 : blame(EBUSY, m.text, ret_why);
}

static int try_once(const struct names *n, const char *name, const struct control_msg *q,
		    const char **ret_why)
{
	_cleanup_(closep) int ours = -1, theirs = -1, sock = -1;
	int pair[2], r;

	*ret_why = "its switch takes no more connections: try again";
	sock = reach(n, name, ret_why);
	if (sock < 0)
		return sock;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return blame(errno, strerror(errno), ret_why);
	ours = pair[0];
	theirs = pair[1];
	r = ask(sock, q, theirs, ret_why);
	return r < 0 ? r : take_fd(&ours);
}

static int join(const struct names *n, const char *name, const struct control_msg *q,
		const char **ret_why)
{
	int r = -EAGAIN;

	for (int i = 0; i < TRIES && (r == -EAGAIN || r == -EBUSY); i++) {
		if (i)
			pause_a_moment();
		r = try_once(n, name, q, ret_why);
	}
	return r;
}

int segment_open(const struct config_device *d, const char *name, const char **ret_why)
{
	const struct kind_way *w = kind_way(d->kind, d->options);
	struct control_msg q = { .type = CTL_ADD_FILE };
	_cleanup_(names_close) struct names n = NAMES_NONE;

	if (!name_is_right(name))
		return blame(EINVAL,
			     "a name has letters, digits, '.', '_' and '-', and begins with no '.'",
			     ret_why);
	if (!w->argument(d->options, 0, q.text, MEMBER_TEXT_MAX))
		return blame(
			EINVAL,
			"which MAC address a card that is attached will have is not known here: say mac=",
			ret_why);
	q.text_len = strlen(q.text);
	if (!peer_uid_is_ambiguous(geteuid()))
		names_open(geteuid(), getenv("XDG_RUNTIME_DIR"), true, &n);
	if (n.dir < 0)
		return blame(
			ENOENT,
			"it needs a directory of yours: set XDG_RUNTIME_DIR to one that nobody "
			"else may write to",
			ret_why);
	return join(&n, name, &q, ret_why);
}
