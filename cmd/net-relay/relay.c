/* SPDX-License-Identifier: Apache-2.0 */
/* Frames that pass; see relay.h. */
#include "cmd/net-relay/relay.h"

#include "lib/base/cleanup.h"
#include "lib/base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define PACKET 1518U /* an Ethernet frame with a VLAN tag: bytes */

/* ---- one frame ---- */

static void copy_in(uint8_t *to, const struct link_bytes *b)
{
	memcpy(to, b->at[0], b->len[0]);
	memcpy(to + b->len[0], b->at[1], b->len[1]);
}

static void copy_out(const struct link_bytes *b, const uint8_t *from)
{
	memcpy(b->at[0], from, b->len[0]);
	memcpy(b->at[1], from + b->len[0], b->len[1]);
}

/* Of each sort once: the sender decides how many there are. */
static void note_dropped(struct relay_way *w, enum guard_verdict v)
{
	if (w->n_dropped[v]++ == 0)
		log_line(LOG_LEVEL_WARNING, "frames %s the guest are dropped: %s",
			 w->out ? "from" : "to", guard_verdict_name(v));
}

static enum guard_verdict judge(struct relay *r, const struct relay_way *w, size_t len)
{
	return w->out ? guard_from_guest(&r->rules, r->known, r->frame, len) :
			guard_to_guest(&r->rules, r->known, r->frame, len);
}

/* What becomes of a large frame beyond is not seen here: it counts as packets of the usual size. */
static uint64_t packets_of(size_t len)
{
	return (len + PACKET - 1) / PACKET;
}

/* False: it waits, for room or for its rate. */
static bool pass(struct relay *r, struct relay_way *w, size_t len)
{
	struct link_bytes room;

	if (!link_is_up(w->to))
		return true; /* to nobody */
	if (!link_claim(w->to, len, &room))
		return false;
	if (r->tick_fd >= 0 && !throttle_take_all(&r->throttle, w->out, packets_of(len), len))
		return false;
	copy_out(&room, r->frame);
	link_commit(w->to, len);
	return true;
}

/* ---- all that are there ---- */

/* True: a frame waits. */
static bool pump(struct relay *r, struct relay_way *w)
{
	struct link_bytes b;

	while (link_peek(w->from, &b) > 0) {
		size_t len = link_bytes_len(&b);
		enum guard_verdict v;

		copy_in(r->frame, &b);
		v = judge(r, w, len);
		if (v != GUARD_PASS)
			note_dropped(w, v);
		else if (!pass(r, w, len))
			return true;
		link_skip(w->from, len);
	}
	return false;
}

/* The timer has counted what has passed since it was last read. */
static void look_at_clock(struct relay *r)
{
	uint64_t n;

	if (r->tick_fd >= 0 && read(r->tick_fd, &n, sizeof(n)) == sizeof(n))
		throttle_pass_ms(&r->throttle, n * RELAY_TICK_MS);
}

static int on_tick(struct loop_source *src, uint32_t events);

/* Woken only while somebody waits. */
static int set_alarm(struct relay *r, bool waits)
{
	if (r->tick_fd < 0 || waits == (r->ticks.fd >= 0))
		return 0;
	if (waits)
		return loop_add(r->loop, &r->ticks, r->tick_fd, EPOLLIN, on_tick, r);
	loop_remove(r->loop, &r->ticks);
	return 0;
}

static void tell_down(struct relay *r)
{
	const char *who = !link_is_up(&r->outer) ? "what the network card is joined to" :
			  !link_is_up(&r->inner) ? "dev-net" :
						   NULL;

	if (!who || r->told_down)
		return;
	r->told_down = true;
	log_line(LOG_LEVEL_WARNING,
		 "%s has gone, or broke the stream of frames: the guest has no "
		 "network any more",
		 who);
}

static int pump_all(struct relay *r)
{
	bool waits = false;
	int s;

	look_at_clock(r);
	for (size_t i = 0; i < ARRAY_SIZE(r->ways); i++)
		waits |= pump(r, &r->ways[i]);
	tell_down(r);
	s = link_settle(&r->inner);
	if (s == 0)
		s = link_settle(&r->outer);
	return s == 0 ? set_alarm(r, waits) : s;
}

static void on_link(void *owner)
{
	struct relay *r = owner;
	int s = pump_all(r);

	if (s < 0)
		loop_stop(r->loop, s);
}

static int on_tick(struct loop_source *src, uint32_t events)
{
	(void)events;
	return pump_all(src->owner);
}

/* ---- start and end ---- */

/* It goes on by itself; how often it did is what reading it says. */
static int open_clock(struct relay *r, const struct throttle_rates *rates)
{
	const struct timespec tick = { .tv_nsec = RELAY_TICK_MS * 1000000L };
	const struct itimerspec t = { tick, tick };

	throttle_init(&r->throttle, rates);
	if (!throttle_bounds(&r->throttle))
		return 0;
	r->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return r->tick_fd < 0 || timerfd_settime(r->tick_fd, 0, &t, NULL) < 0 ? -errno : 0;
}

int relay_open(struct relay *r, const struct netkit_options *o, uint64_t mac,
	       struct relay_page *page, struct loop *loop, int inner, int outer,
	       const char **ret_what)
{
	int s;

	*r = (struct relay){ .loop = loop,
			     .inner = { .loop = loop, .src = { .fd = -1 }, .fd = -1 },
			     .outer = { .loop = loop, .src = { .fd = -1 }, .fd = -1 },
			     .known = &page->known,
			     .tick_fd = -1,
			     .ticks = { .fd = -1 },
			     .ways = { { .from = &r->inner, .to = &r->outer, .out = true },
				       { .from = &r->outer, .to = &r->inner } } };
	netkit_rules(o, mac, &r->rules);
	*ret_what = "clock";
	s = open_clock(r, &o->rates);
	*ret_what = "stream to dev-net";
	if (s == 0)
		s = link_open(&r->inner, &page->inner, loop, inner, on_link, r);
	*ret_what = "link";
	return s == 0 ? link_open(&r->outer, &page->outer, loop, outer, on_link, r) : s;
}

void relay_close(struct relay *r)
{
	loop_remove(r->loop, &r->ticks);
	closep(&r->tick_fd);
	link_close(&r->inner);
	link_close(&r->outer);
}
