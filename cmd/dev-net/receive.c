/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from the link into the guest's buffers; see net.h. */
#include "cmd/dev-net/net.h"

#include "lib/base/units.h"

#include <errno.h>

static void drop(struct net *net, const struct link_bytes *frame)
{
	net->n_dropped++;
	link_skip(&net->link, link_bytes_len(frame));
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

static int write_header(const struct virtq_chain *c, uint16_t n_buffers)
{
	const struct net_header h = { .num_buffers = n_buffers };

	return virtq_chain_write(c, 0, &h, sizeof(h));
}

/* ---- one buffer for each frame ---- */

/* A buffer that is too small comes back empty. */
static int receive_one(struct net *net, struct dev_queue *q, const struct link_bytes *from)
{
	const struct virtq_chain *c = &net->chain;
	size_t frame = link_bytes_len(from);
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
		r = write_header(c, 1);
		if (r == 0)
			r = write_part(c, NET_HEADER_LEN, from, 0, frame);
	}
	if (r < 0)
		return r;
	dev_queue_push(q, c->head, (uint32_t)len);
	link_skip(&net->link, frame);
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
static int gather_ends(struct net *net, struct dev_queue *q, const struct link_bytes *from, int r)
{
	bool first = net->merge.first_of_pass && net->merge.n;

	if (r < 0 && r != -EAGAIN)
		return r;
	put_back(net, q);
	if (r == 1 || (r == -EAGAIN && first)) {
		drop(net, from);
		return 1;
	}
	return r;
}

static int receive_merged(struct net *net, struct dev_queue *q, const struct link_bytes *from)
{
	struct net_merge *m = &net->merge;
	size_t len = link_bytes_len(from);
	int r;

	for (m->n = 0, m->at = 0; m->at < len;) {
		struct virtq_chain *c = m->n ? &net->chain : &m->first;

		if (is_hopeless(net, q))
			return gather_ends(net, q, from, 1);
		r = dev_queue_pop(q, c);
		if (r != 1)
			return gather_ends(net, q, from, r);
		r = fill_next(net, c, from);
		if (r < 0)
			return r;
	}
	r = write_header(&m->first, m->n);
	if (r < 0)
		return r;
	dev_queue_push_all(q, m->done, m->n);
	link_skip(&net->link, len);
	return 1;
}

/* ---- the queue ---- */

/* The oldest frame that the guest may have: 1, or 0. */
static int next_frame(struct net *net, struct link_bytes *ret)
{
	int r;

	while ((r = link_peek(&net->link, ret)) == 1 && !net_is_frame(net, link_bytes_len(ret)))
		drop(net, ret);
	return r == 1;
}

int net_run_receive(struct net *net, struct dev_queue *q)
{
	bool merges = net->features & BIT(VIRTIO_NET_F_MRG_RXBUF);
	struct link_bytes frame;
	int r = 0;

	net->merge.first_of_pass = true;
	while (next_frame(net, &frame)) {
		r = merges ? receive_merged(net, q, &frame) : receive_one(net, q, &frame);
		if (r != 1)
			break;
		net->merge.first_of_pass = false;
		r = 0;
	}
	return r;
}

void net_forget_oldest(struct net *net)
{
	struct link_bytes frame;

	while (link_is_full(&net->link) && link_peek(&net->link, &frame) == 1)
		drop(net, &frame);
}
