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
		*budget -= len;
	}
	v->sending = false;
	dev_queue_push(q, v->tx.head, 0);
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
			v->sending = true;
			v->sent = 0;
		}
		r = send_chain(v, q, &budget);
	}
	return r;
}

/* ---- receive ---- */

static int run_receive(struct virtio_console *v, struct dev_queue *q)
{
	uint8_t bytes[STREAM_IN_CAP];

	while (v->input && stream_pending(v->stream)) {
		int r = dev_queue_pop(q, &v->rx);
		size_t len;

		if (r <= 0)
			return r;
		len = stream_get(v->stream, bytes, min_size(v->rx.writable_len, sizeof(bytes)));
		r = virtq_chain_write(&v->rx, 0, bytes, len);
		if (r < 0)
			return r;
		dev_queue_push(q, v->rx.head, (uint32_t)len);
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
	v->sending = false;
	dev_queue_push(q, v->tx.head, 0);
	return 0;
}

/* Size and port count are not offered and read as 0; emerg_wr is not for reading (5.3.4). */
static void config_read(void *owner, uint8_t *config)
{
	(void)owner;
	memset(config, 0, VIRTIO_CONSOLE_CONFIG_LEN);
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
	.features = 1ULL << VIRTIO_CONSOLE_F_EMERG_WRITE,
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
};

void virtio_console_init(struct virtio_console *v, struct stream *stream, bool input,
			 void (*moved)(void *owner), void *owner)
{
	v->stream = stream;
	v->input = input;
	v->moved = moved;
	v->owner = owner;
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
