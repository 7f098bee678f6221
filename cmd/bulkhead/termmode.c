/* SPDX-License-Identifier: Apache-2.0 */
/* Raw mode and the ways out of it; see termmode.h. Handlers use async-signal-safe calls alone. */
#include "cmd/bulkhead/termmode.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <termios.h>

static struct {
	volatile sig_atomic_t raw; /* saved is to be given back */
	int fd;
	struct termios saved;
	struct termios rawmodes;
	bool at_exit;
} mode;

static const int deadly[] = {
	SIGHUP,	 SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,  SIGFPE, SIGUSR1,
	SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGXCPU, SIGXFSZ, SIGSYS,
};

static bool handled[ARRAY_SIZE(deadly)]; /* the action was the default one and is ours now */

/* SA_RESETHAND has put the default action back; it is carried out when the handler returns. */
static void on_deadly(int sig)
{
	int saved_errno = errno;

	if (mode.raw)
		tcsetattr(mode.fd, TCSANOW, &mode.saved);
	raise(sig);
	errno = saved_errno;
}

static void on_tstp(int sig);

static void set_action(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = flags };

	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

static void on_tstp(int sig)
{
	int saved_errno = errno;
	sigset_t set, old;

	tcsetattr(mode.fd, TCSANOW, &mode.saved);
	set_action(sig, SIG_DFL, 0);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &set, &old); /* stops here; SIGCONT's handler goes raw again */
	sigprocmask(SIG_SETMASK, &old, NULL);
	set_action(sig, on_tstp, SA_RESTART);
	errno = saved_errno;
}

static void on_cont(int sig)
{
	int saved_errno = errno;

	(void)sig;
	if (mode.raw)
		tcsetattr(mode.fd, TCSANOW, &mode.rawmodes);
	raise(SIGWINCH); /* nobody tells a stopped process of a new size */
	errno = saved_errno;
}

static bool is_default(int sig)
{
	struct sigaction sa;

	return sigaction(sig, NULL, &sa) == 0 && !(sa.sa_flags & SA_SIGINFO) &&
	       sa.sa_handler == SIG_DFL;
}

static void take_signals(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++) {
		handled[i] = is_default(deadly[i]);
		if (handled[i])
			set_action(deadly[i], on_deadly, (int)SA_RESETHAND);
	}
	set_action(SIGTSTP, on_tstp, SA_RESTART);
	set_action(SIGCONT, on_cont, SA_RESTART);
}

static void give_signals(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		if (handled[i])
			set_action(deadly[i], SIG_DFL, 0);
	set_action(SIGTSTP, SIG_DFL, 0);
	set_action(SIGCONT, SIG_DFL, 0);
}

static struct termios raw_of(const struct termios *saved)
{
	struct termios t = *saved;

	cfmakeraw(&t);
	t.c_oflag = saved->c_oflag; /* our own lines still end in one \n */
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	return t;
}

int termmode_raw(int fd)
{
	struct termios saved;

	if (mode.raw)
		return -EBUSY;
	if (tcgetattr(fd, &saved) < 0)
		return -errno;
	if (!mode.at_exit && atexit(termmode_restore) != 0)
		return -ENOMEM;
	mode.at_exit = true;
	mode.fd = fd;
	mode.saved = saved;
	mode.rawmodes = raw_of(&saved);
	take_signals();
	mode.raw = true; /* before the change: a signal in between gives back what is there */
	if (tcsetattr(fd, TCSANOW, &mode.rawmodes) < 0) {
		int r = -errno;

		mode.raw = false;
		give_signals();
		return r;
	}
	return 0;
}

void termmode_restore(void)
{
	if (!mode.raw)
		return;
	tcsetattr(mode.fd, TCSANOW, &mode.saved);
	mode.raw = false;
	give_signals();
}
