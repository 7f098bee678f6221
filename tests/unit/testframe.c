/* SPDX-License-Identifier: Apache-2.0 */
/* Frames for tests; see testframe.h. */
#include "tests/unit/testframe.h"

#include <stdlib.h>

const uint8_t tf_guest[ETHER_ADDR_LEN] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
const uint8_t tf_other[ETHER_ADDR_LEN] = { 0x52, 0x55, 0x0a, 0, 2, 2 };

static struct addr parse(const char *text)
{
	struct addr a;

	if (addr_parse(text, &a) < 0)
		abort();
	return a;
}

static uint8_t *grow(struct testframe *f, size_t len)
{
	uint8_t *at = f->at + f->len;

	if (len > TF_MAX - f->len)
		abort();
	memset(at, 0, len);
	f->len += len;
	return at;
}

void tf_put16(uint8_t *at, unsigned int v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

void tf_ether(struct testframe *f, const uint8_t *from, const uint8_t *to, unsigned int type)
{
	uint8_t *at;

	f->len = 0;
	at = grow(f, ETHER_LEN);
	memcpy(at, to, ETHER_ADDR_LEN);
	memcpy(at + ETHER_ADDR_LEN, from, ETHER_ADDR_LEN);
	tf_put16(at + 12, type);
}

void tf_arp(struct testframe *f, const uint8_t *from, unsigned int op, const char *sender,
	    const char *target)
{
	static const uint8_t start[] = { 0, 1, 8, 0, 6, 4 };
	const struct addr s = parse(sender), t = parse(target);
	uint8_t *at;

	tf_ether(f, from, tf_other, 0x0806);
	at = grow(f, 28);
	memcpy(at, start, sizeof(start));
	tf_put16(at + 6, op);
	memcpy(at + 8, from, ETHER_ADDR_LEN);
	memcpy(at + 14, s.b + 12, 4);
	memcpy(at + 24, t.b + 12, 4);
}

void tf_ipv4(struct testframe *f, bool to_guest, const char *from, const char *to,
	     unsigned int proto, size_t len)
{
	const struct addr s = parse(from), t = parse(to);
	uint8_t *at;

	tf_ether(f, to_guest ? tf_other : tf_guest, to_guest ? tf_guest : tf_other, 0x0800);
	at = grow(f, 20 + len);
	at[0] = 0x45;
	tf_put16(at + 2, (unsigned int)(20 + len));
	at[8] = 64;
	at[9] = (uint8_t)proto;
	memcpy(at + 12, s.b + 12, 4);
	memcpy(at + 16, t.b + 12, 4);
}

void tf_ipv6(struct testframe *f, bool to_guest, const char *from, const char *to,
	     unsigned int proto, size_t len)
{
	const struct addr s = parse(from), t = parse(to);
	uint8_t *at;

	tf_ether(f, to_guest ? tf_other : tf_guest, to_guest ? tf_guest : tf_other, 0x86dd);
	at = grow(f, 40 + len);
	at[0] = 0x60;
	tf_put16(at + 4, (unsigned int)len);
	at[6] = (uint8_t)proto;
	at[7] = 64;
	memcpy(at + 8, s.b, ADDR_LEN);
	memcpy(at + 24, t.b, ADDR_LEN);
}

static uint8_t *payload(struct testframe *f, bool to_guest, const char *from, const char *to,
			unsigned int proto, size_t len)
{
	if (strchr(from, ':'))
		tf_ipv6(f, to_guest, from, to, proto, len);
	else
		tf_ipv4(f, to_guest, from, to, proto, len);
	return f->at + f->len - len;
}

void tf_udp(struct testframe *f, bool to_guest, const char *from, unsigned int from_port,
	    const char *to, unsigned int to_port, size_t len)
{
	uint8_t *at = payload(f, to_guest, from, to, IP_UDP, 8 + len);

	tf_put16(at, from_port);
	tf_put16(at + 2, to_port);
	tf_put16(at + 4, (unsigned int)(8 + len));
}

void tf_tcp(struct testframe *f, bool to_guest, const char *from, unsigned int from_port,
	    const char *to, unsigned int to_port)
{
	uint8_t *at = payload(f, to_guest, from, to, IP_TCP, 20);

	tf_put16(at, from_port);
	tf_put16(at + 2, to_port);
	at[12] = 0x50;
}

void tf_hops(struct testframe *f, unsigned int hops)
{
	f->at[TF_IP + (f->at[TF_IP] >> 4 == 4 ? 8 : 7)] = (uint8_t)hops;
}

uint8_t *tf_icmpv6(struct testframe *f, bool to_guest, const char *from, const char *to,
		   unsigned int type, size_t len)
{
	uint8_t *at = payload(f, to_guest, from, to, IP_ICMPV6, len);

	at[0] = (uint8_t)type;
	tf_hops(f, 255);
	return at;
}

void tf_dhcp(struct testframe *f, bool to_guest, const char *from, const char *to,
	     unsigned int type, uint32_t number, const char *given)
{
	const struct addr a = parse(given);
	uint8_t *b;

	tf_udp(f, to_guest, from, to_guest ? 67 : 68, to, to_guest ? 68 : 67, 300);
	b = f->at + f->len - 300;
	b[0] = to_guest ? 2 : 1;
	b[1] = 1;
	b[2] = ETHER_ADDR_LEN;
	tf_put16(b + 4, number >> 16);
	tf_put16(b + 6, number & 0xffff);
	memcpy(b + 16, a.b + 12, 4);
	memcpy(b + 28, tf_guest, ETHER_ADDR_LEN);
	tf_put16(b + 236, 0x6382);
	tf_put16(b + 238, 0x5363);
	b[240] = 12; /* a name, and filling, before the type */
	b[241] = 1;
	b[244] = 53;
	b[245] = 1;
	b[246] = (uint8_t)type;
	b[247] = 255;
}

void tf_router(struct testframe *f, const char *router, const char *net, unsigned int seconds)
{
	const struct addr n = parse(net);
	uint8_t *at = tf_icmpv6(f, true, router, "ff02::1", 134, 16 + 32);

	f->at[0] = f->at[1] = 0x33;
	at[16] = 3;
	at[17] = 4;
	at[18] = 64;
	at[19] = 0xc0;
	tf_put16(at + 20, seconds >> 16);
	tf_put16(at + 22, seconds & 0xffff);
	memcpy(at + 32, n.b, ADDR_LEN);
}

void tf_neighbour(struct testframe *f, bool to_guest, const char *from, const char *to,
		  unsigned int type, const char *target, unsigned int option, const uint8_t *mac)
{
	const struct addr t = parse(target);
	uint8_t *at = tf_icmpv6(f, to_guest, from, to, type, option ? 32 : 24);

	memcpy(at + 8, t.b, ADDR_LEN);
	if (!option)
		return;
	at[24] = (uint8_t)option;
	at[25] = 1;
	memcpy(at + 26, mac, ETHER_ADDR_LEN);
}
