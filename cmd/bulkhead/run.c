/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead run: starts a VM and relays its console until it ends. */
#include "cmd/bulkhead/confine.h"
#include "cmd/bulkhead/help.h"
#include "cmd/bulkhead/launch.h"
#include "cmd/bulkhead/terminal.h"
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/words.h"
#include "lib/base/cleanup.h"
#include "lib/base/loop.h"
#include "lib/control/control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>

#define DRAIN_IDLE_MS 2000

static const char help[] =
	"\n[bulkhead] Ctrl-] q presses the power button, a second time ends the VM; "
	"Ctrl-] Ctrl-] types Ctrl-]\n";

struct run {
	const struct vm_config *config;
	struct loop loop;
	struct supervisor supervisor;
	struct loop_source control;
	struct loop_source signals;
	struct terminal terminal;
	bool relaying;
	bool started;
	bool ended;	    /* CTL_ENDED came */
	unsigned int asked; /* to stop */
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

/* Without its console the VM runs on; its end is told by the control channel. */
static int on_end(struct terminal *t, int status)
{
	(void)t;
	if (status < 0)
		complain(0, "the console's output was lost: %s", strerrordesc_np(-status));
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

static int end(struct run *r, int loop_status)
{
	int status;

	if (r->config->detach && r->started && !r->ended) {
		printf("%s\n", r->config->name);
		return 0;
	}
	if (r->relaying) {
		if (r->terminal.stream >= 0)
			(void)!terminal_drain(&r->terminal, DRAIN_IDLE_MS);
		terminal_close(&r->terminal);
	}
	close(r->supervisor.control); /* a VM without its command ends */
	status = supervisor_wait(&r->supervisor);
	if (!r->ended)
		return complain(EXIT_FAILED, "%s: %s", r->config->name,
				loop_status < 0 ? "the command failed" : "the supervisor died");
	if (!r->started)
		return complain(status, "%s", r->why);
	return complain(status, "%s: %s", r->config->name, r->why);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
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
	if (e)
		return e;
	say_given_up(&config);
	e = watch(&r);
	if (e == 0)
		e = supervisor_spawn(&config, since, &r.supervisor, &what);
	if (e < 0)
		return complain(EXIT_START, "%s: %s", what, strerror(-e));
	e = loop_add(&r.loop, &r.control, r.supervisor.control, EPOLLIN, on_control, &r);
	return end(&r, e < 0 ? e : loop_run(&r.loop));
}
