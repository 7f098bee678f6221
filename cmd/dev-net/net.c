/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration and queues of virtio-net; see net.h. */
#include "cmd/dev-net/net.h"

#include "lib/base/bytes.h"
#include "lib/base/units.h"

#include <errno.h>

#define DUPLEX_FULL 1U
#define HEADROOM 18U /* an Ethernet header and a VLAN tag */

static size_t frame_max(const struct net *net)
{
	return net->mtu + HEADROOM;
}

bool net_is_frame(const struct net *net, uint64_t len)
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
	bytes_put32(&w, net->speed);
	bytes_put8(&w, DUPLEX_FULL);
}

void net_set_features(struct net *net, uint64_t features)
{
	net->features = features;
}

static void set_features(void *owner, uint64_t features)
{
	net_set_features(owner, features);
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
	if (net_is_frame(net, len))
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
	int r = q->index == NET_RECEIVEQ ? net_run_receive(net, q) : run_transmit(net, q);
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
		net_forget_oldest(net);
	dev_queue_run(&net->dev.queue[NET_RECEIVEQ]);
	dev_queue_run(&net->dev.queue[NET_TRANSMITQ]);
	say_down(net);
}

static const struct dev_spec net_spec = {
	.name = "dev-net",
	.features = NET_FEATURES,
	.n_queues = NET_N_QUEUES,
	.queue_max = NET_QUEUE_MAX,
	.config_len = NET_CONFIG_LEN,
};

static const struct dev_ops net_ops = { .set_features = set_features,
					.config_read = config_read,
					.queue_run = run };

int net_prepare(struct net *net, const struct net_options *o, struct link_page *page,
		struct loop *loop, int sock, int fd, const char **ret_what)
{
	int r;

	net->mac = o->mac;
	net->mtu = (uint16_t)o->mtu;
	net->speed = (uint32_t)o->speed;
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
