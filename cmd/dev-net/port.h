/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the card is joined to: a link or a tap, behind one face. A link carries frames that nothing is left to be
 * done to; a tap's frames have a header that says what is.
 */
#ifndef BULKHEAD_DEV_NET_PORT_H
#define BULKHEAD_DEV_NET_PORT_H

#include "cmd/dev-net/tap.h"
#include "lib/netkit/link.h"

struct port_frame {
	struct net_header header;
	struct link_bytes bytes;
};

struct port {
	bool is_tap;
	struct link link;
	struct tap tap;
};

/* Both ends of the process's table, of which one is open: the link's, on that page, or the tap's. As link_open and
 * tap_open. */
[[nodiscard]] int port_open(struct port *p, struct link_page *page, struct loop *loop, int link_fd,
			    int tap_fd, void (*on_event)(void *owner), void *owner);
void port_close(struct port *p);
[[nodiscard]] bool port_is_up(const struct port *p);
/* A frame has found no room. */
[[nodiscard]] bool port_is_waiting(const struct port *p);
/* As link_claim and link_commit, with what is left to be done to the frame: to a link, nothing. */
[[nodiscard]] bool port_claim(struct port *p, size_t len, struct link_bytes *ret);
void port_commit(struct port *p, size_t len, const struct net_header *h);
/* As link_peek, but 0 also for a stream that is broken. */
[[nodiscard]] bool port_peek(struct port *p, struct port_frame *ret);
void port_skip(struct port *p, size_t len);
/* Of the frame that port_peek gave last: its checksum is put where its header says, and the header is empty. */
void port_finish(struct port *p, struct port_frame *f);
[[nodiscard]] bool port_is_full(const struct port *p);
[[nodiscard]] int port_settle(struct port *p);
/* Why it is down, for its user. */
[[nodiscard]] const char *port_down_why(const struct port *p);

#endif
