/* SPDX-License-Identifier: Apache-2.0 */
/* Slots of requests, and how the images say that one is done; see flight.h. */
#include "lib/flight/flight_internal.h"

#include <sys/epoll.h>

struct flight_slot *flight_take(struct flight *f)
{
	struct flight_slot *s;

	if (f->first_free == FLIGHT_NO_SLOT)
		return NULL;
	s = &f->slot[f->first_free];
	f->first_free = s->next_free;
	s->used = true;
	return s;
}

void flight_drop(struct flight *f, struct flight_slot *s)
{
	s->used = false;
	s->generation++;
	s->next_free = f->first_free;
	f->first_free = (uint16_t)flight_index(f, s);
}

static uint64_t slot_handle(const struct flight *f, const struct flight_slot *s)
{
	return (uint64_t)s->generation << 32 | flight_index(f, s);
}

static struct flight_slot *slot_find(struct flight *f, uint64_t handle)
{
	uint64_t index = handle & UINT32_MAX;
	struct flight_slot *s;

	if (index >= FLIGHT_SLOTS)
		return NULL;
	s = &f->slot[index];
	return s->used && s->generation == handle >> 32 ? s : NULL;
}

static void on_done(void *owner, uint64_t handle, int result)
{
	struct flight *f = owner;
	struct flight_slot *s = slot_find(f, handle);

	if (!s)
		return;
	/* a read that failed may have written some of it */
	guestmem_mark_iov(&f->dev->mem, flight_iov(f, s), s->n_read);
	f->ops->done(f->owner, s, result);
	f->n_in_flight[s->queue]--;
	f->n_done++;
	flight_drop(f, s);
}

int flight_start(struct flight *f, struct dev_queue *q, struct flight_slot *s, unsigned int image,
		 struct image_io *io)
{
	int r;

	s->head = f->chain.head;
	s->queue = q->index;
	io->iov = flight_iov(f, s);
	io->handle = slot_handle(f, s);
	r = image_queue(f->image[image].image, io);
	if (r < 0)
		return r;
	s->n_read = io->op == IMAGE_READ ? io->n_iov : 0;
	f->n_in_flight[q->index]++;
	return 0;
}

bool flight_any(const struct flight *f)
{
	for (unsigned int i = 0; i < DEV_MAX_QUEUES; i++)
		if (f->n_in_flight[i])
			return true;
	return false;
}

void flight_init(struct flight *f, struct vu_device *dev, const struct flight_ops *ops, void *owner)
{
	f->dev = dev;
	f->ops = ops;
	f->owner = owner;
	for (unsigned int i = 0; i < FLIGHT_SLOTS; i++)
		f->slot[i].next_free = i + 1 < FLIGHT_SLOTS ? (uint16_t)(i + 1) : FLIGHT_NO_SLOT;
}

void flight_add(struct flight *f, struct image *image)
{
	struct flight_image *i = &f->image[f->n_images++];

	i->image = image;
	i->completions.fd = i->others.fd = -1;
	image->done = on_done;
	image->owner = f;
}

void flight_forget(struct flight *f, unsigned int i)
{
	loop_remove(f->dev->loop, &f->image[i].completions);
	loop_remove(f->dev->loop, &f->image[i].others);
}

int flight_watch(struct flight *f, unsigned int i)
{
	struct flight_image *of = &f->image[i];
	const struct image *image = of->image;
	int r = loop_add(f->dev->loop, &of->completions, image->fd,
			 image->events ? image->events : EPOLLIN, flight_on_completions, f);

	if (r == 0 && image->other_fd >= 0)
		r = loop_add(f->dev->loop, &of->others, image->other_fd, EPOLLIN,
			     flight_on_completions, f);
	return r;
}

void flight_end(struct flight *f)
{
	bool waits = true;

	while (waits && flight_any(f)) {
		waits = false;
		for (unsigned int i = 0; i < f->n_images; i++)
			waits |= image_wait(f->image[i].image) == 0;
	}
}
