/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-net: serves one virtio-net device over vhost-user, on a stream of frames or the queues of a tap.
 * Trust: rings HOSTILE, vmm HOSTILE, the frames of the stream's other end or the tap HOSTILE, the page that a predecessor left
 *	HOSTILE, argv trusted.
 * Holds: 3 control, 4 vhost-user, 5 the page that keeps the link and what the driver has set, 6 the link, or 7 and up the tap's queues.
 */
#include "cmd/dev-net/net.h"
#include "cmd/dev-net/policy.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"
#include "lib/devkit/process.h"

#include <errno.h>

static struct net net;

static int on_message(struct process *c, const struct control_msg *m, int fd)
{
	const struct control_msg changed = { .type = CTL_CONFIG_CHANGED };

	closep(&fd);
	if (m->type != CTL_LINK || m->number & ~(uint32_t)(CTL_LINK_UP | CTL_LINK_ANNOUNCE))
		return -EPROTO;
	net_set_link(&net, m->number & CTL_LINK_UP, m->number & CTL_LINK_ANNOUNCE);
	return control_send(c->control_fd, &changed, -1);
}

static void on_announced(void *owner)
{
	const struct control_msg m = { .type = CTL_ANNOUNCED };
	struct process *c = owner;

	(void)!control_send(c->control_fd, &m, -1);
}

int main(int argc, char **argv)
{
	static struct process c;
	struct net_options options;
	struct net_page *page = NULL;
	const char *what = "word";
	int taps[NET_PAIRS_MAX], r;
	const unsigned int n_taps = card_find_taps(NET_FD_TAP, taps);

	r = args_parse(&net_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0 && n_taps && n_taps != options.queues) {
		what = "--queues: not as many as its tap has";
		r = -EINVAL;
	}
	if (r == 0)
		r = process_open(&c, &net_declared, &what); /* 2 close others */
	if (r == 0) {
		what = "state page";
		r = net_page_map(NET_FD_STATE, &page); /* 3 no hostile byte but the page's */
	}
	if (r == 0)
		r = net_prepare(&net, &options, page, &c.loop, NET_FD_VHOST_USER, NET_FD_LINK,
				n_taps ? taps : NULL, &what);
	c.message = on_message;
	if (r == 0)
		r = process_enter(&c, &net_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail("dev-net", what, r);
	net.announced = on_announced;
	net.owner = &c;
	net.dev.ret_why = &c.why;
	return process_serve(&c); /* 5 hostile from here */
}
