/* SPDX-License-Identifier: Apache-2.0 */
/* The ports of a segment; see switch.h. */
#include "cmd/net-switch/switch.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

static unsigned int number_of(const struct switch_port *p)
{
	return (unsigned int)(p - p->of->ports);
}

/* ---- one frame ---- */

static void copy_in(uint8_t *to, const struct link_bytes *b)
{
	memcpy(to, b->at[0], b->len[0]);
	memcpy(to + b->len[0], b->at[1], b->len[1]);
}

/* Or it is lost, where there is no room. */
static void deliver(struct switch_port *p, const uint8_t *frame, size_t len)
{
	struct link_bytes room;

	p->touched = true;
	if (!link_is_up(&p->link))
		return;
	if (!link_claim(&p->link, len, &room)) {
		segment_lose(&p->of->segment, number_of(p));
		return;
	}
	memcpy(room.at[0], frame, room.len[0]);
	memcpy(room.at[1], frame + room.len[0], room.len[1]);
	link_commit(&p->link, len);
}

/* The timer has counted what has passed since it was last read. */
static void look_at_clock(struct net_switch *s)
{
	uint64_t n;

	if (read(s->tick_fd, &n, sizeof(n)) == sizeof(n))
		segment_pass_ms(&s->segment, n * SWITCH_TICK_MS);
}

static void pump(struct switch_port *p)
{
	struct net_switch *s = p->of;
	struct link_bytes b;

	while (link_peek(&p->link, &b) > 0) {
		size_t len = link_bytes_len(&b);
		segment_ports to;

		copy_in(s->frame, &b);
		link_skip(&p->link, len);
		to = segment_judge(&s->segment, number_of(p), s->frame, len);
		for (unsigned int i = 0; to; i++, to >>= 1)
			if (to & 1)
				deliver(&s->ports[i], s->frame, len);
	}
}

/* ---- all ports ---- */

static void leave(struct switch_port *p)
{
	struct net_switch *s = p->of;

	link_close(&p->link);
	p->of = NULL;
	segment_leave(&s->segment, (unsigned int)(p - s->ports));
	s->left(s->owner, (unsigned int)(p - s->ports));
}

static int settle_all(struct net_switch *s)
{
	int r = 0;

	for (unsigned int i = 0; i < MEMBERS_MAX && r == 0; i++) {
		struct switch_port *p = &s->ports[i];

		if (p->of && p->touched && link_is_up(&p->link))
			r = link_settle(&p->link);
		p->touched = false;
		if (p->of && !link_is_up(&p->link))
			leave(p);
	}
	return r;
}

static void on_link(void *owner)
{
	struct switch_port *p = owner;
	struct net_switch *s = p->of;
	int r;

	look_at_clock(s);
	pump(p);
	r = settle_all(s);
	if (r < 0)
		loop_stop(s->loop, r);
}

int switch_join(struct net_switch *s, unsigned int port, const char *text, int fd)
{
	struct switch_port *p = port < MEMBERS_MAX ? &s->ports[port] : NULL;
	struct member m;
	int r = -EPROTO;

	if (p && !p->of && member_parse(text, &m) == 0) {
		memset(&p->page, 0, sizeof(p->page)); /* its last owner's frames */
		r = link_open(&p->link, &p->page, s->loop, fd, on_link, p);
	}
	if (r < 0) {
		closep(&fd);
		return r;
	}
	p->of = s;
	segment_join(&s->segment, port, &m);
	return 0;
}

/* ---- start and end ---- */

/* It goes on by itself; how often it did is what reading it says. */
int switch_open(struct net_switch *s, struct loop *loop)
{
	const struct timespec tick = { .tv_nsec = SWITCH_TICK_MS * 1000000L };
	const struct itimerspec t = { tick, tick };

	s->loop = loop;
	for (size_t i = 0; i < MEMBERS_MAX; i++)
		s->ports[i].link = (struct link){ .src = { .fd = -1 }, .fd = -1 };
	s->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return s->tick_fd < 0 || timerfd_settime(s->tick_fd, 0, &t, NULL) < 0 ? -errno : 0;
}

void switch_close(struct net_switch *s)
{
	for (size_t i = 0; i < MEMBERS_MAX; i++)
		if (s->ports[i].of)
			link_close(&s->ports[i].link);
	closep(&s->tick_fd);
}
