/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net-relay: stands between a dev-net and the link of its card, and holds the guest to its addresses, destinations and
 * rates. The guest does not face it: what it hears are frames that dev-net sends.
 * Trust: frames of both sides HOSTILE, the page that a predecessor left HOSTILE, argv trusted.
 * Holds: 3 control, 4 stream to dev-net, 5 the page that keeps both streams, 6 the link.
 */
#include "cmd/net-relay/policy.h"
#include "cmd/net-relay/relay.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/devkit/args.h"
#include "lib/devkit/process.h"

static int prepare(struct relay *relay, const struct net_relay_options *o, struct process *c,
		   const char **ret_what)
{
	void *page = NULL;
	int r;

	*ret_what = "state page";
	r = fd_map_shared(NET_RELAY_FD_STATE, sizeof(struct relay_page), &page);
	if (r < 0)
		return r;
	return relay_open(relay, &o->frames, o->mac, page, &c->loop, NET_RELAY_FD_INNER,
			  NET_RELAY_FD_OUTER, ret_what);
}

int main(int argc, char **argv)
{
	static struct relay relay;
	static struct process c;
	static struct net_relay_options options;
	const char *what = "word";
	int r;

	r = args_parse(&net_relay_kind, argc, argv, &options, &what); /* 1 words only */
	if (r == 0)
		r = process_open(&c, &net_relay_declared, &what); /* 2 close others */
	if (r == 0)
		r = prepare(&relay, &options, &c,
			    &what); /* 3 no hostile byte but the page's positions */
	if (r == 0)
		r = process_enter(&c, &net_relay_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail("net-relay", what, r);
	return process_serve(&c); /* 5 hostile from here */
}
