/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net (VIRTIO 1.2, 5.1): pairs of queues, each over a port (port.h), and a control queue (control.h). On a link there are no offloads, as it
 * carries whole frames and nothing about them: the driver computes its checksums itself. On a tap checksums and large
 * TCP frames go through both ways, as the header says; what the driver did not choose, or has switched off, is done here
 * (checksum.h), so that the tap's offloads never need to change.
 *
 * A frame that the guest sends is copied out of its memory once; nothing of it is looked at but its header. What is no
 * Ethernet frame, is longer than the MTU allows and no large one, has a header that cannot be, or finds the port down is dropped, and so is a frame
 * from the peer that no driver would take or that is larger than the buffer for it. A chain without a whole header, with
 * a header that asks for what was not negotiated, or with parts that it cannot have is the guest's
 * error: NEEDS_RESET.
 *
 * A frame that is received goes into one buffer, or with MRG_RXBUF into as many as it takes, which the driver
 * sees at once; where too few are there they are put back, and the frame waits. One that takes more than
 * NET_MERGE_MAX, or the whole ring, is dropped; and a buffer there that has no room for a header is the guest's error.
 *
 * While the link is down, as its VM's user has said (net_set_link), whatever comes from either side is dropped.
 *
 * While no driver serves the receive queue the oldest frames make way; while one does and has no buffer
 * ready, the peer waits.
 *
 * Several pairs are for a tap of as many queues (MQ), one lane each. What the guest sends in a pair goes into its lane, whose
 * flows the host's kernel then sends back there. How many pairs its driver uses it says by a command; until then, and
 * after a reset, that is one. The kernel knows nothing of that, as no lane is ever detached: what comes in one whose
 * pair is not used goes to a pair that is, the same one always, so that a flow keeps its order.
 */
#ifndef BULKHEAD_DEV_NET_NET_H
#define BULKHEAD_DEV_NET_NET_H

#include "cmd/dev-net/checksum.h"
#include "cmd/dev-net/port.h"
#include "lib/base/loop.h"
#include "lib/devkit/vu_device.h"
#include "lib/netcard/card.h"
#include "lib/netcard/control.h"
#include "lib/netcard/net_features.h"
#include "lib/netkit/link.h"
#include "cmd/dev-net/publish.h"
#include "lib/netkit/options.h"

#include <stdint.h>

#define NET_MTU_PASST 65520U /* its own: its user's host cuts what leaves it */
/* Buffers of one frame: the largest one takes 43 of the smallest that Linux offers. A frame that takes more is dropped. */
#define NET_MERGE_MAX 64U

struct net_options {
	uint8_t way; /* of the kind's ways: which; not this process's to know */
	uint64_t mac; /* the first byte on the wire is the most significant of six; 0: none was said */
	uint64_t mtu;	 /* bytes; 0: none was said */
	uint64_t speed;	 /* Mbit/s, as the guest is told */
	uint64_t queues; /* pairs of them */
	bool bare;	 /* its tap has no headers, and no offloads */
	bool uso;	 /* it has that of trains of datagrams */
	uint8_t mode;	 /* of a macvtap: net_modes; not this process's either */
	bool vhost;	 /* the host's kernel moves its frames: another process serves it */
	bool isolated;	 /* on a segment, nor this */
	struct netkit_options
		frames; /* not this process's: what holds the guest to them is behind it */
	struct publishes publishes; /* nor these: who gives the network has them */
};

/* A frame that goes into several buffers. */
struct net_merge {
	bool first_of_pass; /* the queue's budget was fresh */
	uint16_t n;	    /* buffers taken for it */
	size_t at;	    /* bytes of it that are in them */
	struct virtq_done done[NET_MERGE_MAX];
	struct virtq_chain first; /* of them; its header is written last */
};

/* What outlives the process. */
struct net_page {
	struct link_page link;
	struct control_kept control;
};

struct net;

/* A port, and what of it waits for buffers. */
struct net_lane {
	struct net *net;
	unsigned int number; /* of its pair */
	struct port port;
	/* A large frame for a driver that takes none: cut_len bytes of its next piece; 0: there is none. */
	struct segmenter cutter;
	size_t cut_len;
	uint8_t cut[TAP_FRAME_MAX];
};

struct net {
	struct vu_device dev;
	struct dev_spec spec;
	struct virtq_chain chain; /* scratch */
	struct control control;
	struct control_kept *kept;
	struct net_merge merge;
	unsigned int n_lanes;
	unsigned int turn; /* of the lanes that come first in a pair of several */
	struct net_lane lane[NET_PAIRS_MAX];
	uint64_t features; /* that the driver chose */
	uint64_t mac;
	uint16_t mtu;
	uint32_t speed;
	bool down;			/* by who has the VM */
	void (*announced)(void *owner); /* the guest has, or will not; NULL: nobody wants to know */
	void *owner;
	bool told_down;
	uint64_t n_dropped; /* frames, either way */
};

/* Before the sandbox. sock, the vhost-user channel, and the link's stream or, if not NULL, the tap's queues, a descriptor for each of the
 * options' pairs, are taken; the page outlives net. As vu_device_open and port_open; *ret_what is what failed. */
[[nodiscard]] int net_prepare(struct net *net, const struct net_options *o, struct net_page *page,
			      struct loop *loop, int sock, int link, const int *taps,
			      const char **ret_what);
void net_close(struct net *net);

/* Before the sandbox: maps the file that fd is, of at least that size and sealed against shrinking. 0;
 * -EINVAL for a file that is not so, or the error of fstat or mmap. */
[[nodiscard]] int net_page_map(int fd, struct net_page **ret);

/* Whether frames pass from now on; announce: the guest is asked to announce itself. Its configuration has changed. */
void net_set_link(struct net *net, bool up, bool announce);
/* What the driver chose. */
void net_set_features(struct net *net, uint64_t features);
/* Whether the driver takes that one of NET_GUEST_OFFLOADS now. */
[[nodiscard]] bool net_takes(const struct net *net, unsigned int offload);
/* How many pairs it uses. */
[[nodiscard]] unsigned int net_pairs(const struct net *net);
/* Whether the driver wants that frame. */
[[nodiscard]] bool net_wants(const struct net *net, const struct link_bytes *frame);
/* Whether a frame of that length is one that the link and the guest may have. */
[[nodiscard]] bool net_is_frame(const struct net *net, uint64_t len);
/* receive.c: as dev_ops' queue_run. */
[[nodiscard]] int net_run_receive(struct net *net, struct dev_queue *q);
/* Those that are there are dropped. */
void net_forget_all(struct net_lane *lane);
/* Nobody takes them: room for what comes now. */
void net_forget_oldest(struct net_lane *lane);

#endif
