/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports of a segment: a stream each, as dev-net's link is (lib/netkit/link.h). What comes on one is judged (segment.h) and
 * copied to the others. One that does not read loses frames to it, and holds nobody up; one that sends what is no frame, or
 * hangs up, has left.
 */
#ifndef BULKHEAD_NET_SWITCH_SWITCH_H
#define BULKHEAD_NET_SWITCH_SWITCH_H

#include "cmd/net-switch/segment.h"
#include "lib/netkit/link.h"

#define SWITCH_TICK_MS 10U

struct net_switch;

struct switch_port {
	struct link link;
	struct link_page page; /* of this process alone */
	struct net_switch *of;
	bool touched; /* something was sent to it since it was settled last */
};

struct net_switch {
	struct loop *loop;
	struct segment segment;
	struct switch_port ports[MEMBERS_MAX];
	int tick_fd;
	/* A port has left; it may join again from now on. */
	void (*left)(void *owner, unsigned int port);
	void *owner;
	uint8_t frame[LINK_FRAME_MAX]; /* that is judged */
};

/* Before the sandbox; s is all zero but for left and owner, and loop outlives it. 0, or a negative errno. */
[[nodiscard]] int switch_open(struct net_switch *s, struct loop *loop);
void switch_close(struct net_switch *s);
/*
 * fd is taken. 0; -EPROTO: there is no such port, or it has joined already, or the text is none of a member; or the error
 * of epoll.
 */
[[nodiscard]] int switch_join(struct net_switch *s, unsigned int port, const char *text, int fd);

#endif
