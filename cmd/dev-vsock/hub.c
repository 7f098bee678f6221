/* SPDX-License-Identifier: Apache-2.0 */
/* Connections; see hub.h. */
#include "cmd/dev-vsock/hub.h"

#include <errno.h>
#include <linux/virtio_vsock.h>
#include <stdio.h>
#include <string.h>

#define SHUTDOWN_BOTH (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

void hub_clear(struct hub *h)
{
	h->n_replies = h->first_reply = h->turn = 0;
	h->dialing = NULL;
	for (size_t i = 0; i < HUB_CONNS; i++)
		memset(&h->conns[i], 0, offsetof(struct conn, bytes)); /* what was due, too */
}

void hub_init(struct hub *h, uint64_t cid, const struct ports *listen, const struct ports *reach)
{
	h->cid = cid;
	h->listen = listen;
	h->reach = reach;
	h->dial_pending = false;
	h->next_port = CONN_OWN_PORTS;
	hub_clear(h);
}

static bool is_known(const struct conn *c)
{
	return c->state == CONN_REQUESTED || c->state == CONN_DIALING || c->state == CONN_OPEN;
}

static struct conn *find(struct hub *h, uint32_t own_port, uint32_t guest_port)
{
	for (size_t i = 0; i < HUB_CONNS; i++) {
		struct conn *c = &h->conns[i];

		if (is_known(c) && c->own_port == own_port && c->guest_port == guest_port)
			return c;
	}
	return NULL;
}

static struct conn *begin(struct hub *h, enum conn_state state)
{
	for (size_t i = 0; i < HUB_CONNS; i++) {
		struct conn *c = &h->conns[i];

		if (c->state != CONN_FREE)
			continue;
		memset(c, 0, offsetof(struct conn, bytes));
		fifo_init(&c->out, c->bytes, sizeof(c->bytes));
		c->state = state;
		return c;
	}
	return NULL;
}

/* ---- the guest's packets ---- */

bool hub_can_take(const struct hub *h)
{
	return h->n_replies < HUB_REPLIES;
}

/* 5.10.6.4: never to a reset, which could go on without end. */
static void reply(struct hub *h, const struct packet *p)
{
	if (p->op == VIRTIO_VSOCK_OP_RST || !hub_can_take(h))
		return;
	h->replies[(h->first_reply + h->n_replies++) % HUB_REPLIES] = (struct hub_reply){
		.cid = p->dst_cid,
		.src_port = p->dst_port,
		.dst_port = p->src_port,
		.type = p->type,
	};
}

static void forget_due(struct conn *c)
{
	c->due_request = c->due_response = c->due_credit = c->due_shutdown = c->due_dial = false;
}

/* What it has written is still the host's; nothing more is. */
static void let_go(struct conn *c)
{
	forget_due(c);
	c->state = CONN_DRAINING;
}

static struct conn *on_response(struct conn *c)
{
	char line[CONN_LINE_MAX];
	int len = snprintf(line, sizeof(line), "OK %u\n", c->own_port);

	c->uncounted = (uint32_t)fifo_put(&c->out, line, (size_t)len);
	c->state = CONN_OPEN;
	c->due_shutdown = c->host_ended;
	return NULL;
}

static uint32_t room(const struct conn *c)
{
	return CONN_BUFFER - (c->taken - c->fwd);
}

static struct conn *on_data(struct conn *c, const struct packet *p)
{
	if (c->guest_ended || p->len > room(c)) {
		conn_gone(c);
		return NULL;
	}
	c->taken += p->len;
	return c;
}

static void on_shutdown(struct conn *c, const struct packet *p)
{
	c->guest_ended |= (p->flags & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0;
	c->guest_deaf |= (p->flags & VIRTIO_VSOCK_SHUTDOWN_RCV) != 0;
}

/* Of a connection that the guest knows. */
static struct conn *dispatch(struct conn *c, const struct packet *p)
{
	if (p->op == VIRTIO_VSOCK_OP_RST) {
		let_go(c);
		return NULL;
	}
	c->peer_alloc = p->buf_alloc;
	c->peer_fwd = p->fwd_cnt;
	if (c->state == CONN_REQUESTED && p->op == VIRTIO_VSOCK_OP_RESPONSE)
		return on_response(c);
	if (c->state == CONN_OPEN) {
		switch (p->op) {
		case VIRTIO_VSOCK_OP_RW:
			return on_data(c, p);
		case VIRTIO_VSOCK_OP_SHUTDOWN:
			on_shutdown(c, p);
			return NULL;
		case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
			c->due_credit = true;
			return NULL;
		case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
			return NULL;
		}
	}
	conn_gone(c);
	return NULL;
}

static bool is_right(const struct packet *p, uint64_t len)
{
	return p->type == VIRTIO_VSOCK_TYPE_STREAM && p->len == len &&
	       (p->len == 0 || p->op == VIRTIO_VSOCK_OP_RW) &&
	       (p->op != VIRTIO_VSOCK_OP_SHUTDOWN || !(p->flags & ~(uint32_t)SHUTDOWN_BOTH));
}

/* False: it is not for the guest to ask, or there is no room. */
static bool ask(struct hub *h, const struct packet *p, uint64_t len)
{
	struct conn *c;

	if (p->op != VIRTIO_VSOCK_OP_REQUEST || p->dst_cid != PACKET_HOST_CID ||
	    !is_right(p, len) || !ports_have(h->reach, p->dst_port))
		return false;
	c = begin(h, CONN_DIALING);
	if (!c)
		return false;
	c->own_port = p->dst_port;
	c->guest_port = p->src_port;
	c->peer_alloc = p->buf_alloc;
	c->peer_fwd = p->fwd_cnt;
	c->due_dial = true;
	return true;
}

struct conn *hub_take(struct hub *h, const struct packet *p, uint64_t len)
{
	struct conn *c;

	if (p->src_cid != h->cid)
		return NULL; /* who could be answered? */
	c = p->dst_cid == PACKET_HOST_CID ? find(h, p->dst_port, p->src_port) : NULL;
	if (!c && ask(h, p, len))
		return NULL;
	if (!c)
		reply(h, p);
	else if (!is_right(p, len))
		conn_gone(c);
	else
		return dispatch(c, p);
	return NULL;
}

/* ---- packets for the guest ---- */

static void stamp(const struct hub *h, struct conn *c, struct packet *ret)
{
	*ret = (struct packet){
		.src_cid = PACKET_HOST_CID,
		.dst_cid = h->cid,
		.src_port = c->own_port,
		.dst_port = c->guest_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.buf_alloc = CONN_BUFFER,
		.fwd_cnt = c->fwd,
	};
	c->fwd_told = c->fwd;
	c->due_credit = false;
}

static bool has_due(const struct conn *c)
{
	return c->state == CONN_RESET || c->due_request || c->due_response || c->due_shutdown ||
	       c->due_credit;
}

bool hub_is_due(const struct hub *h)
{
	for (size_t i = 0; i < HUB_CONNS; i++)
		if (has_due(&h->conns[i]))
			return true;
	return h->n_replies != 0;
}

static void next_of(const struct hub *h, struct conn *c, struct packet *ret)
{
	stamp(h, c, ret);
	if (c->state == CONN_RESET) {
		ret->op = VIRTIO_VSOCK_OP_RST;
		c->state = CONN_FREE;
	} else if (c->due_request) {
		ret->op = VIRTIO_VSOCK_OP_REQUEST;
		c->due_request = false;
	} else if (c->due_response) {
		ret->op = VIRTIO_VSOCK_OP_RESPONSE;
		c->due_response = false;
	} else if (c->due_shutdown) {
		ret->op = VIRTIO_VSOCK_OP_SHUTDOWN;
		ret->flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
		c->due_shutdown = false;
	} else {
		ret->op = VIRTIO_VSOCK_OP_CREDIT_UPDATE;
	}
}

static void next_reply(struct hub *h, struct packet *ret)
{
	const struct hub_reply *r = &h->replies[h->first_reply];

	*ret = (struct packet){
		.src_cid = r->cid,
		.dst_cid = h->cid,
		.src_port = r->src_port,
		.dst_port = r->dst_port,
		.type = r->type,
		.op = VIRTIO_VSOCK_OP_RST,
	};
	h->first_reply = (h->first_reply + 1) % HUB_REPLIES;
	h->n_replies--;
}

bool hub_next(struct hub *h, struct packet *ret)
{
	if (h->n_replies) {
		next_reply(h, ret);
		return true;
	}
	for (unsigned int i = 0; i < HUB_CONNS; i++) {
		unsigned int at = (h->turn + i) % HUB_CONNS;

		if (!has_due(&h->conns[at]))
			continue;
		next_of(h, &h->conns[at], ret);
		h->turn = (at + 1) % HUB_CONNS;
		return true;
	}
	return false;
}

/* ---- connections that the guest asks for ---- */

static uint32_t index_of(const struct ports *p, uint32_t port)
{
	uint32_t i = 0;

	while (p->port[i] != port)
		i++;
	return i;
}

bool hub_dials(struct hub *h, uint32_t *ret_index)
{
	for (size_t i = 0; i < HUB_CONNS && !h->dial_pending; i++) {
		struct conn *c = &h->conns[i];

		if (!c->due_dial)
			continue;
		c->due_dial = false;
		h->dialing = c;
		h->dial_pending = true;
		*ret_index = index_of(h->reach, c->own_port);
		return true;
	}
	return false;
}

struct conn *hub_dialed(struct hub *h, bool made)
{
	struct conn *c = h->dialing;

	h->dialing = NULL;
	h->dial_pending = false;
	if (!c || c->state != CONN_DIALING || c->due_dial)
		return NULL; /* another's slot by now, or nobody's */
	if (!made) {
		conn_gone(c);
		return NULL;
	}
	c->state = CONN_OPEN;
	c->due_response = true;
	return c;
}

/* ---- the host's side ---- */

struct conn *hub_greet(struct hub *h)
{
	return begin(h, CONN_GREETING);
}

static bool is_used(const struct hub *h, uint32_t port)
{
	for (size_t i = 0; i < HUB_CONNS; i++)
		if (h->conns[i].state != CONN_FREE && h->conns[i].own_port == port)
			return true;
	return false;
}

static uint32_t own_port(struct hub *h)
{
	uint32_t port;

	do {
		port = h->next_port++;
		if (h->next_port == UINT32_MAX)
			h->next_port = CONN_OWN_PORTS;
	} while (is_used(h, port));
	return port;
}

static int greeted(struct hub *h, struct conn *c, size_t len)
{
	static const char word[] = "CONNECT ";
	const size_t skip = sizeof(word) - 1;

	if (len && c->line[len - 1] == '\r')
		len--;
	if (len < skip || memcmp(c->line, word, skip) != 0 ||
	    !port_parse(c->line + skip, len - skip, &c->guest_port))
		return -EINVAL;
	if (!ports_have(h->listen, c->guest_port))
		return -EACCES;
	c->own_port = own_port(h);
	c->state = CONN_REQUESTED;
	c->due_request = true;
	return 1;
}

int conn_hear(struct hub *h, struct conn *c, char byte)
{
	if (byte == '\n')
		return greeted(h, c, c->line_len);
	if (c->line_len == sizeof(c->line))
		return -EINVAL;
	c->line[c->line_len++] = byte;
	return 0;
}

/* More than it has room for is outstanding where it takes back what it said, or lies. */
uint32_t conn_credit(const struct conn *c)
{
	uint32_t under_way = c->sent - c->peer_fwd;

	if (c->state != CONN_OPEN || c->guest_deaf || c->host_ended || under_way >= c->peer_alloc)
		return 0;
	return c->peer_alloc - under_way;
}

void conn_data(const struct hub *h, struct conn *c, uint32_t len, struct packet *ret)
{
	stamp(h, c, ret);
	ret->op = VIRTIO_VSOCK_OP_RW;
	ret->len = len;
	c->sent += len;
}

/* Told again when half of its room is free that the guest does not know of: else it might wait for ever. */
void conn_written(struct conn *c, size_t n)
{
	uint32_t own = n < c->uncounted ? (uint32_t)n : c->uncounted;

	fifo_drop(&c->out, n);
	c->uncounted -= own;
	c->fwd += (uint32_t)n - own;
	if (c->state == CONN_OPEN && c->fwd - c->fwd_told >= CONN_BUFFER / 2)
		c->due_credit = true;
}

void conn_ended(struct conn *c)
{
	if (c->host_ended)
		return;
	c->host_ended = true;
	c->due_shutdown = c->state == CONN_OPEN && !c->guest_deaf;
}

void conn_gone(struct conn *c)
{
	bool known = is_known(c) && !c->due_request;

	forget_due(c);
	fifo_clear(&c->out);
	c->state = known ? CONN_RESET : CONN_FREE;
}

bool conn_tells_end(struct conn *c)
{
	if (c->state != CONN_OPEN || !c->guest_ended || c->told_end || fifo_used(&c->out))
		return false;
	c->told_end = true;
	return true;
}

/* 5.10.6.5: who has heard that the other neither sends nor receives says that with a reset. */
bool conn_step(struct conn *c)
{
	if (fifo_used(&c->out))
		return true;
	if (c->state == CONN_DRAINING)
		c->state = CONN_FREE;
	else if (c->state == CONN_OPEN && c->guest_ended && c->guest_deaf)
		conn_gone(c);
	return c->state != CONN_FREE && c->state != CONN_RESET;
}
