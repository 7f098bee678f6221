/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that come and go, and the loop of a storage process; see server.h. */
#include "lib/storagekit/server_internal.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define ROUNDS 8U /* of one event, then others get their turn */

/* Requests' data; a page of it takes memory once it was used. */
static uint8_t buffers[STORAGE_SLOTS][STORAGE_DATA_MAX] __attribute__((aligned(4096)));

/* ---- clients ---- */

static int on_channel(struct loop_source *src, uint32_t events)
{
	(void)events;
	storage_pump(src->owner);
	return 0;
}

static void forget_requests(struct storage *s)
{
	for (unsigned int i = 0; i < STORAGE_SLOTS; i++) {
		if (s->slot[i].state == STORAGE_RUNNING)
			s->slot[i].stale = true;
		else
			s->slot[i].state = STORAGE_FREE;
	}
	s->receiving = NULL;
	s->waiting[0] = s->waiting[1] = s->replies =
		(struct storage_queue){ STORAGE_NO_SLOT, STORAGE_NO_SLOT };
}

static void describe(const struct image *image, struct nbd_export *ret)
{
	uint16_t flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA;

	if (image->readonly)
		flags |= NBD_FLAG_READ_ONLY;
	else
		flags |= NBD_FLAG_SEND_WRITE_ZEROES;
	if (image->can_discard)
		flags |= NBD_FLAG_SEND_TRIM;
	*ret = (struct nbd_export){ .size = image->capacity,
				    .flags = flags,
				    .block_min = IMAGE_SECTOR,
				    .block_preferred = image->block,
				    .block_max = STORAGE_DATA_MAX };
}

static int begin(struct storage *s, int sock)
{
	int r = loop_add(s->loop, &s->channel, sock, EPOLLIN, on_channel, s);
	struct nbd_export export;

	if (r < 0)
		return r;
	describe(s->image, &export);
	nbd_hand_server(&s->hand, &export);
	s->up = false;
	s->staged = s->sent = 0;
	return 0;
}

/* Nobody is there and nothing is under way: who waits is next. */
static int settle(struct storage *s)
{
	int r = 0;

	if (s->channel.fd >= 0 || s->n_running)
		return 0;
	if (s->next_sock >= 0) {
		r = begin(s, s->next_sock);
		if (r < 0)
			closep(&s->next_sock);
		s->next_sock = -1;
		if (r == 0)
			storage_pump(s); /* the server speaks first */
	} else if (s->ending) {
		loop_stop(s->loop, 0);
	}
	return r;
}

static void leave(struct storage *s)
{
	int sock = s->channel.fd;

	if (sock < 0)
		return;
	loop_remove(s->loop, &s->channel);
	close(sock);
	forget_requests(s);
}

int storage_connect(struct storage *s, int sock)
{
	leave(s);
	closep(&s->next_sock);
	s->next_sock = sock;
	return settle(s);
}

void storage_finish(struct storage *s)
{
	s->ending = true;
	(void)!settle(s);
}

/* ---- the loop ---- */

static bool has_free(const struct storage *s)
{
	for (unsigned int i = 0; i < STORAGE_SLOTS; i++)
		if (s->slot[i].state == STORAGE_FREE)
			return true;
	return false;
}

/* What is waited for: more requests only while there is room for them. */
static void set_interest(struct storage *s)
{
	bool to_say = s->hand.n_out || storage_first(s, &s->replies);
	uint32_t events = (!s->up || s->receiving || has_free(s) ? EPOLLIN : 0) |
			  (to_say || storage_has_more(s) ? EPOLLOUT : 0);

	if (events != s->channel.events)
		(void)!loop_set(s->loop, &s->channel, events);
}

static int one_round(struct storage *s)
{
	int r = storage_receive(s);

	storage_gate(s);
	/* what the host does not take now is submitted with what comes next, or by a completion */
	(void)!image_submit(s->image);
	return r < 0 ? r : storage_send(s);
}

void storage_pump(struct storage *s)
{
	int r = 0;

	if (s->channel.fd < 0)
		return;
	for (unsigned int i = 0; i < ROUNDS && r == 0; i++) {
		r = one_round(s);
		if (r == 0 && !storage_has_more(s))
			break;
	}
	if (r == 0) {
		set_interest(s);
		return;
	}
	leave(s);
	(void)!settle(s);
}

static void on_done(void *owner, uint64_t handle, int result)
{
	struct storage *s = owner;
	struct storage_slot *slot = &s->slot[handle % STORAGE_SLOTS];

	s->n_running--;
	if (!slot->stale) {
		storage_reply(s, slot, result);
		return;
	}
	slot->stale = false;
	slot->state = STORAGE_FREE;
}

static int on_completions(struct loop_source *src, uint32_t events)
{
	struct storage *s = src->owner;
	int r = image_reap(s->image);

	(void)events;
	if (r < 0)
		return r;
	(void)!image_submit(s->image);
	storage_pump(s);
	return settle(s);
}

void storage_completed(struct storage *s)
{
	storage_pump(s);
	(void)!settle(s);
}

/* ---- opening ---- */

int storage_watch_image(struct storage *s)
{
	const struct image *image = s->image;

	return loop_add(s->loop, &s->completions, image->fd,
			image->events ? image->events : EPOLLIN, on_completions, s);
}

void storage_forget_image(struct storage *s)
{
	if (s->completions.fd >= 0)
		loop_remove(s->loop, &s->completions);
}

/* The timer goes on by itself; how often it did is what reading it says. */
static int open_clock(struct storage *s, const struct throttle_rates *rates)
{
	const struct timespec tick = { .tv_nsec = STORAGE_TICK_MS * 1000000L };
	const struct itimerspec t = { tick, tick };

	throttle_init(&s->throttle, rates);
	if (!throttle_bounds(&s->throttle))
		return 0;
	s->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return s->tick_fd < 0 || timerfd_settime(s->tick_fd, 0, &t, NULL) < 0 ? -errno : 0;
}

int storage_open(struct storage *s, struct image *image, struct loop *loop,
		 const struct throttle_rates *rates)
{
	int r;

	*s = (struct storage){ .image = image, .loop = loop, .next_sock = -1, .tick_fd = -1 };
	s->channel.fd = s->completions.fd = s->others.fd = s->ticks.fd = -1;
	for (unsigned int i = 0; i < STORAGE_SLOTS; i++)
		s->slot[i].iov.iov_base = buffers[i];
	forget_requests(s);
	image->done = on_done;
	image->owner = s;
	r = open_clock(s, rates);
	if (r == 0 && image->fd >= 0)
		r = storage_watch_image(s);
	if (r == 0 && image->other_fd >= 0)
		r = loop_add(loop, &s->others, image->other_fd, EPOLLIN, on_completions, s);
	return r;
}
