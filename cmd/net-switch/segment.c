/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets a frame; see segment.h. */
#include "cmd/net-switch/segment.h"

#include <string.h>

/* ---- addresses ---- */

/* fe80::, and the MAC address with ff:fe in its middle (RFC 4291, appendix A). */
static bool is_made_of_mac(const struct segment_port *p, const struct addr *a)
{
	const uint8_t *m = p->rules.mac;
	const struct addr made = { { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe,
				     m[3], m[4], m[5] } };

	return addr_equal(a, &made);
}

/* Nobody else can have it. */
static bool is_said(const struct segment_port *p, const struct addr *a)
{
	return (p->rules.fixed4 && addr_equal(a, &p->rules.ip4)) ||
	       (p->rules.fixed6 && addr_equal(a, &p->rules.ip6)) || is_made_of_mac(p, a);
}

static struct addr *find_claim(struct segment_port *p, const struct addr *a)
{
	for (size_t i = 0; i < SEGMENT_CLAIMS; i++)
		if (addr_equal(&p->claims[i], a))
			return &p->claims[i];
	return NULL;
}

static bool is_others(const struct segment_port *own, const struct addr *a)
{
	struct segment *s = own->segment;

	for (size_t i = 0; i < MEMBERS_MAX; i++) {
		struct segment_port *p = &s->ports[i];

		if (p != own && p->joined && (is_said(p, a) || find_claim(p, a)))
			return true;
	}
	return false;
}

/* The guard's question, of an address that can be a station's. */
static bool owns(void *owner, const struct addr *a)
{
	struct segment_port *p = owner;

	if (is_said(p, a) || find_claim(p, a))
		return true;
	if (is_others(p, a))
		return false;
	p->claims[p->next_claim++ % SEGMENT_CLAIMS] = *a;
	return true;
}

static void take_back(struct segment_port *p, const struct segment_port *from)
{
	for (size_t i = 0; i < SEGMENT_CLAIMS; i++)
		if (!addr_is_unspecified(&p->claims[i]) && is_said(from, &p->claims[i]))
			p->claims[i] = (struct addr){ { 0 } };
}

/* ---- ports ---- */

void segment_join(struct segment *s, unsigned int port, const struct member *m)
{
	static const struct throttle_rates group = {
		.rate = { [THROTTLE_OPS] = SEGMENT_GROUP_FRAMES,
			  [THROTTLE_BYTES] = SEGMENT_GROUP_BYTES },
		.burst_s = 1,
	};
	struct segment_port *p = &s->ports[port];

	*p = (struct segment_port){ .joined = true, .member = *m, .segment = s };
	netkit_rules(&m->frames, m->mac, &p->rules);
	p->rules.owns = owns;
	p->rules.owner = p;
	throttle_init(&p->group, &group);
	for (size_t i = 0; i < MEMBERS_MAX; i++)
		take_back(&s->ports[i], p);
}

void segment_leave(struct segment *s, unsigned int port)
{
	s->ports[port] = (struct segment_port){ .joined = false };
}

void segment_pass_ms(struct segment *s, uint64_t ms)
{
	for (size_t i = 0; i < MEMBERS_MAX; i++)
		if (s->ports[i].joined)
			throttle_pass_ms(&s->ports[i].group, ms);
}

/* ---- frames ---- */

static bool may_hear(const struct segment_port *p, const struct segment_port *from)
{
	return p->joined && p != from && !(p->member.isolated && from->member.isolated);
}

static segment_ports all_others(const struct segment *s, const struct segment_port *from)
{
	segment_ports to = 0;

	for (unsigned int i = 0; i < MEMBERS_MAX; i++)
		if (may_hear(&s->ports[i], from))
			to |= (segment_ports)1 << i;
	return to;
}

static segment_ports the_one(const struct segment *s, const struct segment_port *from,
			     const uint8_t *mac)
{
	for (unsigned int i = 0; i < MEMBERS_MAX; i++)
		if (may_hear(&s->ports[i], from) &&
		    memcmp(s->ports[i].rules.mac, mac, ETHER_ADDR_LEN) == 0)
			return (segment_ports)1 << i;
	return 0;
}

static bool is_there(const struct segment *s, const uint8_t *mac)
{
	for (unsigned int i = 0; i < MEMBERS_MAX; i++)
		if (s->ports[i].joined && memcmp(s->ports[i].rules.mac, mac, ETHER_ADDR_LEN) == 0)
			return true;
	return false;
}

/* GUARD_PASS, or why it goes nowhere. */
static unsigned int look_at(struct segment *s, struct segment_port *p, const uint8_t *frame,
			    size_t len, segment_ports *ret)
{
	enum guard_verdict v = guard_from_guest(&p->rules, &s->known, frame, len);

	if (v != GUARD_PASS)
		return v;
	if (frame[0] & 1) {
		if (!throttle_take(&p->group, true, len))
			return SEGMENT_RATE;
		*ret = all_others(s, p);
		return GUARD_PASS;
	}
	*ret = the_one(s, p, frame);
	if (*ret)
		return GUARD_PASS;
	return is_there(s, frame) ? SEGMENT_ISOLATED : SEGMENT_NOBODY;
}

segment_ports segment_judge(struct segment *s, unsigned int from, const uint8_t *frame, size_t len)
{
	struct segment_port *p = &s->ports[from];
	segment_ports to = 0;
	unsigned int why;

	if (!p->joined)
		return 0;
	why = look_at(s, p, frame, len, &to);
	if (why == GUARD_PASS)
		p->n_passed++;
	else
		p->n_dropped[why]++;
	return to;
}

void segment_lose(struct segment *s, unsigned int port)
{
	s->ports[port].n_dropped[SEGMENT_FULL]++;
}
