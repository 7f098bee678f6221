/* SPDX-License-Identifier: Apache-2.0 */
/* A link or a tap; see port.h. */
#include "cmd/dev-net/port.h"

#include "cmd/dev-net/checksum.h"

int port_open(struct port *p, struct link_page *page, struct loop *loop, int link_fd, int tap_fd,
	      void (*on_event)(void *owner), void *owner)
{
	p->is_tap = tap_fd >= 0;
	return p->is_tap ? tap_open(&p->tap, loop, tap_fd, on_event, owner) :
			   link_open(&p->link, page, loop, link_fd, on_event, owner);
}

void port_close(struct port *p)
{
	if (p->is_tap)
		tap_close(&p->tap);
	else
		link_close(&p->link);
}

bool port_is_up(const struct port *p)
{
	return p->is_tap ? p->tap.fd >= 0 : link_is_up(&p->link);
}

bool port_is_waiting(const struct port *p)
{
	return p->is_tap ? p->tap.waiting : p->link.waiting;
}

bool port_claim(struct port *p, size_t len, struct link_bytes *ret)
{
	struct tap_frame *f;

	if (!p->is_tap)
		return link_claim(&p->link, len, ret);
	f = tap_claim(&p->tap);
	if (!f || len > sizeof(f->bytes))
		return false;
	*ret = (struct link_bytes){ { f->bytes, f->bytes }, { len, 0 } };
	return true;
}

void port_commit(struct port *p, size_t len, const struct net_header *h)
{
	if (!p->is_tap) {
		link_commit(&p->link, len);
		return;
	}
	p->tap.out.header = *h;
	tap_commit(&p->tap, len);
}

bool port_peek(struct port *p, struct port_frame *ret)
{
	struct tap_frame *f;
	size_t len;

	if (!p->is_tap) {
		ret->header = (struct net_header){ 0 };
		return link_peek(&p->link, &ret->bytes) == 1;
	}
	f = tap_peek(&p->tap, &len);
	if (!f)
		return false;
	ret->header = f->header;
	ret->bytes = (struct link_bytes){ { f->bytes, f->bytes }, { len, 0 } };
	return true;
}

void port_skip(struct port *p, size_t len)
{
	if (p->is_tap)
		tap_skip(&p->tap);
	else
		link_skip(&p->link, len);
}

void port_finish(struct port *p, struct port_frame *f)
{
	if (f->header.flags & NET_HDR_F_NEEDS_CSUM)
		checksum_finish(&f->header, f->bytes.at[0], f->bytes.len[0]);
	f->header = (struct net_header){ 0 };
	if (p->is_tap)
		p->tap.in.header = f->header;
}

bool port_is_full(const struct port *p)
{
	return p->is_tap ? p->tap.in_len != 0 : link_is_full(&p->link);
}

int port_settle(struct port *p)
{
	return p->is_tap ? tap_settle(&p->tap) : link_settle(&p->link);
}

const char *port_down_why(const struct port *p)
{
	if (p->is_tap)
		return "its tap has been removed";
	return p->link.page->broken ? "its network's other end has sent what is no frame" :
				      "its network's other end has gone";
}
