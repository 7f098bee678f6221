/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of packets; see packet.h. */
#include "cmd/dev-vsock/packet.h"

#include "lib/base/bytes.h"

void packet_decode(const uint8_t in[PACKET_HEADER], struct packet *ret)
{
	struct bytes_reader r = bytes_reader(in, PACKET_HEADER);

	ret->src_cid = bytes_get64(&r);
	ret->dst_cid = bytes_get64(&r);
	ret->src_port = bytes_get32(&r);
	ret->dst_port = bytes_get32(&r);
	ret->len = bytes_get32(&r);
	ret->type = bytes_get16(&r);
	ret->op = bytes_get16(&r);
	ret->flags = bytes_get32(&r);
	ret->buf_alloc = bytes_get32(&r);
	ret->fwd_cnt = bytes_get32(&r);
}

void packet_encode(const struct packet *p, uint8_t out[PACKET_HEADER])
{
	struct bytes_writer w = bytes_writer(out, PACKET_HEADER);

	bytes_put64(&w, p->src_cid);
	bytes_put64(&w, p->dst_cid);
	bytes_put32(&w, p->src_port);
	bytes_put32(&w, p->dst_port);
	bytes_put32(&w, p->len);
	bytes_put16(&w, p->type);
	bytes_put16(&w, p->op);
	bytes_put32(&w, p->flags);
	bytes_put32(&w, p->buf_alloc);
	bytes_put32(&w, p->fwd_cnt);
}
