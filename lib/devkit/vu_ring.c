/* SPDX-License-Identifier: Apache-2.0 */
/* The rings of a vhost-user back end: start, stop, kicks and interrupts; see vu_device.h. */
#include "lib/devkit/vu_internal.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define DEFAULT_PASS_BYTES (64ULL << 20)

void vu_ring_init(struct dev_queue *q, struct vu_device *d, unsigned int index)
{
	*q = (struct dev_queue){ .dev = d,
				 .index = index,
				 .kick = { .fd = -1 },
				 .kick_fd = -1,
				 .call_fd = -1,
				 .err_fd = -1 };
	virtq_init(&q->vq, &d->mem);
}

int vu_ring_take_event(int *slot, int *fd)
{
	int r = fd_event_check(*fd);

	if (r < 0)
		return r == -EBADF ? -EPROTO : r;
	closep(slot);
	*slot = take_fd(fd);
	return 0;
}

/* Counts one event. A counter that is full has been heard about. */
static void event_signal(int fd)
{
	uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

bool dev_queue_served(const struct dev_queue *q)
{
	bool always_enabled = !(q->dev->features & (1ULL << VHOST_USER_F_PROTOCOL_FEATURES));

	return q->armed && (q->enabled || always_enabled) && q->vq.started && !q->vq.broken &&
	       !q->dev->needs_reset;
}

void dev_queue_run_later(struct dev_queue *q)
{
	q->again = true;
	event_signal(q->dev->again_fd);
}

void dev_queue_fail(struct dev_queue *q, const char *why)
{
	struct vu_device *d = q->dev;

	virtq_break(&q->vq, why);
	if (d->needs_reset)
		return;
	d->needs_reset = true;
	log_gated(&d->gate, LOG_LEVEL_WARNING, "%s: queue %u: %s: the device needs a reset",
		  d->spec->name, q->index, why);
	for (unsigned int i = 0; i < d->spec->n_queues; i++) {
		vu_ring_reclaim(&d->queue[i]);
		event_signal(d->queue[i].err_fd);
		/* a kick that stays unread must not spin the loop */
		loop_remove(d->loop, &d->queue[i].kick);
	}
}

static void signal_pushed(struct dev_queue *q)
{
	if (!q->pushed)
		return;
	q->pushed = false;
	if (q->dev->mem.log)
		event_signal(q->dev->log_fd);
	if (virtq_should_signal(&q->vq))
		event_signal(q->call_fd);
	else if (q->vq.broken)
		dev_queue_fail(q, q->vq.broken);
}

void vu_device_drained_later(struct vu_device *d)
{
	if (d->parked.there || d->finishing)
		event_signal(d->again_fd);
}

void vu_device_flush(struct vu_device *d)
{
	for (unsigned int i = 0; i < d->spec->n_queues; i++)
		signal_pushed(&d->queue[i]);
}

static struct virtq_budget pass_budget(const struct dev_spec *s)
{
	return (struct virtq_budget){
		.descriptors = s->pass_descriptors ? s->pass_descriptors : 4U * s->queue_max,
		.bytes = s->pass_bytes ? s->pass_bytes : DEFAULT_PASS_BYTES,
	};
}

void dev_queue_run(struct dev_queue *q)
{
	struct vu_device *d = q->dev;
	int r;

	if (!dev_queue_served(q) || q->busy || q->lent)
		return;
	if (q->held) {
		q->again = true;
		return;
	}
	q->busy = true;
	q->again = false;
	q->budget = pass_budget(d->spec);
	virtq_kicks_off(&q->vq);
	r = d->ops->queue_run(d->owner, q);
	q->busy = false;
	if (q->vq.broken)
		dev_queue_fail(q, q->vq.broken);
	else if (r == -EAGAIN)
		dev_queue_run_later(q);
	else if (r < 0)
		dev_queue_fail(q, "bad request");
	signal_pushed(q);
}

/* What an earlier process took comes first. */
static int take(struct dev_queue *q, struct virtq_chain *ret)
{
	int r;

	if (vu_inflight_waiting(q)) {
		r = virtq_retake(&q->vq, q->head_again[q->next_again], &q->budget, ret);
		if (r == 1)
			q->next_again++;
		return r;
	}
	r = virtq_pop(&q->vq, &q->budget, ret);
	if (r == 1)
		vu_inflight_taken(q, ret->head);
	return r;
}

int dev_queue_take(struct dev_queue *q, struct virtq_chain *ret)
{
	return dev_queue_served(q) ? take(q, ret) : 0;
}

int dev_queue_pop(struct dev_queue *q, struct virtq_chain *ret)
{
	int r;

	if (!dev_queue_served(q))
		return 0;
	r = take(q, ret);
	if (r != 0)
		return r;
	q->quiet = q->dev->poll.on && vu_ring_is_polled(q);
	if (q->quiet)
		return 0;
	r = virtq_kicks_on(&q->vq);
	if (r <= 0)
		return r;
	/* chains came in between; the kick for them may not */
	virtq_kicks_off(&q->vq);
	return take(q, ret);
}

void dev_queue_push_all(struct dev_queue *q, const struct virtq_done *done, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		vu_inflight_giving(q, done[i].head);
	if (virtq_push_all(&q->vq, done, n) < 0)
		return;
	vu_inflight_given(q, done, n);
	q->pushed = true;
}

void dev_queue_push(struct dev_queue *q, uint16_t head, uint32_t written)
{
	const struct virtq_done done = { head, written };

	dev_queue_push_all(q, &done, 1);
}

void dev_queue_untake(struct dev_queue *q, uint16_t head)
{
	if (vu_inflight_untake(q, head))
		return;
	if (virtq_untake(&q->vq, head) == 0)
		vu_inflight_untaken(q, head);
}

/* Each kick is an edge, so that no call is needed to take it; whoever serves the ring next and finds
 * the count looks once more than it had to. */
static int on_kick(struct loop_source *src, uint32_t events)
{
	struct dev_queue *q = src->owner;

	(void)events;
	if (vu_ring_is_polled(q))
		vu_poll_kicked(q->dev);
	dev_queue_run(q);
	return 0;
}

int vu_rings_on_again(struct loop_source *src, uint32_t events)
{
	struct vu_device *d = src->owner;
	uint64_t count;

	(void)events;
	if (read(d->again_fd, &count, sizeof(count)) < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (unsigned int i = 0; i < d->spec->n_queues; i++)
		if (d->queue[i].again)
			dev_queue_run(&d->queue[i]);
	return vu_device_drained(d);
}

/* ---- rings that somebody else serves ---- */

static int lend(struct dev_queue *q)
{
	const struct virtq_layout *l = &q->vq.layout;
	const struct guestmem *mem = &q->dev->mem;
	struct dev_lent ring = { .num = q->num,
				 .base = q->vq.next_avail,
				 .kick_fd = q->kick_fd,
				 .call_fd = q->call_fd };
	const uint64_t n = q->num;
	int r = guestmem_address(mem, l->desc, n * 16, &ring.desc);

	if (r == 0)
		r = guestmem_address(mem, l->avail, 6 + n * 2, &ring.avail);
	if (r == 0)
		r = guestmem_address(mem, l->used, 6 + n * 8, &ring.used);
	if (r == 0)
		r = q->dev->ops->queue_lend(q->dev->owner, q, &ring);
	q->lent = r == 1;
	return r;
}

void vu_ring_reclaim(struct dev_queue *q)
{
	uint16_t base;

	if (!q->lent)
		return;
	base = q->dev->ops->queue_reclaim(q->dev->owner, q);
	q->lent = false;
	if (virtq_resume(&q->vq, base) < 0)
		dev_queue_fail(q, "ring is not RAM any more");
}

void vu_rings_reclaim(struct vu_device *d)
{
	for (unsigned int i = 0; i < d->spec->n_queues; i++)
		vu_ring_reclaim(&d->queue[i]);
}

/* Those that the kit serves are asked about as well. */
int vu_device_lend(struct vu_device *d)
{
	vu_rings_reclaim(d);
	for (unsigned int i = 0; i < d->spec->n_queues; i++)
		loop_remove(d->loop, &d->queue[i].kick);
	return vu_rings_update(d);
}

/* What an earlier process took is not another's to finish; one that is held is about to change. Whether somebody has it. */
static bool is_lent(struct dev_queue *q)
{
	int r;

	if (!q->dev->ops->queue_lend || q->lent || vu_inflight_waiting(q))
		return q->lent;
	r = lend(q);
	if (r < 0)
		dev_queue_fail(q, "whoever is to serve the ring cannot");
	return r != 0;
}

/* ---- kicks ---- */

/* A disabled ring keeps its kicks for when it is enabled. Nothing else takes the count: if somebody has
 * filled it (the process before this one, say), there would be no edge any more. */
static int update_kick(struct dev_queue *q)
{
	bool listen = dev_queue_served(q);
	uint64_t count;

	if (!listen) {
		vu_ring_reclaim(q);
		loop_remove(q->dev->loop, &q->kick);
		return 0;
	}
	if (q->kick.fd >= 0 || (q->held && q->dev->ops->queue_lend) || is_lent(q))
		return 0;
	(void)!read(q->kick_fd, &count, sizeof(count));
	dev_queue_run_later(q); /* what was there before the kick could be heard */
	return loop_add(q->dev->loop, &q->kick, q->kick_fd, EPOLLIN | EPOLLET, on_kick, q);
}

int vu_rings_update(struct vu_device *d)
{
	for (unsigned int i = 0; i < d->spec->n_queues; i++) {
		int r = update_kick(&d->queue[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Ring addresses are the guest's choice that the front end passes on, so what they hit is the
 * guest's error. */
static int translate(const struct dev_queue *q, struct virtq_layout *l)
{
	const struct guestmem *mem = &q->dev->mem;
	uint64_t n = q->num;
	int r;

	r = guestmem_from_uaddr(mem, q->uaddr_desc, n * 16, &l->desc);
	if (r == 0)
		r = guestmem_from_uaddr(mem, q->uaddr_avail, 6 + n * 2, &l->avail);
	if (r == 0)
		r = guestmem_from_uaddr(mem, q->uaddr_used, 6 + n * 8, &l->used);
	return r;
}

int vu_ring_arm(struct dev_queue *q, int *kick_fd)
{
	uint64_t features = q->dev->features;
	struct virtq_layout l = { .size = q->num,
				  .event_idx = features & (1ULL << VIRTIO_F_EVENT_IDX),
				  .indirect = features & (1ULL << VIRTIO_F_INDIRECT_DESC) };
	int r = vu_ring_take_event(&q->kick_fd, kick_fd);

	if (r < 0)
		return r;
	q->armed = true;
	if (translate(q, &l) < 0 || virtq_start(&q->vq, &l, q->base) < 0)
		dev_queue_fail(q, "ring is not RAM or not aligned");
	else
		r = vu_inflight_start(q);
	if (r < 0)
		return r;
	return vu_rings_update(q->dev);
}

static unsigned int drain(struct dev_queue *q)
{
	struct vu_device *d = q->dev;
	unsigned int n;

	q->held = true;
	vu_ring_reclaim(q);
	if (!q->armed || !d->ops->queue_drain)
		return 0;
	q->busy = true;
	n = d->ops->queue_drain(d->owner, q);
	q->busy = false;
	return n;
}

unsigned int vu_ring_drain(struct dev_queue *q)
{
	unsigned int n = drain(q);

	vu_device_flush(q->dev);
	return n;
}

/* All are held before the first is drained: none may start what another one has finished. */
unsigned int vu_rings_drain(struct vu_device *d)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->spec->n_queues; i++)
		d->queue[i].held = true;
	for (unsigned int i = 0; i < d->spec->n_queues; i++)
		n += drain(&d->queue[i]);
	vu_device_flush(d);
	return n;
}

void vu_rings_release(struct vu_device *d)
{
	for (unsigned int i = 0; i < d->spec->n_queues; i++) {
		struct dev_queue *q = &d->queue[i];

		if (q->held && q->again)
			dev_queue_run_later(q);
		q->held = false;
	}
}

void vu_ring_stop(struct dev_queue *q)
{
	struct vu_device *d = q->dev;

	if (!q->armed)
		return;
	vu_ring_reclaim(q);
	vu_device_flush(d);
	if (q->vq.started)
		q->base = virtq_stop(&q->vq);
	vu_inflight_stop(q);
	virtq_init(&q->vq, &d->mem);
	loop_remove(d->loop, &q->kick);
	closep(&q->kick_fd);
	q->armed = q->again = q->pushed = q->held = q->quiet = false;
	if (!vu_rings_any_armed(d))
		d->needs_reset = false;
}

bool vu_rings_any_armed(const struct vu_device *d)
{
	for (unsigned int i = 0; i < d->spec->n_queues; i++)
		if (d->queue[i].armed)
			return true;
	return false;
}
