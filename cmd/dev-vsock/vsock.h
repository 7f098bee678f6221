/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-vsock (VIRTIO 1.2, 5.10) between its queues and clients on the host, which connect to one listening
 * socket and say `CONNECT PORT`. hub.h decides; this moves the bytes.
 *
 * It opens nothing: the listening socket was given. A process that takes the place of one that has ended has none
 * of its connections, and tells the guest so (5.10.6.7).
 */
#ifndef BULKHEAD_DEV_VSOCK_VSOCK_H
#define BULKHEAD_DEV_VSOCK_VSOCK_H

#include "cmd/dev-vsock/hub.h"
#include "lib/base/loop.h"
#include "lib/devkit/vu_device.h"

#define VSOCK_STAGE (16U << 10) /* bytes read from a client at once */

enum { VSOCK_RX, VSOCK_TX, VSOCK_EVENT, VSOCK_QUEUES };

struct vsock_options {
	uint32_t cid;
	struct ports listen;
	struct ports connect; /* by their places the dialer knows them; none: no dialer was given */
};

struct vsock;

struct vsock_end {
	struct vsock *vsock;
	struct loop_source src;
	int fd; /* of the client; -1 */
};

struct vsock {
	struct vu_device dev;
	struct hub hub;
	struct loop *loop;
	int listener;
	struct loop_source accepts, answers;
	int dialer;		  /* a channel to it; -1 */
	uint32_t dialed;	  /* which of the ports was asked for last */
	struct virtq_chain chain; /* scratch */
	bool tells_reset;	  /* the guest is to hear that its connections are gone */
	bool rx_empty;		  /* the guest lends no buffer, and kicks when it does */
	bool tx_waits;		  /* for room for answers */
	struct vsock_end ends[HUB_CONNS];
	struct conn *staged_for; /* NULL: nothing is staged */
	uint32_t staged_at, staged_len;
	uint8_t stage[VSOCK_STAGE];
};

/* Before the sandbox. Takes the sockets; listener does not block; dialer is -1 where nothing is to be reached. o must outlive it. */
[[nodiscard]] int vsock_prepare(struct vsock *v, const struct vsock_options *o, struct loop *loop,
				int sock, int listener, int dialer);

#endif
