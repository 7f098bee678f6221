/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead run: starts a VM and relays its console until it ends. */
#include "cmd/bulkhead/confine.h"
#include "cmd/bulkhead/help.h"
#include "cmd/bulkhead/launch.h"
#include "cmd/bulkhead/seed.h"
#include "cmd/bulkhead/terminal.h"
#include "cmd/bulkhead/termsize.h"
#include "cmd/bulkhead/vars.h"
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/words.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/loop.h"
#include "lib/control/control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

/* A reader that has taken nothing for this long is said to be waited for … */
#define DRAIN_SAY_MS 2000
/* … and given up after this, once the VM was asked to end by a signal. */
#define DRAIN_GIVE_UP_MS 10000

static const char help[] =
	"\n[bulkhead] Ctrl-] q presses the power button, a second time ends the VM; "
	"Ctrl-] Ctrl-] types Ctrl-]\n";

struct run {
	const struct vm_config *config;
	struct loop loop;
	struct supervisor supervisor;
	struct links links; /* until it has them */
	pid_t net_keeper;   /* 0: there is none */
	struct loop_source control;
	struct loop_source signals;
	struct terminal terminal;
	struct termsize size;
	bool relaying;
	bool started;
	bool ended;	    /* CTL_ENDED came */
	unsigned int asked; /* to stop */
	bool signalled;	    /* it was a signal that asked */
	bool broken;	    /* nobody can read the output any more */
	char why[CTL_TEXT_MAX + 1];
};

/* What is given up by what is used without a security claim; it depends on the terminal. */
static void say_given_up(const struct vm_config *c)
{
	const struct config_facts facts = { .on_terminal = isatty(STDOUT_FILENO) };

	for (enum feature_id i = 0; i < N_FEATURES; i++)
		if (features[i].status == FEATURE_NO_CLAIM && config_uses(c, &facts, i))
			complain_no_claim(c->name, &features[i]);
}

/* A tap of which root did not say otherwise. */
static void say_unguarded(const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++) {
		const struct config_device *d = &c->devices[i];

		if (config_is_on(d, KIND_OPENS_TAP) && !d->kind->link.ruled(d->options))
			complain(0,
				 "%s: tap=%.*s is as guarded as the host's administrator made it: "
				 "see TAPS in bulkhead(1)",
				 c->name, (int)d->to.path_len, d->to.path);
	}
}

/* ---- stopping ---- */

/* The first time the power button, then the end. */
static void ask_to_stop(struct run *r)
{
	const struct control_msg m = { .type = CTL_STOP, .number = r->asked++ > 0 };

	(void)!control_send(r->supervisor.control, &m, -1);
}

static int on_signal(struct loop_source *src, uint32_t events)
{
	struct run *r = src->owner;
	struct signalfd_siginfo si;

	(void)events;
	if (read(src->fd, &si, sizeof(si)) == sizeof(si)) {
		r->asked += si.ssi_signo == SIGHUP; /* nobody is there any more */
		r->signalled = true;
		ask_to_stop(r);
	}
	return 0;
}

static int on_quit(struct terminal *t, unsigned int times)
{
	(void)times;
	ask_to_stop(t->owner);
	return 0;
}

static bool reader_is_gone(int status)
{
	return status == -EPIPE || status == -EIO || status == -ECONNRESET;
}

/* As SIGHUP, which a terminal that closes sends as well: nobody is there any more. */
static void hang_up(struct run *r)
{
	r->broken = true;
	if (!r->signalled)
		complain(0,
			 "%s: the reader of its console's output has gone: ending the VM, as for a "
			 "hang-up",
			 r->config->name);
	r->asked++;
	ask_to_stop(r);
}

/* The console is free for `bulkhead console`. */
static void release(struct run *r, int status)
{
	const struct control_msg m = { .type = CTL_RELEASE };

	(void)!control_send(r->supervisor.control, &m, -1);
	complain(0,
		 "%s: its console's output cannot be written: %s: the VM runs on without, see "
		 "bulkhead console",
		 r->config->name, strerrordesc_np(-status));
}

/* Without its console the VM runs on; its end is told by the control channel. */
static int on_end(struct terminal *t, int status)
{
	struct run *r = t->owner;

	if (status < 0 && !r->ended)
		reader_is_gone(status) ? hang_up(r) : release(r, status);
	return 0;
}

static const struct terminal_ops ops = { .on_quit = on_quit, .on_end = on_end };

/* ---- the supervisor's messages ---- */

static enum terminal_filter filter_of(const struct vm_config *c)
{
	if (c->console == CONSOLE_AUTO)
		return terminal_default_filter();
	return c->console == CONSOLE_RAW ? TERMINAL_RAW : TERMINAL_SAFE;
}

static int relay(struct run *r)
{
	const struct terminal_config config = { .stream = r->supervisor.stream,
						.filter = filter_of(r->config),
						.ops = &ops,
						.help = help,
						.owner = r };
	const char *what = "the terminal";
	int e;

	if (r->supervisor.stream >= 0) {
		e = terminal_init(&r->terminal, &r->loop, &config);
		if (e < 0)
			return complain(-EIO, "the terminal: %s", strerror(-e));
		r->supervisor.stream = -1;
		r->relaying = true;
		e = termsize_watch(&r->size, &r->loop, r->supervisor.control);
		if (e < 0)
			return complain(-EIO, "the terminal's size: %s", strerror(-e));
	}
	e = confine_relay(&what);
	return e < 0 ? complain(e, "the command cannot be confined: %s: %s", what, strerror(-e)) :
		       0;
}

static int on_started(struct run *r)
{
	r->started = true;
	if (!r->config->detach)
		return relay(r);
	loop_stop(&r->loop, 0);
	return 0;
}

static int on_control(struct loop_source *src, uint32_t events)
{
	struct run *r = src->owner;
	struct control_msg m;
	int fd = -1;
	int n = control_recv(src->fd, &m, &fd);

	(void)events;
	closep(&fd);
	if (n == -EAGAIN)
		return 0;
	if (n > 0 && m.type == CTL_STARTED && !r->started)
		return on_started(r);
	if (n > 0 && (m.type == CTL_DONE || m.type == CTL_REFUSED))
		return 0;
	if (n > 0 && m.type == CTL_ENDING) {
		if (r->relaying)
			terminal_take_all(&r->terminal);
		return 0;
	}
	if (n > 0 && m.type == CTL_ENDED) {
		r->ended = true;
		memcpy(r->why, m.text, sizeof(r->why));
	}
	loop_stop(&r->loop, 0);
	return 0;
}

/* ---- start and end ---- */

static int watch(struct run *r)
{
	sigset_t set;
	int fd, e = loop_open(&r->loop);

	if (e < 0)
		return e;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : loop_add(&r->loop, &r->signals, fd, EPOLLIN, on_signal, r);
}

/* The VM has ended: all that it said goes to a reader who lives, however slowly, unless a signal says
 * that nobody waits. How many bytes were lost. */
static size_t drain(struct run *r)
{
	int give_up_ms = r->signalled ? DRAIN_GIVE_UP_MS : -1;
	int e = terminal_drain(&r->terminal, DRAIN_SAY_MS, r->signals.fd);

	if (e == -ETIMEDOUT) {
		complain(0,
			 "%s: it has ended, but for its output, of which nobody reads the rest: "
			 "waiting; SIGINT or SIGTERM gives it up",
			 r->config->name);
		e = terminal_drain(&r->terminal, give_up_ms, r->signals.fd);
	}
	return e < 0 ? terminal_drop(&r->terminal) : 0;
}

static int say_end(const struct run *r, int status, size_t lost)
{
	if (!r->started)
		return complain(status, "%s", r->why);
	complain(status, "%s: %s", r->config->name, r->why);
	if (!lost)
		return status;
	complain(0, "%s: the last %zu bytes of its output were lost", r->config->name, lost);
	return status ? status : EXIT_OUTPUT;
}

/* The supervisor has not said why the VM ended. */
static int say_silent_end(const struct run *r, int loop_status, int status, int signal)
{
	const char *name = r->config->name, *abbrev = sigabbrev_np(signal);

	if (loop_status < 0)
		return complain(EXIT_FAILED, "%s: the command failed", name);
	if (signal)
		return complain(EXIT_FAILED, "%s: the supervisor was killed by signal %s (%d)",
				name, abbrev ? abbrev : "?", signal);
	return complain(EXIT_FAILED, "%s: the supervisor ended by itself with status %d", name,
			status);
}

static int end(struct run *r, int loop_status)
{
	size_t lost = 0;
	int status, signal;

	if (r->config->detach && r->started && !r->ended) {
		printf("%s\n", r->config->name);
		return 0;
	}
	if (r->relaying) {
		if (!r->broken)
			lost = drain(r);
		terminal_close(&r->terminal);
	}
	close(r->supervisor.control); /* a VM without its command ends */
	status = supervisor_wait(&r->supervisor, &signal);
	if (r->net_keeper)
		(void)waitpid(r->net_keeper, NULL, 0);
	if (!r->ended)
		return say_silent_end(r, loop_status, status, signal);
	return say_end(r, status, lost);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* Who removes what was made of the host's network; without it the VM ends at once. */
static int keep_net(struct run *r, const char **ret_what)
{
	int signal;

	if (!r->links.n_made)
		return 0;
	r->net_keeper =
		net_keeper_start(r->links.made, r->links.n_made, r->supervisor.pid, ret_what);
	if (r->net_keeper > 0)
		return 0;
	close(r->supervisor.control);
	(void)supervisor_wait(&r->supervisor, &signal);
	links_undo(&r->links);
	return r->net_keeper;
}

/* Before anything is made for it: what may not be used whatever runs the guest. The supervisor asks again. */
static int refuse_first(const struct vm_config *c)
{
	const struct config_facts none = { .soft = false };
	struct config_error e;

	return config_check_allowed(c, &none, &e) < 0 ? complain(EXIT_START, "%s", e.text) : 0;
}

int verb_run(int argc, char **argv)
{
	static struct run r;
	static struct vm_config config;
	const char *what = "the event loop";
	uint64_t since = now_ns();
	int e;

	if (argc == 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
		help_run();
		return 0;
	}
	r.config = &config;
	e = words_to_config(argc, argv, &config);
	if (e == 0)
		e = refuse_first(&config);
	if (e == 0)
		e = links_take(&config, &r.links);
	if (e == 0)
		e = vars_take(&config);
	if (e == 0)
		e = seed_take(&config, &r.links);
	if (e) {
		links_undo(&r.links);
		return e;
	}
	say_given_up(&config);
	say_unguarded(&config);
	/* nor may a reader that has stopped hold the end up */
	(void)fd_unshare_output(STDERR_FILENO);
	e = watch(&r);
	if (e == 0)
		e = supervisor_spawn(&config, &r.links, since, &r.supervisor, &what);
	if (e < 0)
		links_undo(&r.links);
	if (e == 0)
		e = keep_net(&r, &what);
	if (e < 0)
		return complain(EXIT_START, "%s: %s", what, strerror(-e));
	e = loop_add(&r.loop, &r.control, r.supervisor.control, EPOLLIN, on_control, &r);
	return end(&r, e < 0 ? e : loop_run(&r.loop));
}
