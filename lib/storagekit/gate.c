/* SPDX-License-Identifier: Apache-2.0 */
/* Requests on their way to the image: by their rate, then to it; see server.h. */
#include "lib/storagekit/server_internal.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

void storage_push(struct storage *s, struct storage_queue *q, struct storage_slot *slot)
{
	uint16_t i = (uint16_t)(slot - s->slot);

	slot->next = STORAGE_NO_SLOT;
	if (q->last == STORAGE_NO_SLOT)
		q->first = i;
	else
		s->slot[q->last].next = i;
	q->last = i;
}

struct storage_slot *storage_first(struct storage *s, const struct storage_queue *q)
{
	return q->first == STORAGE_NO_SLOT ? NULL : &s->slot[q->first];
}

void storage_pop(struct storage *s, struct storage_queue *q)
{
	q->first = s->slot[q->first].next;
	if (q->first == STORAGE_NO_SLOT)
		q->last = STORAGE_NO_SLOT;
}

void storage_reply(struct storage *s, struct storage_slot *slot, int result)
{
	const struct nbd_reply r = { nbd_error_of(result), slot->request.cookie };

	if (result < 0 || slot->request.command != NBD_CMD_READ)
		slot->iov.iov_len = 0; /* no data go along */
	(void)!nbd_reply_encode(&r, slot->reply, sizeof(slot->reply));
	slot->state = STORAGE_REPLYING;
	storage_push(s, &s->replies, slot);
}

static void run(struct storage *s, struct storage_slot *slot)
{
	struct image_io io;
	int r = storage_parse(&slot->request, s->image, &io);

	if (r == 0) {
		io.iov = &slot->iov;
		io.n_iov = io.op == IMAGE_READ || io.op == IMAGE_WRITE;
		io.handle = (uint64_t)(slot - s->slot);
		slot->iov.iov_len = io.n_iov ? io.len : 0;
		r = image_queue(s->image, &io);
	}
	if (r < 0) {
		storage_reply(s, slot, r);
		return;
	}
	slot->state = STORAGE_RUNNING;
	s->n_running++;
}

/* The timer has counted what has passed since it was last read. */
static void look_at_clock(struct storage *s)
{
	uint64_t n;

	if (read(s->tick_fd, &n, sizeof(n)) == sizeof(n))
		throttle_pass_ms(&s->throttle, n * STORAGE_TICK_MS);
}

static bool pass_first(struct storage *s, struct storage_queue *q)
{
	struct storage_slot *slot = storage_first(s, q);

	if (!slot || !throttle_take(&s->throttle, storage_writes(&slot->request),
				    storage_bytes(&slot->request, s->image)))
		return false;
	storage_pop(s, q);
	run(s, slot);
	return true;
}

static int on_tick(struct loop_source *src, uint32_t events)
{
	(void)events;
	storage_gate(src->owner); /* also when the one who waited has gone */
	storage_pump(src->owner);
	return 0;
}

/* Woken only while somebody waits. */
static void set_alarm(struct storage *s)
{
	bool wait = storage_first(s, &s->waiting[0]) || storage_first(s, &s->waiting[1]);

	if (!wait)
		loop_remove(s->loop, &s->ticks);
	else if (s->ticks.fd < 0)
		(void)!loop_add(s->loop, &s->ticks, s->tick_fd, EPOLLIN, on_tick, s);
}

void storage_gate(struct storage *s)
{
	if (s->tick_fd < 0)
		return;
	look_at_clock(s);
	while (pass_first(s, &s->waiting[0]) || pass_first(s, &s->waiting[1]))
		;
	set_alarm(s);
}

void storage_admit(struct storage *s, struct storage_slot *slot)
{
	struct image_io io;
	int r;

	if (s->tick_fd < 0) {
		run(s, slot);
		return;
	}
	r = storage_parse(&slot->request, s->image, &io);
	if (r < 0) {
		storage_reply(s, slot, r);
		return;
	}
	slot->state = STORAGE_WAITING;
	storage_push(s, &s->waiting[storage_writes(&slot->request)], slot);
}
