/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of virtio-blk on their way, and their answers; see blk.h. */
#include "cmd/dev-blk/blk.h"

#include <errno.h>

/* Writes the status and gives the chain back. written counts bytes from the first one on without a
 * gap, so that the driver never takes stale bytes for ours. */
static void respond(struct blk *blk, struct dev_queue *q, uint16_t head, gpa_t status_gpa,
		    uint8_t status, uint32_t written)
{
	if (guest_write(&blk->dev.mem, status_gpa, &status, sizeof(status)) < 0)
		dev_queue_fail(q, "status is not RAM");
	else
		dev_queue_push(q, head, written);
}

/* The used length when data bytes of the room before the status were written. */
static uint32_t written_len(uint64_t room, uint64_t data)
{
	return (uint32_t)(data == room ? room + 1 : data);
}

static uint8_t status_of(int result)
{
	if (result == 0)
		return VIRTIO_BLK_S_OK;
	return result == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

static void done(void *owner, struct flight_slot *s, int result)
{
	struct blk *blk = owner;
	const struct blk_answer *a = &blk->answer[flight_index(&blk->flight, s)];

	respond(blk, &blk->dev.queue[s->queue], s->head, a->status_gpa, status_of(result),
		result == 0 ? a->written_ok : a->written_bad);
}

static int chain_iov(const struct virtq_chain *c, const struct image_io *io, struct iovec *iov,
		     size_t *n_iov)
{
	if (io->op == IMAGE_READ)
		return virtq_chain_writable_iov(c, 0, io->len, iov, n_iov, FLIGHT_IOV_MAX);
	if (io->op == IMAGE_WRITE)
		return virtq_chain_readable_iov(c, VIRTIO_BLK_HEADER_LEN, io->len, iov, n_iov,
						FLIGHT_IOV_MAX);
	return 0;
}

/* What cannot be started is answered at once: more pieces than a slot has, data outside RAM. */
static void start_io(struct blk *blk, struct dev_queue *q, struct flight_slot *s)
{
	const struct virtq_chain *c = &blk->flight.chain;
	struct blk_request *r = &blk->request;
	struct image_io *io = &r->io;

	blk->answer[flight_index(&blk->flight, s)] = (struct blk_answer){
		.status_gpa = r->status_gpa,
		.written_ok = written_len(r->room, io->op == IMAGE_READ ? io->len : 0),
		.written_bad = written_len(r->room, 0),
	};
	io->n_iov = 0;
	if (chain_iov(c, io, flight_iov(&blk->flight, s), &io->n_iov) == 0 &&
	    flight_start(&blk->flight, q, s, 0, io) == 0)
		return;
	flight_drop(&blk->flight, s);
	respond(blk, q, c->head, r->status_gpa, VIRTIO_BLK_S_IOERR, written_len(r->room, 0));
}

static int give_id(struct blk *blk, struct dev_queue *q)
{
	const struct blk_request *r = &blk->request;
	size_t n = r->room < BLK_ID_LEN ? (size_t)r->room : BLK_ID_LEN;
	int e = virtq_chain_write(&blk->flight.chain, 0, blk->disk.id, n);

	if (e < 0)
		return e;
	respond(blk, q, blk->flight.chain.head, r->status_gpa, r->status, written_len(r->room, n));
	return 0;
}

/* Serves what was taken; s is a slot to use or to give back. */
static int serve(void *owner, struct dev_queue *q, struct flight_slot *s)
{
	struct blk *blk = owner;
	const struct blk_request *r = &blk->request;
	int e = blk_parse(&blk->disk, &blk->flight.chain, &blk->request);

	if (e == 0 && r->action == BLK_START) {
		start_io(blk, q, s);
		return 0;
	}
	flight_drop(&blk->flight, s);
	if (e < 0)
		return e;
	if (r->action == BLK_GET_ID)
		return give_id(blk, q);
	respond(blk, q, blk->flight.chain.head, r->status_gpa, r->status, written_len(r->room, 0));
	return 0;
}

static const struct flight_ops on_the_way = { serve, done };

static int queue_run(void *owner, struct dev_queue *q)
{
	return flight_queue_run(&((struct blk *)owner)->flight, q);
}

static unsigned int queue_drain(void *owner, struct dev_queue *q)
{
	return flight_queue_drain(&((struct blk *)owner)->flight, q);
}

/* What is in flight is heard of by the loop alone. */
static bool may_poll(void *owner)
{
	return !flight_any(&((struct blk *)owner)->flight);
}

static void set_features(void *owner, uint64_t features)
{
	struct blk *blk = owner;

	blk->disk.features = features;
}

static void config_read(void *owner, uint8_t *config)
{
	const struct blk *blk = owner;

	blk_config_read(&blk->disk, config);
}

static int config_write(void *owner, uint32_t offset, const uint8_t *data, uint32_t len)
{
	struct blk *blk = owner;

	return blk_config_write(&blk->disk, offset, data, len);
}

static void reset(void *owner)
{
	struct blk *blk = owner;
	uint64_t features = blk->disk.features;

	blk_disk_reset(&blk->disk);
	/* the session's choice stands until SET_FEATURES makes another */
	blk->disk.features = features;
}

static const struct dev_ops blk_ops = {
	.set_features = set_features,
	.config_read = config_read,
	.config_write = config_write,
	.queue_run = queue_run,
	.queue_drain = queue_drain,
	.reset = reset,
	.may_poll = may_poll,
	.state = &blk_state,
};

void blk_learn(struct blk *blk, const struct blk_options *o)
{
	blk_disk_init(&blk->disk, o, blk->flight.image[0].image);
	blk->spec.features = blk->disk.offered;
}

int blk_prepare(struct blk *blk, const struct blk_options *o, struct image *image,
		struct loop *loop, int sock)
{
	int r;

	flight_init(&blk->flight, &blk->dev, &on_the_way, blk);
	flight_add(&blk->flight, image);
	blk_learn(blk, o);
	blk->spec = (struct dev_spec){ .name = "dev-blk",
				       .features = blk->disk.offered,
				       .n_queues = blk->disk.n_queues,
				       .queue_max = BLK_QUEUE_MAX,
				       .config_len = VIRTIO_BLK_CONFIG_LEN,
				       .poll_queues = ~0U };
	blk->dev.loop = loop;
	r = flight_watch(&blk->flight, 0);
	if (r < 0)
		return r;
	return vu_device_open(&blk->dev, &blk->spec, &blk_ops, blk, loop, sock);
}

void blk_close(struct blk *blk)
{
	flight_end(&blk->flight);
	vu_device_close(&blk->dev);
	flight_forget(&blk->flight, 0);
}
