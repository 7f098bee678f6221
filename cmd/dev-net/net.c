/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration and queues of virtio-net; see net.h. */
#include "cmd/dev-net/net.h"

#include "lib/base/bytes.h"
#include "lib/base/units.h"

#include <errno.h>

#define HEADROOM 18U /* an Ethernet header and a VLAN tag */

/* 5.1.6 */
struct net_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};
_Static_assert(sizeof(struct net_header) == NET_HEADER_LEN, "5.1.6");

static size_t frame_max(const struct net *net)
{
	return net->mtu + HEADROOM;
}

static bool is_frame(const struct net *net, uint64_t len)
{
	return len >= LINK_FRAME_MIN && len <= frame_max(net);
}

static void drop(struct net *net)
{
	net->n_dropped++;
}

static void config_read(void *owner, uint8_t *config)
{
	const struct net *net = owner;
	struct bytes_writer w = bytes_writer(config, NET_CONFIG_LEN);

	for (int shift = 40; shift >= 0; shift -= 8)
		bytes_put8(&w, (uint8_t)(net->mac >> shift));
	bytes_put16(&w, 0); /* status: not offered, so the link counts as up */
	bytes_put16(&w, 0); /* more pairs of queues: not offered */
	bytes_put16(&w, net->mtu);
}

/* ---- to the peer ---- */

/* 5.1.6.2.1: no bit and no type without its feature, of which none is offered; the other fields mean
 * nothing without them. */
static int check_header(const struct virtq_chain *c)
{
	struct net_header h;
	int r;

	if (c->writable_len || c->readable_len < sizeof(h))
		return -EBADMSG;
	r = virtq_chain_read(c, 0, &h, sizeof(h));
	if (r < 0)
		return r;
	return h.flags || h.gso_type ? -EBADMSG : 0;
}

static int put_frame(struct net *net, const struct virtq_chain *c, size_t len)
{
	struct link_bytes to;
	int r;

	if (!link_is_up(&net->link) || !link_claim(&net->link, len, &to)) {
		drop(net);
		return 0;
	}
	r = virtq_chain_read(c, NET_HEADER_LEN, to.at[0], to.len[0]);
	if (r == 0)
		r = virtq_chain_read(c, NET_HEADER_LEN + to.len[0], to.at[1], to.len[1]);
	if (r == 0)
		link_commit(&net->link, len);
	return r;
}

static int transmit(struct net *net, struct dev_queue *q)
{
	const struct virtq_chain *c = &net->chain;
	uint64_t len;
	int r = check_header(c);

	if (r < 0)
		return r;
	len = c->readable_len - NET_HEADER_LEN;
	if (is_frame(net, len))
		r = put_frame(net, c, (size_t)len);
	else
		drop(net);
	if (r == 0)
		dev_queue_push(q, c->head, 0);
	return r;
}

/* What is taken has room, or the link is down. */
static bool may_transmit(struct net *net)
{
	struct link_bytes to;

	return !link_is_up(&net->link) || link_claim(&net->link, frame_max(net), &to);
}

static int run_transmit(struct net *net, struct dev_queue *q)
{
	int r = 0;

	while (may_transmit(net)) {
		r = dev_queue_pop(q, &net->chain);
		if (r != 1)
			break;
		r = transmit(net, q);
		if (r < 0)
			break;
	}
	return r;
}

/* ---- from the peer ---- */

static int write_frame(const struct virtq_chain *c, const struct link_bytes *from)
{
	const struct net_header h = { .num_buffers = 1 };
	int r = virtq_chain_write(c, 0, &h, sizeof(h));

	if (r == 0)
		r = virtq_chain_write(c, sizeof(h), from->at[0], from->len[0]);
	return r == 0 ? virtq_chain_write(c, sizeof(h) + from->len[0], from->at[1], from->len[1]) :
			r;
}

/* A buffer that is too small comes back empty. */
static int receive(struct net *net, struct dev_queue *q, const struct link_bytes *from)
{
	const struct virtq_chain *c = &net->chain;
	uint64_t len = NET_HEADER_LEN + link_bytes_len(from);
	int r = 0;

	if (c->readable_len)
		return -EBADMSG;
	if (len > c->writable_len) {
		drop(net);
		len = 0;
	} else {
		r = write_frame(c, from);
	}
	if (r == 0)
		dev_queue_push(q, c->head, (uint32_t)len);
	return r;
}

/* The oldest frame that the guest may have: 1, or 0. */
static int next_frame(struct net *net, struct link_bytes *ret)
{
	int r;

	while ((r = link_peek(&net->link, ret)) == 1 && !is_frame(net, link_bytes_len(ret))) {
		drop(net);
		link_skip(&net->link, link_bytes_len(ret));
	}
	return r == 1;
}

static int run_receive(struct net *net, struct dev_queue *q)
{
	struct link_bytes frame;
	int r = 0;

	while (next_frame(net, &frame)) {
		r = dev_queue_pop(q, &net->chain);
		if (r != 1)
			break;
		r = receive(net, q, &frame);
		if (r < 0)
			break;
		link_skip(&net->link, link_bytes_len(&frame));
		r = 0;
	}
	return r;
}

/* Nobody takes them: room for what comes now. */
static void forget_oldest(struct net *net)
{
	struct link_bytes frame;

	while (link_is_full(&net->link) && link_peek(&net->link, &frame) == 1) {
		drop(net);
		link_skip(&net->link, link_bytes_len(&frame));
	}
}

/* ---- both ---- */

static void say_down(struct net *net)
{
	if (net->told_down || link_is_up(&net->link))
		return;
	net->told_down = true;
	log_line(
		LOG_LEVEL_WARNING, "%s",
		net->link.page->broken ?
			"dev-net: its network's other end has sent what is no frame: the link is down" :
			"dev-net: its network's other end has gone: the link is down");
}

static int run(void *owner, struct dev_queue *q)
{
	struct net *net = owner;
	int r = q->index == NET_RECEIVEQ ? run_receive(net, q) : run_transmit(net, q);
	int e = link_settle(&net->link);

	say_down(net);
	if (e < 0)
		loop_stop(net->dev.loop, e);
	/* what waited for room is dropped now */
	if (q->index == NET_TRANSMITQ && net->link.waiting && !link_is_up(&net->link))
		dev_queue_run_later(q);
	return r;
}

static void on_link(void *owner)
{
	struct net *net = owner;

	if (!dev_queue_served(&net->dev.queue[NET_RECEIVEQ]))
		forget_oldest(net);
	dev_queue_run(&net->dev.queue[NET_RECEIVEQ]);
	dev_queue_run(&net->dev.queue[NET_TRANSMITQ]);
	say_down(net);
}

static const struct dev_spec net_spec = {
	.name = "dev-net",
	.features = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MTU),
	.n_queues = NET_N_QUEUES,
	.queue_max = NET_QUEUE_MAX,
	.config_len = NET_CONFIG_LEN,
};

static const struct dev_ops net_ops = { .config_read = config_read, .queue_run = run };

int net_prepare(struct net *net, const struct net_options *o, struct link_page *page,
		struct loop *loop, int sock, int fd, const char **ret_what)
{
	int r;

	net->mac = o->mac;
	net->mtu = (uint16_t)o->mtu;
	*ret_what = "link";
	r = link_open(&net->link, page, loop, fd, on_link, net);
	if (r < 0)
		return r;
	*ret_what = "device";
	r = vu_device_open(&net->dev, &net_spec, &net_ops, net, loop, sock);
	if (r < 0)
		link_close(&net->link);
	return r;
}

void net_close(struct net *net)
{
	vu_device_close(&net->dev);
	link_close(&net->link);
}
