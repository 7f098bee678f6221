/* SPDX-License-Identifier: Apache-2.0 */
/* Cards that join and leave; see ports.h. */
#include "cmd/bulkhead/segment/ports.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/control/control.h"
#include "lib/sandbox/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* ---- the end ---- */

static bool is_over(const struct keeper *k)
{
	for (size_t i = 0; i < KEEPER_CLIENTS_MAX; i++)
		if (k->clients[i].src.fd >= 0)
			return false;
	for (size_t i = 0; i < MEMBERS_MAX; i++)
		if (k->joined[i])
			return false;
	return true;
}

static void end_if_over(struct keeper *k)
{
	if (is_over(k))
		loop_stop(&k->loop, 0);
}

static int on_ended(struct loop_source *src, uint32_t events)
{
	struct keeper *k = src->owner;

	(void)events;
	loop_stop(&k->loop, 0);
	return 0;
}

/* ---- net-switch ---- */

static void drop(struct keeper_client *c)
{
	int sock = c->src.fd;

	loop_remove(&c->of->loop, &c->src);
	closep(&sock);
}

static struct keeper_client *find_asker(struct keeper *k, unsigned int port)
{
	for (size_t i = 0; i < KEEPER_CLIENTS_MAX; i++)
		if (k->clients[i].src.fd >= 0 && k->clients[i].port == port)
			return &k->clients[i];
	return NULL;
}

/* Whoever asked for it hears so; of one that has left before it was taken, nothing: it asks again. */
static void on_port(struct keeper *k, const struct control_msg *m)
{
	static const struct control_msg done = { .type = CTL_DONE };
	struct keeper_client *c = find_asker(k, m->number);

	if (c && m->type == CTL_PLUGGED)
		(void)!control_send(c->src.fd, &done, -1);
	if (c)
		drop(c);
	if (m->type == CTL_LOST)
		k->joined[m->number] = false;
}

/* Handed on as it is, and no more of it than can be: what nobody reads must not hold this process up. */
static void on_count(struct keeper *k, const struct control_msg *m)
{
	struct keeper_client *c = find_asker(k, KEEPER_COUNTS);
	bool last = m->type == CTL_DONE || ++k->lines > MEMBERS_MAX;

	if (!k->asked)
		return;
	if (c)
		(void)!control_send(c->src.fd, m, -1);
	if (c && last)
		drop(c);
	if (m->type == CTL_DONE)
		k->asked = false;
}

/*
 * HOSTILE: it hears guests. All that it can say of use is that it has taken a port, that one has left, and, asked for it, what it has
 * counted.
 */
static int on_switch(struct loop_source *src, uint32_t events)
{
	struct keeper *k = src->owner;
	struct control_msg m;
	int fd = -1, r = control_recv(src->fd, &m, &fd);

	(void)events;
	closep(&fd);
	if (r == -EAGAIN)
		return 0;
	if (r <= 0)
		return -EPIPE;
	if ((m.type == CTL_PLUGGED || m.type == CTL_LOST) && m.number < MEMBERS_MAX)
		on_port(k, &m);
	if (m.type == CTL_LOG || m.type == CTL_DONE)
		on_count(k, &m);
	end_if_over(k);
	return 0;
}

/* ---- who asks ---- */

static int refuse(int sock, const char *why)
{
	struct control_msg m = { .type = CTL_REFUSED, .text_len = strlen(why) };

	memcpy(m.text, why, m.text_len);
	return control_send(sock, &m, -1);
}

static bool is_option(int sock, int option, int value)
{
	socklen_t len = sizeof(int);
	int is = 0;

	return getsockopt(sock, SOL_SOCKET, option, &is, &len) == 0 && is == value;
}

/* No socket of the host's network: a segment has no way out. */
static bool is_stream(int fd)
{
	return is_option(fd, SO_DOMAIN, AF_UNIX) && is_option(fd, SO_TYPE, SOCK_STREAM);
}

/* A free port; or MEMBERS_MAX with why. */
static unsigned int find_port(const struct keeper *k, const struct member *m,
			      char why[MEMBER_REASON_MAX])
{
	unsigned int port = MEMBERS_MAX;

	for (unsigned int i = 0; i < MEMBERS_MAX; i++) {
		if (k->joined[i] && !member_goes_with(m, &k->members[i], why))
			return MEMBERS_MAX;
		if (!k->joined[i] && port == MEMBERS_MAX)
			port = i;
	}
	if (port == MEMBERS_MAX)
		snprintf(why, MEMBER_REASON_MAX, "it has %u cards already, as many as there may be",
			 MEMBERS_MAX);
	return port;
}

/*
 * 1: net-switch has been handed the stream. That is no answer yet: one that is just being killed still takes messages, and
 * never reads them.
 */
static int join(struct keeper *k, struct keeper_client *c, const struct control_msg *q, int fd)
{
	struct control_msg m = { .type = CTL_PLUG, .text_len = q->text_len };
	char why[MEMBER_REASON_MAX] = "no card can be read from that";
	struct member member;

	if (q->type != CTL_ADD_FILE || !is_stream(fd) || member_parse(q->text, &member) < 0)
		return refuse(c->src.fd, why);
	m.number = find_port(k, &member, why);
	if (m.number == MEMBERS_MAX)
		return refuse(c->src.fd, why);
	memcpy(m.text, q->text, q->text_len);
	if (control_send(k->net_switch.fd, &m, fd) < 0)
		return -EPIPE;
	k->members[m.number] = member;
	k->joined[m.number] = true;
	c->port = m.number;
	return 1;
}

/* 1: it waits. One at a time. */
static int ask_counts(struct keeper *k, struct keeper_client *c)
{
	static const struct control_msg query = { .type = CTL_QUERY };

	if (k->asked)
		return refuse(c->src.fd, "somebody else asks that just now: try again");
	if (control_send(k->net_switch.fd, &query, -1) < 0)
		return -EPIPE;
	k->asked = true;
	k->lines = 0;
	c->port = KEEPER_COUNTS;
	return 1;
}

/* One request of each. */
static int on_client(struct loop_source *src, uint32_t events)
{
	struct keeper_client *c = src->owner;
	struct keeper *k = c->of;
	_cleanup_(closep) int fd = -1;
	struct control_msg m;
	int r = control_recv(src->fd, &m, &fd);

	(void)events;
	if (r == -EAGAIN)
		return 0;
	if (r > 0 && c->port == KEEPER_NO_PORT)
		r = m.type == CTL_QUERY ? ask_counts(k, c) : join(k, c, &m, fd);
	else
		r = 0;
	if (r > 0)
		return 0;
	drop(c); /* it was refused, has hung up, or says more than there is to say */
	end_if_over(k);
	return 0;
}

static int hear(struct keeper *k, int sock)
{
	for (size_t i = 0; i < KEEPER_CLIENTS_MAX; i++) {
		struct keeper_client *c = &k->clients[i];

		if (c->src.fd >= 0)
			continue;
		c->of = k;
		c->port = KEEPER_NO_PORT;
		return loop_add(&k->loop, &c->src, sock, EPOLLIN, on_client, c);
	}
	return -EMFILE;
}

/* Of its user alone, even where another could reach its name; what is too much is closed, and asks again. */
static int on_connect(struct loop_source *src, uint32_t events)
{
	struct keeper *k = src->owner;
	_cleanup_(closep) int sock = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (sock >= 0 && peer_is(sock, k->owner) && hear(k, sock) == 0)
		(void)take_fd(&sock);
	return 0;
}

int keeper_serve(struct keeper *k, int first, int listener, int net_switch, int pidfd)
{
	int r;

	for (size_t i = 0; i < KEEPER_CLIENTS_MAX; i++)
		k->clients[i].src.fd = -1;
	r = hear(k, first);
	if (r == 0)
		r = loop_add(&k->loop, &k->listener, listener, EPOLLIN, on_connect, k);
	if (r == 0)
		r = loop_add(&k->loop, &k->net_switch, net_switch, EPOLLIN, on_switch, k);
	if (r == 0)
		r = loop_add(&k->loop, &k->ended, pidfd, EPOLLIN, on_ended, k);
	return r < 0 ? r : loop_run(&k->loop);
}
