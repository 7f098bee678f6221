/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-console: serves one 16550 over vfio-user and one virtio-console over vhost-user, for one
 * terminal.
 * Trust: registers and rings HOSTILE, vmm HOSTILE, the terminal's bytes opaque, supervisor and argv
 *	trusted.
 * Holds: 3 control, 4 vfio-user socket, 5 vhost-user socket, 6 the page that keeps its state, which a
 *	predecessor left HOSTILE; two timers that are only read; later one stream at a time.
 */
#include "cmd/dev-console/console.h"
#include "cmd/dev-console/policy.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"
#include "lib/devkit/process.h"

#include <errno.h>
#include <signal.h>

#define NAME "dev-console"
/* How long the end of a VM waits for a terminal that takes nothing. */
#define FINISH_IDLE_MS 2000
static struct process process;
static struct console console;

/* The vmm asks for it once the supervisor has heard that it is there. */
static int resize(const struct process *c, uint32_t size)
{
	const struct control_msg changed = { .type = CTL_CONFIG_CHANGED };

	console.virtio.columns = control_columns(size);
	console.virtio.rows = control_rows(size);
	return control_send(c->control_fd, &changed, -1);
}

static int on_message(struct process *c, const struct control_msg *m, int fd)
{
	if (m->type == CTL_CONSOLE)
		return console_attach(&console, fd);
	if (m->type == CTL_CONSOLE_SIZE)
		return resize(c, m->number);
	closep(&fd);
	return -EPROTO;
}

int main(int argc, char **argv)
{
	struct console_options options;
	struct console_page *page = NULL;
	const char *what = "argument";
	int r;

	/* a terminal that went away is an error of write */
	signal(SIGPIPE, SIG_IGN);

	/* 1 words only */
	r = args_parse(&console_kind, argc, argv, &options, &what);
	/* 2 close others */
	if (r == 0)
		r = process_open(&process, &console_declared, &what);
	/* 3 no hostile byte */
	if (r == 0) {
		what = "state page";
		r = console_page_map(CONSOLE_FD_STATE, &page);
	}
	if (r == 0)
		r = console_prepare(&console, &process.loop, options.input, page, options.hold_s,
				    CONSOLE_FD_VFIO_USER, CONSOLE_FD_VHOST_USER, &what,
				    &process.why);
	process.message = on_message;
	/* 4 no way back */
	if (r == 0)
		r = process_enter(&process, &console_policy, &what);
	if (r < 0)
		return process_fail(NAME, what, r);
	/* 5 hostile from here */
	r = process_serve(&process);
	console_finish(&console, FINISH_IDLE_MS);
	return r;
}
