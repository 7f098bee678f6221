/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-vsock; see vsock.h. */
#include "cmd/dev-vsock/vsock.h"

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/storagekit/dial.h"

#include <errno.h>
#include <linux/virtio_vsock.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void settle(struct vsock *v);

static struct vsock_end *end_of(struct vsock *v, const struct conn *c)
{
	return &v->ends[c - v->hub.conns];
}

static struct conn *conn_of(struct vsock *v, const struct vsock_end *e)
{
	return &v->hub.conns[e - v->ends];
}

/* ---- the guest's packets ---- */

/* All of it has room (hub.h); each byte is read once, to where it stays. */
static int take_payload(struct vsock *v, struct conn *c, uint32_t len)
{
	struct iovec iov[2];
	int n = fifo_room(&c->out, iov);
	uint64_t at = PACKET_HEADER;

	for (int i = 0; i < n && len; i++) {
		size_t piece = iov[i].iov_len < len ? iov[i].iov_len : len;
		int r = virtq_chain_read(&v->chain, at, iov[i].iov_base, piece);

		if (r < 0)
			return r;
		fifo_filled(&c->out, piece);
		at += piece;
		len -= (uint32_t)piece;
	}
	return 0;
}

static int take_packet(struct vsock *v, struct dev_queue *q)
{
	uint8_t header[PACKET_HEADER];
	struct packet p;
	struct conn *c;
	int r = virtq_chain_read(&v->chain, 0, header, sizeof(header));

	if (r < 0)
		return r;
	packet_decode(header, &p);
	c = hub_take(&v->hub, &p, v->chain.readable_len - PACKET_HEADER);
	if (c)
		r = take_payload(v, c, p.len);
	dev_queue_push(q, v->chain.head, 0);
	return r;
}

static int run_tx(struct vsock *v, struct dev_queue *q)
{
	int r = 1;

	while (r == 1 && hub_can_take(&v->hub)) {
		r = dev_queue_pop(q, &v->chain);
		if (r == 1) {
			int taken = take_packet(v, q);

			if (taken < 0)
				r = taken;
		}
	}
	v->tx_waits = r == 1;
	return r == 1 ? 0 : r;
}

/* ---- packets for the guest ---- */

static int give(struct vsock *v, struct dev_queue *q, const struct packet *p, const uint8_t *data)
{
	uint8_t header[PACKET_HEADER];
	int r;

	packet_encode(p, header);
	r = virtq_chain_write(&v->chain, 0, header, sizeof(header));
	if (r == 0 && p->len)
		r = virtq_chain_write(&v->chain, PACKET_HEADER, data, p->len);
	if (r == 0)
		dev_queue_push(q, v->chain.head, PACKET_HEADER + p->len);
	return r;
}

static int give_staged(struct vsock *v, struct dev_queue *q)
{
	uint32_t len = v->staged_len - v->staged_at;
	const uint8_t *data = v->stage + v->staged_at;
	struct conn *c = v->staged_for;
	struct packet p;

	if (v->chain.writable_len <= PACKET_HEADER)
		return -EMSGSIZE;
	if (len > v->chain.writable_len - PACKET_HEADER)
		len = (uint32_t)(v->chain.writable_len - PACKET_HEADER);
	conn_data(&v->hub, c, len, &p);
	v->staged_at += len;
	if (v->staged_at == v->staged_len)
		v->staged_for = NULL;
	return give(v, q, &p, data);
}

static int run_rx(struct vsock *v, struct dev_queue *q)
{
	while (hub_is_due(&v->hub) || v->staged_for) {
		struct packet p;
		int r = dev_queue_pop(q, &v->chain);

		v->rx_empty = r == 0;
		if (r <= 0)
			return r;
		r = hub_next(&v->hub, &p) ? give(v, q, &p, NULL) : give_staged(v, q);
		if (r < 0)
			return r;
	}
	return 0;
}

static int run_event(struct vsock *v, struct dev_queue *q)
{
	uint8_t event[sizeof(struct virtio_vsock_event)] = { VIRTIO_VSOCK_EVENT_TRANSPORT_RESET };
	int r;

	if (!v->tells_reset)
		return 0;
	r = dev_queue_pop(q, &v->chain);
	if (r <= 0)
		return r;
	r = virtq_chain_write(&v->chain, 0, event, sizeof(event));
	if (r < 0)
		return r;
	dev_queue_push(q, v->chain.head, sizeof(event));
	v->tells_reset = false;
	return 0;
}

static int queue_run(void *owner, struct dev_queue *q)
{
	struct vsock *v = owner;
	int r;

	v->rx_empty &= q->index != VSOCK_RX;
	r = q->index == VSOCK_TX ? run_tx(v, q) :
	    q->index == VSOCK_RX ? run_rx(v, q) :
				   run_event(v, q);

	settle(v);
	return r;
}

/* ---- clients ---- */

static void end_close(struct vsock *v, struct vsock_end *e)
{
	loop_remove(v->loop, &e->src);
	closep(&e->fd);
	if (v->staged_for == conn_of(v, e))
		v->staged_for = NULL;
}

static void write_out(struct vsock *v, struct conn *c)
{
	struct iovec iov[2];

	while (fifo_peek(&c->out, iov) > 0) {
		ssize_t n = write(end_of(v, c)->fd, iov[0].iov_base, iov[0].iov_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			conn_gone(c);
		if (n <= 0)
			return;
		conn_written(c, (size_t)n);
	}
}

static int hear(struct vsock *v, struct conn *c)
{
	char byte;
	int r = 0;

	while (r == 0) {
		ssize_t n = read(end_of(v, c)->fd, &byte, 1);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		r = n <= 0 ? -EPIPE : conn_hear(&v->hub, c, byte);
	}
	return r < 0 ? r : 0;
}

static void stage(struct vsock *v, struct conn *c)
{
	uint32_t most = conn_credit(c);
	ssize_t n;

	if (v->staged_for || most == 0)
		return;
	n = read(end_of(v, c)->fd, v->stage, most < VSOCK_STAGE ? most : VSOCK_STAGE);
	if (n > 0) {
		v->staged_for = c;
		v->staged_at = 0;
		v->staged_len = (uint32_t)n;
	} else if (n == 0) {
		conn_ended(c);
	} else if (errno != EAGAIN && errno != EINTR) {
		conn_gone(c);
	}
}

static int on_client(struct loop_source *src, uint32_t events)
{
	struct vsock_end *e = src->owner;
	struct vsock *v = e->vsock;
	struct conn *c = conn_of(v, e);

	if (c->state == CONN_GREETING) {
		if (hear(v, c) < 0)
			conn_gone(c);
	} else if (c->state == CONN_REQUESTED) {
		if (events & (EPOLLHUP | EPOLLERR))
			conn_gone(c);
	} else {
		stage(v, c);
	}
	dev_queue_run(&v->dev.queue[VSOCK_RX]);
	settle(v);
	return 0;
}

static int on_accept(struct loop_source *src, uint32_t events)
{
	struct vsock *v = src->owner;
	_cleanup_(closep) int fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *c;

	(void)events;
	if (fd < 0)
		return 0;
	c = hub_greet(&v->hub);
	if (c)
		end_of(v, c)->fd = take_fd(&fd);
	settle(v);
	return 0;
}

/* ---- the host's programs that the guest asks for ---- */

/*
 * 1 and a connection, or *ret -1 where there is none; 0: nothing, or what a process before this one asked for; -EBADMSG: its
 * end, or it breaks the protocol.
 */
static int take_answer(struct vsock *v, int *ret)
{
	uint8_t wire[DIAL_ANSWER_LEN];
	struct dial_answer a;
	int fds[MSG_MAX_FDS];
	size_t n = 0;
	ssize_t got = msg_recv(v->dialer, wire, sizeof(wire), fds, &n, MSG_DONTWAIT);

	if (got == -EAGAIN)
		return 0;
	if (got <= 0 || dial_decode(wire, (size_t)got, n, &a) < 0) {
		fds_close(fds, n);
		return -EBADMSG;
	}
	if (!v->hub.dial_pending || a.addresses != v->dialed + 1) {
		fds_close(fds, n);
		return 0;
	}
	*ret = a.error ? -1 : fds[0];
	return 1;
}

/* What the guest asks for from now on is not there; what is open goes on. */
static void lose_dialer(struct vsock *v)
{
	loop_remove(v->loop, &v->answers);
	closep(&v->dialer);
}

static int on_answer(struct loop_source *src, uint32_t events)
{
	struct vsock *v = src->owner;
	_cleanup_(closep) int fd = -1;
	struct conn *c;
	int r = take_answer(v, &fd);

	(void)events;
	if (r == 0)
		return 0;
	if (r < 0)
		lose_dialer(v);
	c = hub_dialed(&v->hub, fd >= 0);
	if (c)
		end_of(v, c)->fd = take_fd(&fd);
	settle(v);
	return 0;
}

static void dial(struct vsock *v)
{
	while (hub_dials(&v->hub, &v->dialed)) {
		uint8_t byte =
			(uint8_t)v
				->dialed; /* its place in the option is that in the dialer's table */
		struct iovec iov = { &byte, 1 };

		if (v->dialer >= 0 && msg_send(v->dialer, &iov, 1, NULL, 0) == 0)
			return;
		(void)hub_dialed(&v->hub, false);
	}
}

/* ---- what to wait for ---- */

/* Waiting for nothing is no registration, or a client that has gone would keep the loop awake. */
static void want(struct vsock *v, struct vsock_end *e, bool there, uint32_t events)
{
	if (!there)
		loop_remove(v->loop, &e->src);
	else if (e->src.fd < 0)
		(void)!loop_add(v->loop, &e->src, e->fd, events, on_client, e);
	else if (e->src.events != events)
		(void)!loop_set(v->loop, &e->src, events);
}

static void want_for(struct vsock *v, const struct conn *c)
{
	uint32_t events = fifo_used(&c->out) ? EPOLLOUT : 0;

	if (c->state == CONN_GREETING || (!v->staged_for && conn_credit(c)))
		events |= EPOLLIN;
	want(v, end_of(v, c), events || c->state == CONN_REQUESTED, events);
}

static void settle_one(struct vsock *v, struct conn *c)
{
	struct vsock_end *e = end_of(v, c);

	if (e->fd < 0)
		return;
	write_out(v, c);
	if (conn_tells_end(c))
		(void)shutdown(e->fd, SHUT_WR);
	if (!conn_step(c))
		end_close(v, e);
	else
		want_for(v, c);
}

/* After anything has happened. */
static void settle(struct vsock *v)
{
	bool room = false;

	dial(v);
	for (size_t i = 0; i < HUB_CONNS; i++) {
		settle_one(v, &v->hub.conns[i]);
		room |= v->hub.conns[i].state == CONN_FREE;
	}
	if (!room)
		loop_remove(v->loop, &v->accepts);
	else if (v->accepts.fd < 0)
		(void)!loop_add(v->loop, &v->accepts, v->listener, EPOLLIN, on_accept, v);
	if (hub_is_due(&v->hub) && !v->rx_empty)
		dev_queue_run_later(&v->dev.queue[VSOCK_RX]);
	if (v->tx_waits && hub_can_take(&v->hub))
		dev_queue_run_later(&v->dev.queue[VSOCK_TX]);
}

/* ---- the device ---- */

static void reset(void *owner)
{
	struct vsock *v = owner;

	for (size_t i = 0; i < HUB_CONNS; i++)
		end_close(v, &v->ends[i]);
	hub_clear(&v->hub);
	v->staged_for = NULL;
	v->tells_reset = v->tx_waits = v->rx_empty = false;
	settle(v);
}

static void config_read(void *owner, uint8_t *config)
{
	const struct vsock *v = owner;
	struct bytes_writer w = bytes_writer(config, sizeof(struct virtio_vsock_config));

	bytes_put64(&w, v->hub.cid);
}

static const struct dev_spec spec = {
	.name = "dev-vsock",
	.n_queues = VSOCK_QUEUES,
	.queue_max = 256,
	.config_len = sizeof(struct virtio_vsock_config),
	.pass_bytes = 1U << 20,
};

static const struct dev_ops ops = { .config_read = config_read,
				    .queue_run = queue_run,
				    .reset = reset };

int vsock_prepare(struct vsock *v, const struct vsock_options *o, struct loop *loop, int sock,
		  int listener, int dialer)
{
	int r;

	hub_init(&v->hub, o->cid, &o->listen, &o->connect);
	v->loop = loop;
	v->listener = listener;
	v->dialer = dialer;
	v->accepts.fd = v->answers.fd = -1;
	v->staged_for = NULL;
	v->tx_waits = v->rx_empty = false;
	v->tells_reset = true;
	for (size_t i = 0; i < HUB_CONNS; i++)
		v->ends[i] = (struct vsock_end){ .vsock = v, .src = { .fd = -1 }, .fd = -1 };
	r = loop_add(loop, &v->accepts, listener, EPOLLIN, on_accept, v);
	if (r == 0 && dialer >= 0)
		r = loop_add(loop, &v->answers, dialer, EPOLLIN, on_answer, v);
	return r < 0 ? r : vu_device_open(&v->dev, &spec, &ops, v, loop, sock);
}
