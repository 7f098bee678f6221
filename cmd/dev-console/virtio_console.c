/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-console on the vhost-user back end; see virtio_console.h. */
#include "cmd/dev-console/virtio_console.h"

#include <errno.h>
#include <string.h>

#define CHUNK 4096
/* What one pass takes of a queue, so that a chain of gigabytes leaves others their turn. */
#define PASS_BYTES 65536U

static size_t min_size(uint64_t a, uint64_t b)
{
	return (size_t)(a < b ? a : b);
}

/* ---- transmit ---- */

/* Once the chain is in the used ring, what is kept of it is stale by itself. */
static void finish_transmit(struct virtio_console *v, struct dev_queue *q)
{
	v->sending = false;
	dev_queue_push(q, v->tx.head, 0);
	v->half.sending = false;
}

/* A predecessor may have begun this one. */
static void begin_transmit(struct virtio_console *v, const struct dev_queue *q)
{
	bool begun = v->half.sending && v->half.tx_head == v->tx.head &&
		     v->half.tx_used == q->vq.used_idx && v->half.sent <= v->tx.readable_len;

	v->sent = begun ? v->half.sent : 0;
	v->sending = true;
	v->half.sending = true;
	v->half.tx_head = v->tx.head;
	v->half.tx_used = q->vq.used_idx;
	v->half.sent = v->sent;
}

/* 1 when the chain is done and given back, 0 when the stream has no room, -EAGAIN when *budget is
 * used up, or the guest's error. */
static int send_chain(struct virtio_console *v, struct dev_queue *q, size_t *budget)
{
	uint8_t bytes[CHUNK];

	while (v->sent < v->tx.readable_len) {
		size_t len = min_size(v->tx.readable_len - v->sent, sizeof(bytes));
		int r;

		len = min_size(len, stream_room(v->stream));
		if (!len)
			return 0;
		len = min_size(len, *budget);
		if (!len)
			return -EAGAIN;
		r = virtq_chain_read(&v->tx, v->sent, bytes, len);
		if (r < 0) {
			v->sending = false; /* the ring stands still until a reset */
			return r;
		}
		v->sent += stream_put(v->stream, bytes, len);
		v->half.sent = v->sent;
		v->keep(v->owner);
		*budget -= len;
	}
	finish_transmit(v, q);
	return 1;
}

static int run_transmit(struct virtio_console *v, struct dev_queue *q)
{
	size_t budget = PASS_BYTES;
	int r = 1;

	while (r > 0) {
		if (!v->sending) {
			r = dev_queue_pop(q, &v->tx);
			if (r <= 0)
				break;
			begin_transmit(v, q);
		}
		r = send_chain(v, q, &budget);
	}
	return r;
}

/* ---- receive ---- */

/* Input that a predecessor was giving: either the guest has it, or it comes once more. */
static void end_giving(struct virtio_console *v, bool given)
{
	if (given)
		stream_skip(v->stream, v->half.given);
	v->half.giving = false;
	v->keep(v->owner);
}

/* The used ring says whether the guest has the input; so that it can, what it would have is kept
 * before. */
static void give(struct virtio_console *v, struct dev_queue *q, size_t len)
{
	v->half.giving = true;
	v->half.rx_used = q->vq.used_idx;
	v->half.given = (uint32_t)len;
	v->keep(v->owner);
	dev_queue_push(q, v->rx.head, (uint32_t)len);
	end_giving(v, true);
}

static int run_receive(struct virtio_console *v, struct dev_queue *q)
{
	uint8_t bytes[STREAM_IN_CAP];

	if (v->half.giving)
		end_giving(v, v->half.rx_used != q->vq.used_idx);
	while (v->input && stream_pending(v->stream)) {
		int r = dev_queue_pop(q, &v->rx);
		size_t len;

		if (r <= 0)
			return r;
		len = stream_peek(v->stream, bytes, min_size(v->rx.writable_len, sizeof(bytes)));
		r = virtq_chain_write(&v->rx, 0, bytes, len);
		if (r < 0)
			return r;
		give(v, q, len);
	}
	return 0;
}

/* ---- the device ---- */

static int queue_run(void *owner, struct dev_queue *q)
{
	struct virtio_console *v = owner;
	int r;

	r = q->index == VIRTIO_CONSOLE_TRANSMITQ ? run_transmit(v, q) : run_receive(v, q);
	v->moved(v->owner);
	return r;
}

/* What a chain still held goes with its queue. */
static unsigned int queue_drain(void *owner, struct dev_queue *q)
{
	struct virtio_console *v = owner;

	if (q->index != VIRTIO_CONSOLE_TRANSMITQ || !v->sending)
		return 0;
	finish_transmit(v, q);
	return 0;
}

/* A predecessor's rings are gone, and what the guest had taken of them with it. */
static void reset(void *owner)
{
	struct virtio_console *v = owner;

	v->half.sending = false;
	end_giving(v, v->half.giving);
}

static void put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

/* The port count is not offered and reads as 0; emerg_wr is not for reading (5.3.4). */
static void config_read(void *owner, uint8_t *config)
{
	const struct virtio_console *v = owner;

	memset(config, 0, VIRTIO_CONSOLE_CONFIG_LEN);
	put16(config + VIRTIO_CONSOLE_CONFIG_COLS, v->columns);
	put16(config + VIRTIO_CONSOLE_CONFIG_ROWS, v->rows);
}

/* 5.3.5.1: the lowest byte of emerg_wr is output, before the driver is up as well. */
static int config_write(void *owner, uint32_t offset, const uint8_t *data, uint32_t len)
{
	struct virtio_console *v = owner;

	if (offset != VIRTIO_CONSOLE_CONFIG_EMERG_WR || len == 0)
		return -EINVAL;
	if (stream_room(v->stream))
		(void)!stream_put(v->stream, data, 1);
	v->moved(v->owner);
	return 0;
}

const struct dev_spec virtio_console_spec = {
	.name = "virtio-console",
	.features = 1ULL << VIRTIO_CONSOLE_F_SIZE | 1ULL << VIRTIO_CONSOLE_F_EMERG_WRITE,
	.n_queues = 2,
	.queue_max = 256,
	.config_len = VIRTIO_CONSOLE_CONFIG_LEN,
	.pass_descriptors = 1024,
	.pass_bytes = PASS_BYTES,
};

const struct dev_ops virtio_console_ops = {
	.config_read = config_read,
	.config_write = config_write,
	.queue_run = queue_run,
	.queue_drain = queue_drain,
	.reset = reset,
};

void virtio_console_init(struct virtio_console *v, struct stream *stream, bool input,
			 void (*moved)(void *owner), void (*keep)(void *owner), void *owner)
{
	v->stream = stream;
	v->input = input;
	v->moved = moved;
	v->keep = keep;
	v->half = (struct virtio_console_image){ 0 };
	v->owner = owner;
	v->columns = v->rows = 0;
	v->sending = false;
	v->sent = 0;
}

bool virtio_console_waits(const struct virtio_console *v, const struct vu_device *dev)
{
	return v->sending && dev_queue_served(&dev->queue[VIRTIO_CONSOLE_TRANSMITQ]);
}

void virtio_console_poke(struct virtio_console *v, struct vu_device *dev)
{
	if (v->input && stream_pending(v->stream))
		dev_queue_run(&dev->queue[VIRTIO_CONSOLE_RECEIVEQ]);
	if (v->sending && stream_room(v->stream))
		dev_queue_run(&dev->queue[VIRTIO_CONSOLE_TRANSMITQ]);
}
