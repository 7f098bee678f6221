/* SPDX-License-Identifier: Apache-2.0 */
/* Brief polling of rings before the loop sleeps; see vu_poll.h. */
#include "lib/devkit/vu_poll.h"

#include "lib/devkit/vu_internal.h"

#include <x86intrin.h>

#define FIRST (1ULL << 13)
#define BURST 16U	/* queues served between two looks at the loop's other events */
#define MISSES 8U	/* in a row: the driver does not run while the device polls */
#define DISTURBED 1024U /* kicks without polling when the CPU is somebody else's */

void vu_poll_learn(struct vu_poll *p, uint64_t waited)
{
	if (p->rest)
		p->rest--;
	else if (waited > VU_POLL_MAX)
		p->window = 0;
	else if (p->window && ++p->misses > MISSES)
		vu_poll_disturbed(p);
	else
		p->window = p->window ? 2 * p->window : FIRST;
	if (p->window > VU_POLL_MAX)
		p->window = VU_POLL_MAX;
}

void vu_poll_disturbed(struct vu_poll *p)
{
	p->window = 0;
	p->misses = 0;
	p->rest = DISTURBED;
}

static bool polled(const struct dev_queue *q)
{
	return vu_ring_is_polled(q) && dev_queue_served(q) && !q->held && !q->lent;
}

/* Whether a queue had something that its device took. */
static bool serve_one(struct vu_device *d)
{
	for (unsigned int i = 0; i < d->spec->n_queues; i++) {
		struct dev_queue *q = &d->queue[i];
		uint16_t at = q->vq.next_avail;

		if (!polled(q) || !virtq_has_more(&q->vq))
			continue;
		dev_queue_run(q);
		if (q->vq.next_avail != at)
			return true;
	}
	return false;
}

/* Until something was served, or the window is over: then the CPU may have been somebody else's. */
static bool spin(struct vu_device *d)
{
	const uint64_t began = __rdtsc();
	uint64_t now = began, before;

	do {
		if (serve_one(d))
			return true;
		_mm_pause();
		before = now;
		now = __rdtsc();
		if (now - before > VU_POLL_MAX) {
			vu_poll_disturbed(&d->poll);
			return false;
		}
	} while (now - began < d->poll.window);
	return false;
}

static bool may_poll(const struct vu_device *d)
{
	return d->poll.window && !d->parked.there && !d->finishing &&
	       (!d->ops->may_poll || d->ops->may_poll(d->owner));
}

/* Kicks are asked for wherever they were left off; what came before that is served. */
static void ask_for_kicks(struct vu_device *d)
{
	d->poll.on = false;
	for (unsigned int i = 0; i < d->spec->n_queues; i++) {
		struct dev_queue *q = &d->queue[i];

		if (!q->quiet)
			continue;
		q->quiet = false;
		dev_queue_run(q);
	}
}

/* True once a burst was served: the loop's other events have their turn. */
static bool serve_burst(struct vu_device *d)
{
	unsigned int n = 0;

	while (n < BURST && may_poll(d) && spin(d))
		n++;
	if (n)
		d->poll.misses = 0;
	return n == BURST;
}

static bool on_idle(void *owner)
{
	struct vu_device *d = owner;
	struct vu_poll *p = &d->poll;

	if (p->on && serve_burst(d))
		return true;
	p->since = __rdtsc() - (p->on ? p->window : 0);
	ask_for_kicks(d);
	p->on = p->window > 0;
	return false;
}

void vu_poll_kicked(struct vu_device *d)
{
	if (d->poll.since)
		vu_poll_learn(&d->poll, __rdtsc() - d->poll.since);
	d->poll.since = 0;
}

void vu_poll_begin(struct vu_device *d)
{
	if (!d->spec->poll_queues)
		return;
	d->loop->idle = on_idle;
	d->loop->idle_owner = d;
}

void vu_poll_end(struct vu_device *d)
{
	if (d->loop->idle_owner == d)
		d->loop->idle = NULL;
}
