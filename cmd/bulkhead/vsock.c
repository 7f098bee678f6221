/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead vsock: joins standard input and output to a port of a guest, through the VM's vsock socket.
 * What the guest says is HOSTILE, and goes to a program: never to a terminal.
 */
#include "cmd/bulkhead/confine.h"
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/vmlink.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/names/names.h"
#include "lib/sandbox/peer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX 24 /* "OK 4294967295\n" */
#define CHUNK 4096  /* what a blocking output that poll calls writable takes at once */

struct way {
	int from, to;
	bool to_socket;
	bool ended; /* `from` says no more */
	size_t at, len;
	char bytes[CHUNK];
};

/* 0 for nothing now, -EPIPE where the other side takes no more. */
static int move_out(struct way *w)
{
	ssize_t n = w->to_socket ? send(w->to, w->bytes + w->at, w->len - w->at,
					MSG_DONTWAIT | MSG_NOSIGNAL) :
				   write(w->to, w->bytes + w->at, w->len - w->at);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	w->at += (size_t)n;
	return 0;
}

static int move_in(struct way *w)
{
	ssize_t n = read(w->from, w->bytes, sizeof(w->bytes));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	w->at = 0;
	w->len = n > 0 ? (size_t)n : 0;
	w->ended = n <= 0;
	if (w->ended && w->to_socket)
		(void)shutdown(w->to, SHUT_WR);
	return n < 0 ? -errno : 0;
}

static int move(struct way *w, const struct pollfd *p)
{
	if (!p->revents)
		return 0;
	return w->at < w->len ? move_out(w) : move_in(w);
}

static struct pollfd wait_for(const struct way *w)
{
	if (w->at < w->len)
		return (struct pollfd){ .fd = w->to, .events = POLLOUT };
	return (struct pollfd){ .fd = w->ended ? -1 : w->from, .events = POLLIN };
}

/* Over once the guest says no more, or standard output takes none. That the guest hears no more ends nothing: what it
 * says still comes. */
static int relay(int sock)
{
	static struct way in = { .from = STDIN_FILENO, .to_socket = true };
	static struct way out = { .to = STDOUT_FILENO };
	int r = 0;

	in.to = out.from = sock;
	while (r == 0 && (!out.ended || out.at < out.len)) {
		struct pollfd p[] = { wait_for(&in), wait_for(&out) };

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (move(&in, &p[0]) < 0) {
			in.ended = true;
			in.at = in.len = 0;
		}
		r = move(&out, &p[1]);
	}
	return r;
}

static int complain_output(int error)
{
	return error == 0 ?
		       0 :
		       complain(EXIT_OUTPUT, "vsock: output was lost: %s", strerrordesc_np(-error));
}

/* 0, or -EPIPE: it ended before. Byte by byte, as what comes behind it is the guest's. */
static int ask(int sock, const char *port)
{
	char line[LINE_MAX + 16];
	int len = snprintf(line, sizeof(line), "CONNECT %s\n", port);
	size_t at = 0;

	if (send(sock, line, (size_t)len, MSG_NOSIGNAL) != len)
		return -EPIPE;
	do {
		if (recv(sock, line + at, 1, 0) != 1)
			return -EPIPE;
	} while (line[at++] != '\n' && at < sizeof(line));
	return strncmp(line, "OK ", 3) == 0 && line[at - 1] == '\n' ? 0 : -EPIPE;
}

static int join(const char *name, const char *port, int sock)
{
	const char *what = "?";
	int r = fd_set_nonblock(sock, false);

	if (r == 0)
		r = ask(sock, port);
	if (r < 0)
		return complain(EXIT_START,
				"%.64s: port %s is not there: its VM names it by --vsock-listen, "
				"and a program of the guest listens on it",
				name, port);
	r = confine_relay(&what);
	if (r < 0)
		return complain(EXIT_START, "vsock: %s: %s", what, strerror(-r));
	return complain_output(relay(sock));
}

static int connect_to(const char *name)
{
	_cleanup_(names_close) struct names n = NAMES_NONE;

	if (peer_uid_is_ambiguous(geteuid()))
		return -EOVERFLOW;
	names_open(geteuid(), getenv("XDG_RUNTIME_DIR"), false, &n);
	return names_connect_beside(&n, name, "vsock", SOCK_STREAM);
}

static bool is_port(const char *word)
{
	return *word && strlen(word) <= 10 && strspn(word, "0123456789") == strlen(word);
}

int verb_vsock(int argc, char **argv)
{
	_cleanup_(closep) int sock = -1;

	signal(SIGPIPE, SIG_IGN);
	if (argc != 2 || argv[0][0] == '-' || !is_port(argv[1]))
		return complain(EXIT_WORDS, "vsock: say NAME PORT, a VM and a port of its guest");
	if (strchr(argv[0], '/'))
		return vmlink_complain(argv[0], -ENOENT);
	if (isatty(STDOUT_FILENO))
		return complain(EXIT_WORDS,
				"vsock: what a guest says is not for a terminal: say | cat -v "
				"behind it");
	sock = connect_to(argv[0]);
	if (sock == -ENOENT || sock == -ECONNREFUSED)
		return complain(EXIT_START,
				"no VM of yours is named '%.64s' and has --vsock on: see bulkhead "
				"ps",
				argv[0]);
	return sock < 0 ? vmlink_complain(argv[0], sock) : join(argv[0], argv[1], sock);
}
