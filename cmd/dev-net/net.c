/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration and queues of virtio-net; see net.h. */
#include "cmd/dev-net/net.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <string.h>

#define HEADROOM 18U	 /* an Ethernet header and a VLAN tag */
#define COMMANDS_MAX 64U /* of one pass */

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

static uint16_t status(const struct net *net)
{
	bool announces = net->control.announces && net->features & BIT(VIRTIO_NET_F_GUEST_ANNOUNCE);

	return (net->down ? 0 : CARD_LINK_UP) | (announces ? CARD_ANNOUNCE : 0);
}

static void config_read(void *owner, uint8_t *config)
{
	const struct net *net = owner;
	const struct card_config c = { .mac = net->mac,
				       .status = status(net),
				       .pairs = net->n_lanes > 1 ? (uint16_t)net->n_lanes : 0,
				       .mtu = net->mtu,
				       .speed = net->speed };

	card_config_write(&c, config);
}

void net_set_features(struct net *net, uint64_t features)
{
	net->features = features;
}

static void set_features(void *owner, uint64_t features)
{
	net_set_features(owner, features);
}

static bool chose(const struct net *net, unsigned int feature)
{
	return net->features & BIT(feature);
}

bool net_takes(const struct net *net, unsigned int offload)
{
	return chose(net, offload) && !(net->control.off & BIT(offload));
}

unsigned int net_pairs(const struct net *net)
{
	return chose(net, VIRTIO_NET_F_MQ) ? net->control.pairs : 1;
}

/* Without a control queue nothing has been said. */
bool net_wants(const struct net *net, const struct link_bytes *frame)
{
	uint8_t head[FILTER_HEAD] = { 0 };
	size_t len = frame->len[0] < sizeof(head) ? frame->len[0] : sizeof(head);
	size_t rest = sizeof(head) - len < frame->len[1] ? sizeof(head) - len : frame->len[1];

	if (!chose(net, VIRTIO_NET_F_CTRL_VQ))
		return true;
	memcpy(head, frame->at[0], len);
	memcpy(head + len, frame->at[1], rest);
	return filter_passes(&net->control.filter, chose(net, VIRTIO_NET_F_CTRL_VLAN), head,
			     len + rest);
}

/* ---- to the peer ---- */

/* 5.1.6.2.1: no bit and no type without its feature; the other fields mean nothing without them. */
static bool is_negotiated(const struct net *net, const struct net_header *h)
{
	uint8_t type = h->gso_type & (uint8_t)~NET_HDR_GSO_ECN;

	if (h->flags & ~(chose(net, VIRTIO_NET_F_CSUM) ? NET_HDR_F_NEEDS_CSUM : 0))
		return false;
	if (h->gso_type & NET_HDR_GSO_ECN &&
	    (!chose(net, VIRTIO_NET_F_HOST_ECN) || type == NET_HDR_GSO_NONE ||
	     type == NET_HDR_GSO_UDP_L4))
		return false;
	return type == NET_HDR_GSO_NONE ||
	       (type == NET_HDR_GSO_TCPV4 && chose(net, VIRTIO_NET_F_HOST_TSO4)) ||
	       (type == NET_HDR_GSO_TCPV6 && chose(net, VIRTIO_NET_F_HOST_TSO6)) ||
	       (type == NET_HDR_GSO_UDP_L4 && chose(net, VIRTIO_NET_F_HOST_USO));
}

static int read_header(const struct net *net, const struct virtq_chain *c, struct net_header *ret)
{
	int r;

	if (c->writable_len || c->readable_len < sizeof(*ret))
		return -EBADMSG;
	r = virtq_chain_read(c, 0, ret, sizeof(*ret));
	if (r < 0)
		return r;
	return is_negotiated(net, ret) ? 0 : -EBADMSG;
}

/* What a program in the guest may have made, and is no error of the guest's driver. */
static bool may_go(const struct net *net, const struct net_header *h, uint64_t len)
{
	if (h->gso_type == NET_HDR_GSO_NONE)
		return net_is_frame(net, len) && header_can_be(h, (size_t)len);
	return len >= LINK_FRAME_MIN && len <= TAP_FRAME_MAX && header_can_be(h, (size_t)len);
}

/* Fields without meaning go no further. */
static struct net_header meant(const struct net_header *h)
{
	struct net_header m = { .flags = h->flags, .gso_type = h->gso_type };

	if (h->flags & NET_HDR_F_NEEDS_CSUM) {
		m.csum_start = h->csum_start;
		m.csum_offset = h->csum_offset;
	}
	if (h->gso_type != NET_HDR_GSO_NONE) {
		m.hdr_len = h->hdr_len;
		m.gso_size = h->gso_size;
	}
	return m;
}

static int put_frame(struct net_lane *lane, const struct virtq_chain *c, const struct net_header *h,
		     size_t len)
{
	struct net *net = lane->net;
	const struct net_header m = meant(h);
	struct link_bytes to;
	int r;

	if (net->down || !port_is_up(&lane->port) || !port_claim(&lane->port, len, &to)) {
		drop(net);
		return 0;
	}
	r = virtq_chain_read(c, NET_HEADER_LEN, to.at[0], to.len[0]);
	if (r == 0)
		r = virtq_chain_read(c, NET_HEADER_LEN + to.len[0], to.at[1], to.len[1]);
	if (r == 0)
		port_commit(&lane->port, len, &m);
	return r;
}

static int transmit(struct net_lane *lane, struct dev_queue *q)
{
	struct net *net = lane->net;
	const struct virtq_chain *c = &net->chain;
	struct net_header h;
	uint64_t len;
	int r = read_header(net, c, &h);

	if (r < 0)
		return r;
	len = c->readable_len - NET_HEADER_LEN;
	if (may_go(net, &h, len))
		r = put_frame(lane, c, &h, (size_t)len);
	else
		drop(net);
	if (r == 0)
		dev_queue_push(q, c->head, 0);
	return r;
}

/* What is taken has room, or the port is down. */
static bool may_transmit(struct net_lane *lane)
{
	const struct net *net = lane->net;
	struct link_bytes to;

	return net->down || !port_is_up(&lane->port) ||
	       port_claim(&lane->port, frame_max(net), &to);
}

/* Also of a pair that is not used any more: what its driver left there is sent as well. */
static int run_transmit(struct net_lane *lane, struct dev_queue *q)
{
	int r = 0;

	while (may_transmit(lane)) {
		r = dev_queue_pop(q, &lane->net->chain);
		if (r != 1)
			break;
		r = transmit(lane, q);
		if (r < 0)
			break;
	}
	return r;
}

/* ---- the control queue ---- */

static void say_announced(struct net *net)
{
	if (net->announced)
		net->announced(net->owner);
}

static struct dev_queue *receiveq(struct net *net, unsigned int pair)
{
	return &net->dev.queue[2 * pair + NET_RECEIVEQ];
}

/* What waits in a lane may be another pair's now. */
static void run_all_receive(struct net *net)
{
	for (unsigned int i = 0; i < net_pairs(net); i++)
		dev_queue_run_later(receiveq(net, i));
}

static int command(struct net *net, struct dev_queue *q)
{
	const struct virtq_chain *c = &net->chain;
	const unsigned int pairs = net_pairs(net);
	bool announces = net->control.announces;
	uint8_t answer;
	int r;

	if (!chose(net, VIRTIO_NET_F_CTRL_VQ))
		return -EBADMSG;
	r = control_run(&net->control, net->features, (uint16_t)net->n_lanes, c);
	if (r < 0)
		return r;
	if (r == CONTROL_OK)
		control_keep(&net->control, net->kept);
	answer = (uint8_t)r;
	r = virtq_chain_write(c, 0, &answer, sizeof(answer));
	if (r == 0)
		dev_queue_push(q, c->head, sizeof(answer));
	if (announces && !net->control.announces)
		say_announced(net);
	if (net_pairs(net) != pairs)
		run_all_receive(net);
	return r;
}

static int run_control(struct net *net, struct dev_queue *q)
{
	int r = 0;

	for (unsigned int n = 0; n < COMMANDS_MAX; n++) {
		r = dev_queue_pop(q, &net->chain);
		if (r != 1)
			return r;
		r = command(net, q);
		if (r < 0)
			return r;
	}
	return -EAGAIN;
}

/* The driver begins anew. */
static void reset(void *owner)
{
	struct net *net = owner;

	if (net->control.announces)
		say_announced(net);
	control_init(&net->control, net->mac);
	control_keep(&net->control, net->kept);
}

/* ---- all ---- */

/* A tap that is removed takes all of its queues with it. */
static void say_down(struct net_lane *lane)
{
	struct net *net = lane->net;

	if (net->told_down || port_is_up(&lane->port))
		return;
	net->told_down = true;
	log_line(LOG_LEVEL_WARNING, "dev-net: %s: the link is down", port_down_why(&lane->port));
}

static void settle(struct net_lane *lane)
{
	int r = port_settle(&lane->port);

	say_down(lane);
	if (r < 0)
		loop_stop(lane->net->dev.loop, r);
}

static int run_lane(struct net_lane *lane, struct dev_queue *q)
{
	int r = run_transmit(lane, q);

	settle(lane);
	/* what waited for room is dropped now */
	if (port_is_waiting(&lane->port) && !port_is_up(&lane->port))
		dev_queue_run_later(q);
	return r;
}

static int run_pair(struct net *net, struct dev_queue *q)
{
	const unsigned int pair = q->index / 2, pairs = net_pairs(net);
	int r;

	if (pair >= pairs)
		return 0;
	r = net_run_receive(net, q);
	for (unsigned int i = pair; i < net->n_lanes; i += pairs)
		settle(&net->lane[i]);
	return r;
}

static unsigned int controlq(const struct net *net)
{
	return chose(net, VIRTIO_NET_F_MQ) ? 2 * net->n_lanes : NET_CONTROLQ;
}

static int run(void *owner, struct dev_queue *q)
{
	struct net *net = owner;

	if (q->index == controlq(net))
		return run_control(net, q);
	if (q->index > controlq(net)) /* of pairs that its driver does not know of */
		return 0;
	return q->index % 2 == NET_RECEIVEQ ? run_pair(net, q) :
					      run_lane(&net->lane[q->index / 2], q);
}

void net_set_link(struct net *net, bool up, bool announce)
{
	for (unsigned int i = 0; i < net->n_lanes && net->down && up; i++)
		net_forget_all(&net->lane[i]); /* what came meanwhile */
	net->down = !up;
	if (announce)
		net->control.announces = 1;
	/* what waited for room, or for buffers, is dropped now */
	for (unsigned int i = 0; i < 2 * net->n_lanes && !up; i++)
		dev_queue_run_later(&net->dev.queue[i]);
}

static void on_port(void *owner)
{
	struct net_lane *lane = owner;
	struct net *net = lane->net;
	struct dev_queue *to = receiveq(net, lane->number % net_pairs(net));

	if (net->down)
		net_forget_all(lane);
	if (!dev_queue_served(to))
		net_forget_oldest(lane);
	dev_queue_run(to);
	/* without MQ the second pair's place is the control queue's */
	if (lane->number == 0 || chose(net, VIRTIO_NET_F_MQ))
		dev_queue_run(&net->dev.queue[2 * lane->number + NET_TRANSMITQ]);
	say_down(lane);
}

static const struct dev_ops net_ops = { .set_features = set_features,
					.config_read = config_read,
					.queue_run = run,
					.reset = reset };

int net_page_map(int fd, struct net_page **ret)
{
	void *page = NULL;
	int r = fd_map_shared(fd, sizeof(**ret), &page);

	if (r == 0)
		*ret = page;
	return r;
}

static void close_lanes(struct net *net)
{
	while (net->n_lanes)
		port_close(&net->lane[--net->n_lanes].port);
}

static int open_lane(struct net *net, const struct net_options *o, struct net_page *page,
		     struct loop *loop, int link, int tap)
{
	struct net_lane *lane = &net->lane[net->n_lanes];
	int r;

	lane->net = net;
	lane->number = net->n_lanes;
	lane->cut_len = 0;
	lane->port.tap.bare = o->bare;
	r = port_open(&lane->port, &page->link, loop, link, tap, on_port, lane);
	if (r == 0)
		net->n_lanes++;
	return r;
}

static int open_lanes(struct net *net, const struct net_options *o, struct net_page *page,
		      struct loop *loop, int link, const int *taps)
{
	const unsigned int n = taps ? (unsigned int)o->queues : 1;
	int r = 0;

	net->n_lanes = 0;
	for (unsigned int i = 0; i < n && r == 0; i++)
		r = open_lane(net, o, page, loop, link, taps ? taps[i] : -1);
	if (r < 0)
		close_lanes(net);
	return r;
}

static uint64_t offered(const struct net *net, const struct net_options *o, bool tap)
{
	uint64_t features = NET_FEATURES;

	if (tap && !o->bare)
		features |= NET_TAP_FEATURES | (o->uso ? NET_USO_FEATURES : 0);
	return features | (net->n_lanes > 1 ? NET_MQ_FEATURES : 0);
}

int net_prepare(struct net *net, const struct net_options *o, struct net_page *page,
		struct loop *loop, int sock, int link, const int *taps, const char **ret_what)
{
	int r;

	net->turn = 0;
	*ret_what = taps ? "tap" : "link";
	r = open_lanes(net, o, page, loop, link, taps);
	if (r < 0)
		return r;
	net->spec = (struct dev_spec){
		.name = "dev-net",
		.features = offered(net, o, taps),
		.n_queues = 2 * net->n_lanes + 1,
		.queue_max = NET_QUEUE_MAX,
		.config_len = NET_CONFIG_LEN,
	};
	net->features = 0;
	net->down = false;
	net->mac = o->mac;
	net->mtu = (uint16_t)(o->mtu ? o->mtu : NET_MTU_USUAL);
	net->speed = (uint32_t)o->speed;
	net->kept = &page->control;
	control_load(&net->control, net->kept, net->mac, (uint16_t)net->n_lanes);
	*ret_what = "device";
	r = vu_device_open(&net->dev, &net->spec, &net_ops, net, loop, sock);
	if (r < 0)
		close_lanes(net);
	return r;
}

void net_close(struct net *net)
{
	vu_device_close(&net->dev);
	close_lanes(net);
}
