/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net-switch: passes frames between network cards of one user's VMs, on one private segment. It is of no VM: the switch
 * keeper starts it, and hands it each port.
 * Trust: frames of all ports HOSTILE, messages of the switch keeper trusted.
 * Holds: 3 control, and the ports that come over it.
 */
#include "cmd/net-switch/policy.h"
#include "cmd/net-switch/switch.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/process.h"

#include <errno.h>
#include <string.h>

static struct net_switch net_switch;

static int join(struct process *c, const struct control_msg *m, int fd)
{
	const struct control_msg taken = { .type = CTL_PLUGGED, .number = m->number };
	int r = switch_join(&net_switch, m->number, m->text, fd);

	return r < 0 ? r : control_send(c->control_fd, &taken, -1);
}

/* A line for each port, and an end. */
static int say_all(struct process *c)
{
	static const struct control_msg done = { .type = CTL_DONE };
	struct control_msg m = { .type = CTL_LOG, .number = LOG_LEVEL_INFO };
	int r = 0;

	_Static_assert(SEGMENT_TEXT_MAX <= sizeof(m.text), "a line is a message");
	for (unsigned int i = 0; i < MEMBERS_MAX && r == 0; i++)
		if (segment_say(&net_switch.segment, i, m.text)) {
			m.text_len = strlen(m.text);
			r = control_send(c->control_fd, &m, -1);
		}
	return r < 0 ? r : control_send(c->control_fd, &done, -1);
}

static int on_message(struct process *c, const struct control_msg *m, int fd)
{
	if (m->type == CTL_PLUG)
		return join(c, m, fd);
	closep(&fd);
	return m->type == CTL_QUERY ? say_all(c) : -EPROTO;
}

static void on_left(void *owner, unsigned int port)
{
	const struct control_msg m = { .type = CTL_LOST, .number = port };
	struct process *c = owner;

	(void)!control_send(c->control_fd, &m, -1);
}

int main(int argc, char **argv)
{
	static struct process c;
	const char *what = "word";
	int r = argc == 1 ? 0 : -EINVAL; /* 1 there are none */

	(void)argv;
	if (r == 0)
		r = process_open(&c, &net_switch_declared, &what); /* 2 close others */
	if (r == 0) {
		what = "clock";
		net_switch.left = on_left;
		net_switch.owner = &c;
		r = switch_open(&net_switch, &c.loop); /* 3 no hostile byte */
	}
	c.message = on_message;
	if (r == 0)
		r = process_enter(&c, &net_switch_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail("net-switch", what, r);
	return process_serve(&c); /* 5 hostile from here */
}
