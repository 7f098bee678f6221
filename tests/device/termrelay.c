/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal relay alone, for test_terminal.py: `termrelay FD raw|safe|default [signalfd]` relays
 * between its terminal and the stream FD. Ctrl-] q detaches; two of them end it with status 3 when
 * the first finds the word "twice" as the last argument. With signalfd, SIGTERM is waited for in
 * the loop, as `run` does; without, it takes its default action.
 */
#include "cmd/bulkhead/terminal.h"
#include "lib/base/cleanup.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#define STATUS_QUIT 3
#define STATUS_SIGNAL 4

static struct terminal terminal;
static struct loop loop;
static bool twice;

static int on_quit(struct terminal *t, unsigned int times)
{
	(void)t;
	if (times >= (twice ? 2U : 1U))
		loop_stop(&loop, STATUS_QUIT);
	return 0;
}

static int on_end(struct terminal *t, int status)
{
	(void)t;
	loop_stop(&loop, status < 0 ? 5 : 0);
	return 0;
}

static int on_signal(struct loop_source *src, uint32_t events)
{
	(void)src, (void)events;
	loop_stop(&loop, STATUS_SIGNAL);
	return 0;
}

static const struct terminal_ops ops = { on_quit, on_end };

static int wait_for_signals(struct loop_source *src)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -1 : loop_add(&loop, src, fd, EPOLLIN, on_signal, NULL);
}

static enum terminal_filter filter_of(const char *word)
{
	if (strcmp(word, "raw") == 0)
		return TERMINAL_RAW;
	return strcmp(word, "safe") == 0 ? TERMINAL_SAFE : terminal_default_filter();
}

int main(int argc, char **argv)
{
	struct terminal_config config = { .ops = &ops, .help = "[help]\n" };
	struct loop_source signals = { .fd = -1 };
	int r;

	if (argc < 3 || loop_open(&loop) < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	config.stream = atoi(argv[1]);
	config.filter = filter_of(argv[2]);
	twice = strcmp(argv[argc - 1], "twice") == 0;
	if (argc > 3 && strcmp(argv[3], "signalfd") == 0 && wait_for_signals(&signals) < 0)
		return 1;
	r = terminal_init(&terminal, &loop, &config);
	if (r < 0) {
		fprintf(stderr, "terminal_init: %s\n", strerror(-r));
		return 1;
	}
	r = loop_run(&loop);
	terminal_close(&terminal);
	terminal_close(&terminal);
	return r < 0 ? 1 : r;
}
