/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead console: relays the console of a VM until its user leaves. */
#include "cmd/bulkhead/confine.h"
#include "cmd/bulkhead/terminal.h"
#include "cmd/bulkhead/termsize.h"
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/vmlink.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

static const char help[] = "\n[bulkhead] Ctrl-] q leaves, the VM runs on; Ctrl-] Ctrl-] types "
			   "Ctrl-]\n";

static int on_quit(struct terminal *t, unsigned int times)
{
	(void)times;
	loop_stop(t->owner, 0);
	return 0;
}

static int on_end(struct terminal *t, int status)
{
	loop_stop(t->owner, status);
	return 0;
}

static const struct terminal_ops ops = { .on_quit = on_quit, .on_end = on_end };

/* The VM's end: what it still said is on its way through the stream. */
static int on_link(struct loop_source *src, uint32_t events)
{
	struct terminal *t = src->owner;
	struct control_msg m;
	int fd = -1;
	int r = control_recv(src->fd, &m, &fd);

	(void)events;
	closep(&fd);
	if (r > 0 && m.type == CTL_ENDING)
		terminal_take_all(t);
	if (r <= 0 && r != -EAGAIN)
		loop_remove(t->owner, src);
	return 0;
}

static int relay(int link, int stream, enum terminal_filter filter)
{
	static struct terminal t;
	static struct termsize size;
	struct loop l;
	struct loop_source src = { .fd = -1 };
	const struct terminal_config config = {
		.stream = stream, .filter = filter, .ops = &ops, .help = help, .owner = &l
	};
	const char *what = "terminal";
	int r = loop_open(&l);

	if (r == 0)
		r = terminal_init(&t, &l, &config);
	if (r == 0) {
		what = "event loop";
		r = loop_add(&l, &src, link, EPOLLIN, on_link, &t);
	}
	if (r == 0) {
		what = "terminal's size";
		r = termsize_watch(&size, &l, link);
	}
	if (r == 0)
		r = confine_relay(&what);
	if (r < 0) {
		terminal_close(&t);
		return complain(EXIT_START, "console: %s: %s", what, strerror(-r));
	}
	r = loop_run(&l);
	terminal_close(&t);
	return r < 0 ? complain(EXIT_FAILED, "console: %s", strerrordesc_np(-r)) : 0;
}

static int attach(const char *name, enum terminal_filter filter)
{
	const struct control_msg q = { .type = CTL_ATTACH };
	_cleanup_(closep) int link = vmlink_open(name);
	struct control_msg m;
	int stream = -1, r;

	if (link < 0)
		return vmlink_complain(name, link);
	r = vmlink_ask(link, &q, CTL_ATTACHED, &m, &stream);
	if (r < 0)
		return complain(EXIT_FAILED, "%.64s does not answer: %s", name, strerror(-r));
	if (m.type == CTL_REFUSED)
		return complain(EXIT_START, "%.64s: %s", name, m.text);
	return relay(link, stream, filter);
}

static int parse_filter(const char *word, enum terminal_filter *ret)
{
	if (strcmp(word, "safe") == 0)
		*ret = TERMINAL_SAFE;
	else if (strcmp(word, "raw") == 0)
		*ret = TERMINAL_RAW;
	else
		return strcmp(word, "auto") == 0 ? 0 : -EINVAL;
	return 0;
}

int verb_console(int argc, char **argv)
{
	enum terminal_filter filter = terminal_default_filter();
	const char *name = NULL;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		bool filter_next = strcmp(word, "--console") == 0 && i + 1 < argc;

		if (filter_next || strncmp(word, "--console=", 10) == 0) {
			word = filter_next ? argv[++i] : word + 10;
			if (parse_filter(word, &filter) < 0)
				return complain(EXIT_WORDS,
						"--console: '%.60s' will not do: say "
						"auto, safe or raw",
						word);
		} else if (word[0] == '-' || name) {
			return complain(EXIT_WORDS,
					"console: '%.60s' will not do: say NAME "
					"[--console auto|safe|raw]",
					word);
		} else {
			name = word;
		}
	}
	if (!name)
		return complain(EXIT_WORDS, "console: which VM is missing: say NAME");
	if (filter == TERMINAL_RAW && isatty(STDOUT_FILENO))
		complain_no_claim(name, &features[FEATURE_RAW_TERMINAL]);
	return attach(name, filter);
}
