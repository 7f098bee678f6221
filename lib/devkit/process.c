/* SPDX-License-Identifier: Apache-2.0 */
/* What the mains of all device processes share; see process.h. */
#include "lib/devkit/process.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

static int on_control(struct loop_source *src, uint32_t events)
{
	struct process *c = src->owner;
	struct control_msg m;
	int fd = -1, r;

	(void)events;
	r = control_recv(c->control_fd, &m, &fd);
	if (r == -EAGAIN)
		return 0;
	if (r == 0) {
		loop_remove(&c->loop, src);
		if (c->finish)
			c->finish(c);
		else
			loop_stop(&c->loop, 0);
		return 0;
	}
	if (r > 0 && c->message)
		r = c->message(c, &m, fd);
	else if (r > 0) {
		closep(&fd);
		r = -EPROTO;
	}
	if (r < 0)
		c->why = "message of the supervisor";
	return r < 0 ? r : 0;
}

int process_open(struct process *c, const struct declared_process *declared, const char **ret_what)
{
	const struct fd_row *bad = NULL;
	int r;

	signal(SIGPIPE, SIG_IGN); /* a pipe that nobody reads any more is an error of write */
	*c = (struct process){ .name = declared->name,
			       .control_fd = FD_CONTROL,
			       .loop = { .epfd = -1 },
			       .control = { .fd = -1 } };
	r = fds_adopt(declared->fds, declared->n_fds, &bad);
	if (r < 0) {
		*ret_what = bad ? bad->name : "descriptors";
		return r;
	}
	log_set_sink(control_log_sink, &c->control_fd);
	*ret_what = "event loop";
	r = loop_open(&c->loop);
	if (r < 0)
		return r;
	return loop_add(&c->loop, &c->control, c->control_fd, EPOLLIN, on_control, c);
}

int process_confine(struct process *c, const struct sandbox_policy *policy, const char **ret_what)
{
	return sandbox_enter(policy, c->control_fd, ret_what);
}

int process_ready(const struct process *c, const char **ret_what)
{
	const struct control_msg ready = { .type = CTL_READY };

	*ret_what = "control channel";
	return control_send(c->control_fd, &ready, -1);
}

int process_enter(struct process *c, const struct sandbox_policy *policy, const char **ret_what)
{
	int r = process_confine(c, policy, ret_what);

	return r < 0 ? r : process_ready(c, ret_what);
}

void process_busy(void *process, unsigned int n)
{
	const struct process *c = process;
	const struct control_msg m = { .type = CTL_BUSY, .number = n };

	(void)!control_send(c->control_fd, &m, -1);
}

int process_fail(const char *name, const char *what, int error)
{
	/* no strerror: it would look for a message catalogue */
	const char *reason = strerrordesc_np(error < 0 ? -error : error);

	return control_fail(FD_CONTROL, "%s: %s: %s", name, what, reason ? reason : "failed");
}

int process_serve(struct process *c)
{
	int r = loop_run(&c->loop);

	if (r >= 0)
		return 0;
	return process_fail(c->name, c->why && *c->why ? c->why : "serving", r);
}
