/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from the link into the guest's buffers; see net.h. */
#include "cmd/dev-net/net.h"

#include <errno.h>

/* More frames than the link has room for; of a tap, what is left is dropped in the next pass. */
#define FORGET_MAX (LINK_CAP / (LINK_LENGTH + LINK_FRAME_MIN) + 1)

/* The next piece of a large frame, or, behind its last, the next frame. */
static void skip(struct net_lane *lane, const struct link_bytes *frame)
{
	if (lane->cut_len)
		lane->cut_len = segmenter_next(&lane->cutter, lane->cut);
	if (!lane->cut_len)
		port_skip(&lane->port, link_bytes_len(frame));
}

static void drop(struct net_lane *lane, const struct link_bytes *frame)
{
	lane->net->n_dropped++;
	skip(lane, frame);
}

/* The bytes [at, at + len) of a frame, to the chain's offset. */
static int write_part(const struct virtq_chain *c, uint64_t offset, const struct link_bytes *from,
		      size_t at, size_t len)
{
	int r = 0;

	for (int i = 0; i < 2 && len && r == 0; i++) {
		size_t n = from->len[i] - at < len ? from->len[i] - at : len;

		if (at >= from->len[i]) {
			at -= from->len[i];
			continue;
		}
		r = virtq_chain_write(c, offset, from->at[i] + at, n);
		offset += n;
		len -= n;
		at = 0;
	}
	return r;
}

static int write_header(const struct virtq_chain *c, const struct port_frame *f, uint16_t n_buffers)
{
	struct net_header h = f->header;

	h.num_buffers = n_buffers;
	return virtq_chain_write(c, 0, &h, sizeof(h));
}

/* ---- one buffer for each frame ---- */

/* A buffer that is too small comes back empty. */
static int receive_one(struct net_lane *lane, struct dev_queue *q, const struct port_frame *from)
{
	struct net *net = lane->net;
	const struct virtq_chain *c = &net->chain;
	size_t frame = link_bytes_len(&from->bytes);
	uint64_t len = NET_HEADER_LEN + frame;
	int r = dev_queue_pop(q, &net->chain);

	if (r != 1)
		return r;
	if (c->readable_len)
		return -EBADMSG;
	if (len > c->writable_len) {
		net->n_dropped++;
		len = 0;
	} else {
		r = write_header(c, from, 1);
		if (r == 0)
			r = write_part(c, NET_HEADER_LEN, &from->bytes, 0, frame);
	}
	if (r < 0)
		return r;
	dev_queue_push(q, c->head, (uint32_t)len);
	skip(lane, &from->bytes);
	return 1;
}

/* ---- as many as a frame takes (5.1.6.4) ---- */

static void put_back(struct net *net, struct dev_queue *q)
{
	struct net_merge *m = &net->merge;

	while (m->n)
		dev_queue_untake(q, m->done[--m->n].head);
}

/* The next buffer, filled from the frame's byte m->at on. */
static int fill_next(struct net *net, const struct virtq_chain *c, const struct link_bytes *from)
{
	struct net_merge *m = &net->merge;
	uint32_t header = m->n ? 0 : NET_HEADER_LEN;
	size_t left = link_bytes_len(from) - m->at;
	size_t n;

	if (c->readable_len || c->writable_len < NET_HEADER_LEN)
		return -EBADMSG;
	n = c->writable_len - header < left ? (size_t)(c->writable_len - header) : left;
	m->done[m->n++] = (struct virtq_done){ c->head, (uint32_t)(header + n) };
	m->at += n;
	return write_part(c, header, from, m->at - n, n);
}

/* No ring, and no pass over it, has room for such a frame. */
static bool is_hopeless(const struct net *net, const struct dev_queue *q)
{
	return net->merge.n == NET_MERGE_MAX || net->merge.n == q->vq.layout.size;
}

/* What came of it but a whole frame: the same, or 1 where the frame is dropped. */
static int gather_ends(struct net_lane *lane, struct dev_queue *q, const struct link_bytes *from,
		       int r)
{
	struct net *net = lane->net;
	bool first = net->merge.first_of_pass && net->merge.n;

	if (r < 0 && r != -EAGAIN)
		return r;
	put_back(net, q);
	if (r == 1 || (r == -EAGAIN && first)) {
		drop(lane, from);
		return 1;
	}
	return r;
}

static int receive_merged(struct net_lane *lane, struct dev_queue *q, const struct port_frame *from)
{
	struct net *net = lane->net;
	struct net_merge *m = &net->merge;
	size_t len = link_bytes_len(&from->bytes);
	int r;

	for (m->n = 0, m->at = 0; m->at < len;) {
		struct virtq_chain *c = m->n ? &net->chain : &m->first;

		if (is_hopeless(net, q))
			return gather_ends(lane, q, &from->bytes, 1);
		r = dev_queue_pop(q, c);
		if (r != 1)
			return gather_ends(lane, q, &from->bytes, r);
		r = fill_next(net, c, &from->bytes);
		if (r < 0)
			return r;
	}
	r = write_header(&m->first, from, m->n);
	if (r < 0)
		return r;
	dev_queue_push_all(q, m->done, m->n);
	skip(lane, &from->bytes);
	return 1;
}

/* ---- what the driver takes ---- */

static bool chose(const struct net *net, unsigned int feature)
{
	return net->features & BIT(feature);
}

static bool takes_whole(const struct net *net, const struct net_header *h)
{
	if (h->gso_type != NET_HDR_GSO_NONE && !net_takes(net, VIRTIO_NET_F_GUEST_CSUM))
		return false;
	if (h->gso_type & NET_HDR_GSO_ECN && !net_takes(net, VIRTIO_NET_F_GUEST_ECN))
		return false;
	switch (h->gso_type & ~NET_HDR_GSO_ECN) {
	case NET_HDR_GSO_NONE:
		return true;
	case NET_HDR_GSO_TCPV4:
		return net_takes(net, VIRTIO_NET_F_GUEST_TSO4);
	case NET_HDR_GSO_TCPV6:
		return net_takes(net, VIRTIO_NET_F_GUEST_TSO6);
	case NET_HDR_GSO_UDP_L4: /* of either: no driver has one alone */
		return net_takes(net, VIRTIO_NET_F_GUEST_USO4) &&
		       net_takes(net, VIRTIO_NET_F_GUEST_USO6);
	}
	return false;
}

/* What the port has said of a frame becomes what its driver takes. False: no driver would take it. */
static bool fit(struct net_lane *lane, struct port_frame *f)
{
	const struct net *net = lane->net;
	size_t len = link_bytes_len(&f->bytes);

	if (!header_can_be(&f->header, len) || !net_wants(net, &f->bytes) ||
	    (f->header.gso_type == NET_HDR_GSO_NONE && !net_is_frame(net, len)))
		return false;
	if (!takes_whole(net, &f->header)) {
		if (segmenter_begin(&lane->cutter, &f->header, f->bytes.at[0], len) < 0)
			return false;
		lane->cut_len = segmenter_next(&lane->cutter, lane->cut);
	} else if (!net_takes(net, VIRTIO_NET_F_GUEST_CSUM)) {
		port_finish(&lane->port, f);
	}
	return true;
}

/* The oldest frame that the guest may have, or a piece of it. */
static bool next_frame(struct net_lane *lane, struct port_frame *ret)
{
	while (!lane->cut_len) {
		if (!port_peek(&lane->port, ret))
			return false;
		if (!fit(lane, ret))
			drop(lane, &ret->bytes);
		else if (!lane->cut_len)
			return true;
	}
	*ret = (struct port_frame){ .bytes = { { lane->cut, lane->cut }, { lane->cut_len, 0 } } };
	return true;
}

/* ---- the queue ---- */

/* As net_run_receive, from one lane. */
static int run_lane(struct net_lane *lane, struct dev_queue *q)
{
	struct net *net = lane->net;
	bool merges = chose(net, VIRTIO_NET_F_MRG_RXBUF);
	struct port_frame frame;
	int r = 0;

	if (net->down)
		net_forget_all(lane);
	while (!net->down && next_frame(lane, &frame)) {
		r = merges ? receive_merged(lane, q, &frame) : receive_one(lane, q, &frame);
		if (r != 1)
			return r;
		net->merge.first_of_pass = false;
	}
	return 1;
}

/* Each lane comes first in turn, or one that never ends would have all passes. */
int net_run_receive(struct net *net, struct dev_queue *q)
{
	const unsigned int pairs = net_pairs(net), pair = q->index / 2;
	const unsigned int n = (net->n_lanes - pair + pairs - 1) / pairs;
	int r = 1;

	net->merge.first_of_pass = true;
	for (unsigned int i = 0; i < n && r == 1; i++)
		r = run_lane(&net->lane[pair + (net->turn + i) % n * pairs], q);
	net->turn++;
	return r == 1 ? 0 : r;
}

void net_forget_all(struct net_lane *lane)
{
	struct port_frame frame;

	lane->cut_len = 0;
	for (unsigned int n = 0; n < FORGET_MAX && port_peek(&lane->port, &frame); n++) {
		lane->net->n_dropped++;
		port_skip(&lane->port, link_bytes_len(&frame.bytes));
	}
}

void net_forget_oldest(struct net_lane *lane)
{
	struct port_frame frame;

	lane->cut_len = 0;
	while (port_is_full(&lane->port) && port_peek(&lane->port, &frame)) {
		lane->net->n_dropped++;
		port_skip(&lane->port, link_bytes_len(&frame.bytes));
	}
}
