/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the supervisor the terminal's size; see termsize.h. */
#include "cmd/bulkhead/termsize.h"

#include "lib/control/control.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* 0: it has none, or does not know it. */
static uint32_t look(void)
{
	struct winsize ws;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0 || !ws.ws_col || !ws.ws_row)
		return 0;
	return control_size(ws.ws_col, ws.ws_row);
}

static void say(struct termsize *t)
{
	const struct control_msg m = { .type = CTL_SIZE, .number = look() };

	if (m.number && m.number != t->said && control_send(t->link, &m, -1) == 0)
		t->said = m.number;
}

static int on_change(struct loop_source *src, uint32_t events)
{
	struct signalfd_siginfo si;

	(void)events;
	if (read(src->fd, &si, sizeof(si)) == sizeof(si))
		say(src->owner);
	return 0;
}

int termsize_watch(struct termsize *t, struct loop *l, int link)
{
	sigset_t set;
	int fd, r;

	*t = (struct termsize){ .src = { .fd = -1 }, .link = link };
	if (!isatty(STDOUT_FILENO))
		return 0;
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = loop_add(l, &t->src, fd, EPOLLIN, on_change, t);
	say(t); /* from here on a change is heard of */
	return r;
}
