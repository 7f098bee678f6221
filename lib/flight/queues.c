/* SPDX-License-Identifier: Apache-2.0 */
/* Queues that are served as long as there are slots, and completions; see flight.h. */
#include "lib/flight/flight_internal.h"

#include <errno.h>

/* One system call for each image that has something to start. */
static int submit(struct flight *f)
{
	int r = 0;

	for (unsigned int i = 0; i < f->n_images; i++)
		if (image_submit(f->image[i].image) < 0)
			r = -EAGAIN;
	return r;
}

static int reap(struct flight *f)
{
	int r = 0;

	for (unsigned int i = 0; i < f->n_images && r == 0; i++)
		r = image_reap(f->image[i].image);
	return r;
}

/* A request may go on with a second operation; what the host did not take is for the next turn of a queue that has
 * something in flight. */
static void go_on(struct flight *f)
{
	unsigned int i = 0;

	if (submit(f) == 0)
		return;
	while (i < DEV_MAX_QUEUES && !f->n_in_flight[i])
		i++;
	if (i < DEV_MAX_QUEUES)
		dev_queue_run_later(&f->dev->queue[i]);
}

static void run_starved(struct flight *f)
{
	while (f->starved && f->first_free != FLIGHT_NO_SLOT) {
		unsigned int i = (unsigned int)__builtin_ctz(f->starved);

		f->starved &= f->starved - 1;
		dev_queue_run(&f->dev->queue[i]);
	}
}

int flight_on_completions(struct loop_source *src, uint32_t events)
{
	struct flight *f = src->owner;
	int r;

	(void)events;
	r = reap(f);
	if (r == 0)
		go_on(f);
	vu_device_flush(f->dev);
	run_starved(f);
	return r < 0 ? r : vu_device_drained(f->dev);
}

/* Queues that waited for a slot, or for what has completed, have their turn in the loop's next. */
static void wake_later(struct flight *f)
{
	vu_device_drained_later(f->dev);
	while (f->starved && f->first_free != FLIGHT_NO_SLOT) {
		dev_queue_run_later(&f->dev->queue[__builtin_ctz(f->starved)]);
		f->starved &= f->starved - 1;
	}
}

/* What the kernel could do at once needs no turn of the loop. */
static void reap_at_once(struct flight *f)
{
	uint64_t n_done = f->n_done;
	int r = reap(f);

	if (r < 0)
		loop_stop(f->dev->loop, r);
	else
		go_on(f);
	if (f->n_done == n_done)
		return;
	vu_device_flush(f->dev);
	wake_later(f);
}

/* Serves what is there, by one system call for all of it. *ret_n: how many chains. */
static int run_pass(struct flight *f, struct dev_queue *q,
		    int (*pop)(struct dev_queue *q, struct virtq_chain *ret), unsigned int *ret_n)
{
	struct flight_slot *s;
	int r = 0;

	for (*ret_n = 0; r == 0; ++*ret_n) {
		s = flight_take(f);
		if (!s) {
			f->starved |= 1U << q->index;
			break;
		}
		r = pop(q, &f->chain);
		if (r != 1) {
			flight_drop(f, s);
			break;
		}
		r = f->ops->serve(f->owner, q, s);
	}
	return r;
}

/* The driver need not kick for what it adds while the kernel carries out what it can do at once. */
static int run_passes(struct flight *f, struct dev_queue *q)
{
	unsigned int n;
	int r;

	do {
		r = run_pass(f, q, dev_queue_take, &n);
		if (r == 0 && n == 0)
			r = run_pass(f, q, dev_queue_pop, &n);
		if (submit(f) < 0 && r == 0)
			r = -EAGAIN;
		reap_at_once(f);
	} while (r == 0 && n);
	return r;
}

int flight_queue_run(struct flight *f, struct dev_queue *q)
{
	unsigned int n;
	int r;

	if (f->image[0].image->prompt)
		return run_passes(f, q);
	r = run_pass(f, q, dev_queue_pop, &n);
	/* also when its last chain was wrong */
	if (submit(f) < 0 && r == 0)
		r = -EAGAIN;
	return r;
}

/* Nothing waits here: completions come through the loop, and the host may take its time. */
unsigned int flight_queue_drain(struct flight *f, struct dev_queue *q)
{
	if (f->starved & 1U << q->index)
		dev_queue_run_later(q); /* what it has not taken is for after the drain */
	f->starved &= ~(1U << q->index);
	if (f->n_in_flight[q->index] && submit(f) < 0)
		dev_queue_run_later(q); /* to come back here */
	return f->n_in_flight[q->index];
}
