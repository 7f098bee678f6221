/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-vhost-net: serves one virtio-net device over vhost-user, whose rings it hands to the host kernel's vhost-net.
 * Trust: the control queue HOSTILE, vmm HOSTILE, the page that a predecessor left HOSTILE, argv trusted, the kernel trusted;
 *	the other rings are read by the kernel alone.
 * Holds: 3 control, 4 vhost-user, 5 the page that keeps what the driver has set, 6 a channel to who opens /dev/vhost-net,
 *	until it has, 7 and up the tap's queues; of /dev/vhost-net as many.
 */
#include "cmd/dev-vhost-net/card.h"
#include "cmd/dev-vhost-net/opener.h"
#include "cmd/dev-vhost-net/policy.h"
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"
#include "lib/devkit/process.h"

#include <errno.h>

static struct vhost_net net;

static int on_message(struct process *c, const struct control_msg *m, int fd)
{
	const struct control_msg changed = { .type = CTL_CONFIG_CHANGED };
	int r;

	closep(&fd);
	if (m->type != CTL_LINK || m->number & ~(uint32_t)(CTL_LINK_UP | CTL_LINK_ANNOUNCE))
		return -EPROTO;
	r = vhost_net_set_link(&net, m->number & CTL_LINK_UP, m->number & CTL_LINK_ANNOUNCE);
	return r < 0 ? r : control_send(c->control_fd, &changed, -1);
}

static void on_announced(void *owner)
{
	const struct control_msg m = { .type = CTL_ANNOUNCED };
	struct process *c = owner;

	(void)!control_send(c->control_fd, &m, -1);
}

/* It can ask no more then. */
static int open_kernels(int kernels[NET_PAIRS_MAX], unsigned int n, const char **ret_what)
{
	int sock = VHOST_NET_FD_OPENER, r = 0;

	*ret_what = VHOST_NET_DEVICE;
	for (unsigned int i = 0; i < n && r >= 0; i++)
		kernels[i] = r = opener_ask(sock);
	closep(&sock);
	return r < 0 ? r : 0;
}

static int prepare(struct process *c, const struct vhost_net_options *o, const int *taps,
		   const char **ret_what)
{
	int kernels[NET_PAIRS_MAX];
	void *page = NULL;
	int r = open_kernels(kernels, (unsigned int)o->queues, ret_what);

	if (r < 0)
		return r;
	*ret_what = "state page";
	r = fd_map_shared(VHOST_NET_FD_STATE, sizeof(struct vhost_net_page), &page);
	return r < 0 ? r :
		       vhost_net_prepare(&net, o, page, &c->loop, VHOST_NET_FD_VHOST_USER, taps,
					 kernels, ret_what);
}

int main(int argc, char **argv)
{
	static struct process c;
	struct vhost_net_options options;
	const char *what = "word";
	int taps[NET_PAIRS_MAX], r;
	const unsigned int n_taps = card_find_taps(VHOST_NET_FD_TAP, taps);

	r = args_parse(&vhost_net_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0 && n_taps != options.queues) {
		what = "--queues: not as many as its tap has";
		r = -EINVAL;
	}
	if (r == 0)
		r = process_open(&c, &vhost_net_declared, &what); /* 2 close others */
	if (r == 0)
		r = prepare(&c, &options, taps, &what); /* 3 no hostile byte but the page's */
	c.message = on_message;
	if (r == 0)
		r = process_enter(&c, &vhost_net_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail("dev-vhost-net", what, r);
	net.announced = on_announced;
	net.owner = &c;
	net.dev.ret_why = &c.why;
	return process_serve(&c); /* 5 hostile from here */
}
