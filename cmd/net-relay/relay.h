/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames between a dev-net and the other end of its link, each way: those that the guard lets pass
 * (lib/frames/guard.h), and as many as the rates allow. The others are dropped. What a rate holds up waits in its ring,
 * until who sends it feels that; a side that has gone is sent nothing.
 *
 * Each side is a stream as dev-net's link is (lib/netkit/link.h), in a page of its own, so that neither loses its
 * borders when this process is killed. A frame then may go twice, and the rates' buckets are full again.
 */
#ifndef BULKHEAD_NET_RELAY_RELAY_H
#define BULKHEAD_NET_RELAY_RELAY_H

#include "lib/frames/guard.h"
#include "lib/netkit/link.h"
#include "lib/netkit/options.h"
#include "lib/storagekit/throttle.h"

#define RELAY_TICK_MS 5U

struct relay_page {
	struct link_page inner, outer;
	struct guard_known known;
};

struct relay;

/* From one side to the other. */
struct relay_way {
	struct link *from, *to;
	bool out; /* from the guest */
	uint64_t n_dropped[GUARD_VERDICTS];
};

struct relay {
	struct loop *loop;
	struct link inner, outer; /* to the guest's side, and to what its link is joined to */
	struct relay_way ways[2]; /* out, in */
	struct guard_rules rules;
	struct guard_known *known;
	struct throttle throttle;
	int tick_fd;		  /* -1: there is no bound */
	struct loop_source ticks; /* only while a frame waits */
	bool told_down;
	uint8_t frame[LINK_FRAME_MAX]; /* that is judged */
};

/*
 * Before the sandbox, and nobody is heard yet. inner and outer are taken; page and loop outlive it. With a rate its
 * clock is a timer that is set here, and only read afterwards. 0; or a negative errno with *ret_what, and then the
 * descriptors that were not taken are the caller's.
 */
[[nodiscard]] int relay_open(struct relay *r, const struct netkit_options *o, uint64_t mac,
			     struct relay_page *page, struct loop *loop, int inner, int outer,
			     const char **ret_what);
/* Also of one that could not be opened. */
void relay_close(struct relay *r);

#endif
