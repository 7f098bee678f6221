/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console with one port (VIRTIO 1.2, 5.3): receiveq 0, transmitq 1. Of the features
 * VIRTIO_CONSOLE_F_SIZE and VIRTIO_CONSOLE_F_EMERG_WRITE; multiport is not offered. The size is 0 by 0
 * until the supervisor has said it.
 *
 * A transmit chain is given back when all of its bytes are in the stream's ring, so a driver that
 * waits for its buffers cannot outrun the terminal. A receive chain is taken only when there is
 * input for it.
 *
 * What is half done outlives the process. Whether a chain was given back shows in the ring itself: as
 * long as the used index is what it was at the start of the chain, it was not.
 */
#ifndef BULKHEAD_CMD_DEV_CONSOLE_VIRTIO_CONSOLE_H
#define BULKHEAD_CMD_DEV_CONSOLE_VIRTIO_CONSOLE_H

#include "cmd/dev-console/stream.h"
#include "lib/devkit/vu_device.h"

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_CONSOLE_F_SIZE 0
#define VIRTIO_CONSOLE_F_EMERG_WRITE 2
#define VIRTIO_CONSOLE_RECEIVEQ 0
#define VIRTIO_CONSOLE_TRANSMITQ 1
#define VIRTIO_CONSOLE_CONFIG_LEN 12 /* cols, rows, max_nr_ports, emerg_wr */
#define VIRTIO_CONSOLE_CONFIG_COLS 0
#define VIRTIO_CONSOLE_CONFIG_ROWS 2
#define VIRTIO_CONSOLE_CONFIG_EMERG_WR 8

struct virtio_console_image {
	uint8_t sending; /* the chain of head tx_head, taken when the used index was tx_used */
	uint8_t giving;	 /* a chain with `given` bytes of input, when it was rx_used */
	uint16_t tx_head, tx_used, rx_used;
	uint32_t given;
	uint64_t sent; /* bytes of the chain that are in the ring */
};

/* Rows of a schema whose image has a struct virtio_console_image as a member. */
#define VIRTIO_CONSOLE_STATE(type, v)                                                        \
	STATE_BOOL(type, v.sending), STATE_BOOL(type, v.giving), STATE_ANY(type, v.tx_head), \
		STATE_ANY(type, v.tx_used), STATE_ANY(type, v.rx_used),                      \
		STATE_RANGE(type, v.given, 0, STREAM_IN_CAP),                                \
		STATE_RANGE(type, v.sent, 0, VIRTQ_CHAIN_LEN_MAX)

struct virtio_console {
	struct stream *stream;
	bool input;		    /* the stream's input is for this console */
	void (*moved)(void *owner); /* the stream was used: settle it */
	void (*keep)(void *owner);  /* the image has changed: keep it before all else */
	void *owner;
	uint16_t columns, rows;		  /* of the terminal */
	bool sending;			  /* tx is being worked off */
	uint64_t sent;			  /* bytes of it that are in the ring */
	struct virtio_console_image half; /* see above; a predecessor's until its chain comes */
	struct virtq_chain tx;
	struct virtq_chain rx; /* scratch */
};

extern const struct dev_spec virtio_console_spec;
extern const struct dev_ops virtio_console_ops; /* owner: a struct virtio_console */

void virtio_console_init(struct virtio_console *v, struct stream *stream, bool input,
			 void (*moved)(void *owner), void (*keep)(void *owner), void *owner);
/* Whether output waits for room in the stream. */
[[nodiscard]] bool virtio_console_waits(const struct virtio_console *v,
					const struct vu_device *dev);
/* The stream has room or input: goes on with what waits for it. */
void virtio_console_poke(struct virtio_console *v, struct vu_device *dev);

#endif
