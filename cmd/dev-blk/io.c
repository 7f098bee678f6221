/* SPDX-License-Identifier: Apache-2.0 */
/* Queues, request slots and completions of virtio-blk; see blk.h. */
#include "cmd/dev-blk/blk.h"

#include <errno.h>
#include <sys/epoll.h>

#define NO_SLOT UINT16_MAX

static struct blk_slot *slot_take(struct blk *blk)
{
	struct blk_slot *s;

	if (blk->first_free == NO_SLOT)
		return NULL;
	s = &blk->slot[blk->first_free];
	blk->first_free = s->next_free;
	s->used = true;
	return s;
}

static void slot_free(struct blk *blk, struct blk_slot *s)
{
	s->used = false;
	s->generation++;
	s->next_free = blk->first_free;
	blk->first_free = (uint16_t)(s - blk->slot);
}

static uint64_t slot_handle(const struct blk *blk, const struct blk_slot *s)
{
	return (uint64_t)s->generation << 32 | (uint64_t)(s - blk->slot);
}

static struct blk_slot *slot_find(struct blk *blk, uint64_t handle)
{
	uint64_t index = handle & UINT32_MAX;
	struct blk_slot *s;

	if (index >= BLK_SLOTS)
		return NULL;
	s = &blk->slot[index];
	return s->used && s->generation == handle >> 32 ? s : NULL;
}

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

static void on_done(void *owner, uint64_t handle, int result)
{
	struct blk *blk = owner;
	struct blk_slot *s = slot_find(blk, handle);

	if (!s)
		return;
	/* a read that failed may have written some of it */
	guestmem_mark_iov(&blk->dev.mem, blk->iov[s - blk->slot], s->n_read);
	respond(blk, &blk->dev.queue[s->queue], s->head, s->status_gpa, status_of(result),
		result == 0 ? s->written_ok : s->written_bad);
	blk->n_in_flight[s->queue]--;
	blk->n_done++;
	slot_free(blk, s);
}

static void run_starved(struct blk *blk)
{
	while (blk->starved && blk->first_free != NO_SLOT) {
		unsigned int i = (unsigned int)__builtin_ctz(blk->starved);

		blk->starved &= blk->starved - 1;
		dev_queue_run(&blk->dev.queue[i]);
	}
}

static int on_completions(struct loop_source *src, uint32_t events)
{
	struct blk *blk = src->owner;
	int r;

	(void)events;
	r = image_reap(blk->image);
	/* a request may go on with a second operation; queue_run submits too */
	if (r == 0 && image_submit(blk->image) < 0)
		dev_queue_run_later(&blk->dev.queue[0]);
	vu_device_flush(&blk->dev);
	run_starved(blk);
	return r < 0 ? r : vu_device_drained(&blk->dev);
}

static int chain_iov(const struct virtq_chain *c, const struct image_io *io, struct iovec *iov,
		     size_t *n_iov)
{
	if (io->op == IMAGE_READ)
		return virtq_chain_writable_iov(c, 0, io->len, iov, n_iov, BLK_IOV_MAX);
	if (io->op == IMAGE_WRITE)
		return virtq_chain_readable_iov(c, VIRTIO_BLK_HEADER_LEN, io->len, iov, n_iov,
						BLK_IOV_MAX);
	return 0;
}

/* What cannot be started is answered at once: more pieces than a slot has, data outside RAM. */
static void start_io(struct blk *blk, struct dev_queue *q, struct blk_slot *s)
{
	const struct virtq_chain *c = &blk->chain;
	struct blk_request *r = &blk->request;
	struct image_io *io = &r->io;
	uint64_t data = io->op == IMAGE_READ ? io->len : 0;

	s->head = c->head;
	s->queue = q->index;
	s->status_gpa = r->status_gpa;
	s->written_ok = written_len(r->room, data);
	s->written_bad = written_len(r->room, 0);
	io->iov = blk->iov[s - blk->slot];
	io->n_iov = 0;
	io->handle = slot_handle(blk, s);
	if (chain_iov(c, io, io->iov, &io->n_iov) < 0 || image_queue(blk->image, io) < 0) {
		slot_free(blk, s);
		respond(blk, q, c->head, r->status_gpa, VIRTIO_BLK_S_IOERR,
			written_len(r->room, 0));
		return;
	}
	s->n_read = io->op == IMAGE_READ ? io->n_iov : 0;
	blk->n_in_flight[q->index]++;
}

static int give_id(struct blk *blk, struct dev_queue *q)
{
	const struct blk_request *r = &blk->request;
	size_t n = r->room < BLK_ID_LEN ? (size_t)r->room : BLK_ID_LEN;
	int e = virtq_chain_write(&blk->chain, 0, blk->disk.id, n);

	if (e < 0)
		return e;
	respond(blk, q, blk->chain.head, r->status_gpa, r->status, written_len(r->room, n));
	return 0;
}

/* Serves blk->chain; s is a slot to use or to give back. */
static int serve(struct blk *blk, struct dev_queue *q, struct blk_slot *s)
{
	const struct blk_request *r = &blk->request;
	int e = blk_parse(&blk->disk, &blk->chain, &blk->request);

	if (e == 0 && r->action == BLK_START) {
		start_io(blk, q, s);
		return 0;
	}
	slot_free(blk, s);
	if (e < 0)
		return e;
	if (r->action == BLK_GET_ID)
		return give_id(blk, q);
	respond(blk, q, blk->chain.head, r->status_gpa, r->status, written_len(r->room, 0));
	return 0;
}

/* Queues that waited for a slot, or for what has completed, have their turn in the loop's next. */
static void wake_later(struct blk *blk)
{
	vu_device_drained_later(&blk->dev);
	while (blk->starved && blk->first_free != NO_SLOT) {
		dev_queue_run_later(&blk->dev.queue[__builtin_ctz(blk->starved)]);
		blk->starved &= blk->starved - 1;
	}
}

/* What the kernel could do at once needs no turn of the loop. */
static void reap_at_once(struct blk *blk)
{
	uint64_t n_done = blk->n_done;
	int r = image_reap(blk->image);

	if (r < 0)
		loop_stop(blk->dev.loop, r);
	else if (image_submit(blk->image) < 0) /* a request may go on with a second operation */
		dev_queue_run_later(&blk->dev.queue[0]);
	if (blk->n_done == n_done)
		return;
	vu_device_flush(&blk->dev);
	wake_later(blk);
}

/* Serves what is there, by one system call for all of it. *ret_n: how many chains. */
static int run_pass(struct blk *blk, struct dev_queue *q,
		    int (*pop)(struct dev_queue *q, struct virtq_chain *ret), unsigned int *ret_n)
{
	struct blk_slot *s;
	int r = 0;

	for (*ret_n = 0; r == 0; ++*ret_n) {
		s = slot_take(blk);
		if (!s) {
			blk->starved |= 1U << q->index;
			break;
		}
		r = pop(q, &blk->chain);
		if (r != 1) {
			slot_free(blk, s);
			break;
		}
		r = serve(blk, q, s);
	}
	return r;
}

/* The driver need not kick for what it adds while the kernel carries out what it can do at once. */
static int run_passes(struct blk *blk, struct dev_queue *q)
{
	unsigned int n;
	int r;

	do {
		r = run_pass(blk, q, dev_queue_take, &n);
		if (r == 0 && n == 0)
			r = run_pass(blk, q, dev_queue_pop, &n);
		if (image_submit(blk->image) < 0 && r == 0)
			r = -EAGAIN;
		reap_at_once(blk);
	} while (r == 0 && n);
	return r;
}

static int queue_run(void *owner, struct dev_queue *q)
{
	struct blk *blk = owner;
	unsigned int n;
	int r;

	if (blk->image->prompt)
		return run_passes(blk, q);
	r = run_pass(blk, q, dev_queue_pop, &n);
	/* one system call for the whole pass, also when its last chain was wrong */
	if (image_submit(blk->image) < 0 && r == 0)
		r = -EAGAIN;
	return r;
}

/* Nothing waits here: completions come through the loop, and the host may take its time. */
static unsigned int queue_drain(void *owner, struct dev_queue *q)
{
	struct blk *blk = owner;

	if (blk->starved & 1U << q->index)
		dev_queue_run_later(q); /* what it has not taken is for after the drain */
	blk->starved &= ~(1U << q->index);
	if (blk->n_in_flight[q->index] && image_submit(blk->image) < 0)
		dev_queue_run_later(q); /* to come back here */
	return blk->n_in_flight[q->index];
}

static bool any_in_flight(const struct blk *blk)
{
	for (unsigned int i = 0; i < blk->disk.n_queues; i++)
		if (blk->n_in_flight[i])
			return true;
	return false;
}

/* What is in flight is heard of by the loop alone. */
static bool may_poll(void *owner)
{
	return !any_in_flight(owner);
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

void blk_forget_image(struct blk *blk)
{
	loop_remove(blk->dev.loop, &blk->completions);
	loop_remove(blk->dev.loop, &blk->others);
}

int blk_watch_image(struct blk *blk)
{
	const struct image *image = blk->image;
	int r = loop_add(blk->dev.loop, &blk->completions, image->fd,
			 image->events ? image->events : EPOLLIN, on_completions, blk);

	if (r == 0 && image->other_fd >= 0)
		r = loop_add(blk->dev.loop, &blk->others, image->other_fd, EPOLLIN, on_completions,
			     blk);
	return r;
}

void blk_learn(struct blk *blk, const struct blk_options *o)
{
	blk_disk_init(&blk->disk, o, blk->image);
	blk->spec.features = blk->disk.offered;
}

int blk_prepare(struct blk *blk, const struct blk_options *o, struct image *image,
		struct loop *loop, int sock)
{
	int r;

	blk->image = image;
	blk_learn(blk, o);
	blk->spec = (struct dev_spec){ .name = "dev-blk",
				       .features = blk->disk.offered,
				       .n_queues = blk->disk.n_queues,
				       .queue_max = BLK_QUEUE_MAX,
				       .config_len = VIRTIO_BLK_CONFIG_LEN,
				       .poll_queues = ~0U };
	for (unsigned int i = 0; i < BLK_SLOTS; i++)
		blk->slot[i].next_free = i + 1 < BLK_SLOTS ? (uint16_t)(i + 1) : NO_SLOT;
	blk->completions.fd = blk->others.fd = -1;
	image->done = on_done;
	image->owner = blk;
	blk->dev.loop = loop;
	r = blk_watch_image(blk);
	if (r < 0)
		return r;
	return vu_device_open(&blk->dev, &blk->spec, &blk_ops, blk, loop, sock);
}

void blk_close(struct blk *blk)
{
	while (any_in_flight(blk) && image_wait(blk->image) == 0)
		;
	vu_device_close(&blk->dev);
	blk_forget_image(blk);
}
