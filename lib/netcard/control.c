/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the control queue as a table: class x command -> handler; see control.h. */
#include "lib/netcard/control.h"

#include "lib/netcard/net_features.h"
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* 5.1.6.5 */
#define CLASS_RX 0U
#define CLASS_MAC 1U
#define CLASS_VLAN 2U
#define CLASS_ANNOUNCE 3U
#define CLASS_MQ 4U
#define CLASS_OFFLOADS 5U
#define MAC_TABLE_SET 0U
#define MAC_ADDR_SET 1U
#define VLAN_ADD 0U
#define VLAN_DEL 1U
#define ANNOUNCE_ACK 0U
#define PAIRS_SET 0U
#define OFFLOADS_SET 0U
#define HEADER_LEN 2U
#define COUNT_LEN 4U

struct command {
	const struct virtq_chain *chain;
	uint64_t features;
	uint16_t pairs; /* that there are */
	uint8_t number;
	uint64_t len; /* of its data */
};

/* Bytes of its data; fewer are an error that the driver is told. */
static int get(const struct command *m, uint64_t at, void *out, size_t len)
{
	if (at > m->len || m->len - at < len)
		return CONTROL_ERR;
	return virtq_chain_read(m->chain, HEADER_LEN + at, out, len);
}

static int get_all(const struct command *m, void *out, size_t len)
{
	return m->len == len ? get(m, 0, out, len) : CONTROL_ERR;
}

/* ---- receive modes (5.1.6.5.1) ---- */

static int set_mode(struct control *c, const struct command *m)
{
	uint8_t bit = (uint8_t)(1U << m->number);
	uint8_t on = 0;
	int r = get_all(m, &on, sizeof(on));

	if (r != CONTROL_OK)
		return r;
	if (on > 1)
		return CONTROL_ERR;
	if (on)
		c->filter.rx |= bit;
	else
		c->filter.rx &= (uint8_t)~bit;
	return CONTROL_OK;
}

/* ---- addresses (5.1.6.5.2) ---- */

/* A list at *at, which is moved behind it. */
static int get_macs(const struct command *m, uint64_t *at, struct filter_macs *ret)
{
	uint8_t count[COUNT_LEN] = { 0 };
	struct bytes_reader reader = bytes_reader(count, sizeof(count));
	struct filter_macs macs = { 0 };
	uint32_t n;
	int r = get(m, *at, count, sizeof(count));

	if (r != CONTROL_OK)
		return r;
	*at += COUNT_LEN;
	n = bytes_get32(&reader);
	if (n > (m->len - *at) / FILTER_MAC_LEN)
		return CONTROL_ERR;
	macs.all = n > FILTER_MACS_MAX;
	macs.n = macs.all ? 0 : (uint8_t)n;
	r = get(m, *at, macs.mac, (size_t)macs.n * FILTER_MAC_LEN);
	if (r != CONTROL_OK)
		return r;
	*at += (uint64_t)n * FILTER_MAC_LEN;
	*ret = macs;
	return CONTROL_OK;
}

static int set_table(struct control *c, const struct command *m)
{
	struct filter_macs uni, multi;
	uint64_t at = 0;
	int r = get_macs(m, &at, &uni);

	if (r == CONTROL_OK)
		r = get_macs(m, &at, &multi);
	if (r != CONTROL_OK)
		return r;
	if (at != m->len)
		return CONTROL_ERR;
	c->filter.uni = uni;
	c->filter.multi = multi;
	return CONTROL_OK;
}

/* What the guest receives as; what it may send as is not said here. */
static int set_mac(struct control *c, const struct command *m)
{
	uint8_t mac[FILTER_MAC_LEN];
	int r = get_all(m, mac, sizeof(mac));

	if (r != CONTROL_OK)
		return r;
	if (mac[0] & 1)
		return CONTROL_ERR;
	memcpy(c->filter.mac, mac, sizeof(mac));
	return CONTROL_OK;
}

/* ---- VLANs (5.1.6.5.3) ---- */

static int set_vlan(struct control *c, const struct command *m)
{
	uint8_t bytes[2] = { 0 };
	struct bytes_reader reader = bytes_reader(bytes, sizeof(bytes));
	uint32_t vlan;
	int r = get_all(m, bytes, sizeof(bytes));

	if (r != CONTROL_OK)
		return r;
	vlan = bytes_get16(&reader);
	if (vlan >= FILTER_VLANS)
		return CONTROL_ERR;
	filter_set_vlan(&c->filter, vlan, m->number == VLAN_ADD);
	return CONTROL_OK;
}

/* ---- announcement (5.1.6.5.4) ---- */

static int acknowledge(struct control *c, const struct command *m)
{
	if (m->len || !c->announces)
		return CONTROL_ERR;
	c->announces = 0;
	return CONTROL_OK;
}

/* ---- pairs of queues (5.1.6.5.5) ---- */

static int set_pairs(struct control *c, const struct command *m)
{
	uint8_t bytes[2] = { 0 };
	struct bytes_reader reader = bytes_reader(bytes, sizeof(bytes));
	uint16_t pairs;
	int r = get_all(m, bytes, sizeof(bytes));

	if (r != CONTROL_OK)
		return r;
	pairs = (uint16_t)bytes_get16(&reader);
	if (pairs < 1 || pairs > m->pairs)
		return CONTROL_ERR;
	c->pairs = pairs;
	return CONTROL_OK;
}

/* ---- offloads (5.1.6.5.6) ---- */

/* A large frame has a checksum that is left to be done (5.1.3.1). */
static bool go_together(uint64_t offloads)
{
	const uint64_t large = BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6);

	if (offloads & (large | NET_GUEST_UDP_OFFLOADS) &&
	    !(offloads & BIT(VIRTIO_NET_F_GUEST_CSUM)))
		return false;
	return !(offloads & BIT(VIRTIO_NET_F_GUEST_ECN)) || offloads & large;
}

static int set_offloads(struct control *c, const struct command *m)
{
	uint8_t bytes[8] = { 0 };
	struct bytes_reader reader = bytes_reader(bytes, sizeof(bytes));
	uint64_t offloads;
	int r = get_all(m, bytes, sizeof(bytes));

	if (r != CONTROL_OK)
		return r;
	offloads = bytes_get64(&reader);
	if (offloads & ~(m->features & NET_GUEST_OFFLOADS) || !go_together(offloads))
		return CONTROL_ERR;
	c->off = m->features & NET_GUEST_OFFLOADS & ~offloads;
	return CONTROL_OK;
}

/* ---- the table ---- */

static const struct {
	uint8_t class, first, last;
	unsigned int feature;
	int (*handle)(struct control *c, const struct command *m);
} commands[] = {
	{ CLASS_RX, 0, 1, VIRTIO_NET_F_CTRL_RX, set_mode },
	{ CLASS_RX, 2, FILTER_RX_MODES - 1, VIRTIO_NET_F_CTRL_RX_EXTRA, set_mode },
	{ CLASS_MAC, MAC_TABLE_SET, MAC_TABLE_SET, VIRTIO_NET_F_CTRL_RX, set_table },
	{ CLASS_MAC, MAC_ADDR_SET, MAC_ADDR_SET, VIRTIO_NET_F_CTRL_MAC_ADDR, set_mac },
	{ CLASS_VLAN, VLAN_ADD, VLAN_DEL, VIRTIO_NET_F_CTRL_VLAN, set_vlan },
	{ CLASS_ANNOUNCE, ANNOUNCE_ACK, ANNOUNCE_ACK, VIRTIO_NET_F_GUEST_ANNOUNCE, acknowledge },
	{ CLASS_MQ, PAIRS_SET, PAIRS_SET, VIRTIO_NET_F_MQ, set_pairs },
	{ CLASS_OFFLOADS, OFFLOADS_SET, OFFLOADS_SET, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
	  set_offloads },
};

static int dispatch(struct control *c, uint8_t class, const struct command *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].class == class && commands[i].first <= m->number &&
		    m->number <= commands[i].last && m->features & BIT(commands[i].feature))
			return commands[i].handle(c, m);
	return CONTROL_ERR;
}

int control_run(struct control *c, uint64_t features, uint16_t pairs,
		const struct virtq_chain *chain)
{
	uint8_t header[HEADER_LEN];
	struct command m = { .chain = chain, .features = features, .pairs = pairs };
	int r;

	if (chain->readable_len < HEADER_LEN || !chain->writable_len)
		return -EBADMSG;
	r = virtq_chain_read(chain, 0, header, sizeof(header));
	if (r < 0)
		return r;
	m.number = header[1];
	m.len = chain->readable_len - HEADER_LEN;
	return dispatch(c, header[0], &m);
}

/* ---- kept ---- */

void control_init(struct control *c, uint64_t mac)
{
	*c = (struct control){ .begun = 1, .pairs = 1 };
	filter_init(&c->filter, mac);
}

void control_load(struct control *c, const struct control_kept *kept, uint64_t mac, uint16_t pairs)
{
	uint32_t which = atomic_load(&kept->current) & 1U;

	memcpy(c, &kept->copy[which], sizeof(*c));
	if (c->begun != 1 || c->pairs < 1 || c->pairs > pairs || !filter_can_be(&c->filter) ||
	    c->off & ~NET_GUEST_OFFLOADS)
		control_init(c, mac);
	c->announces = 0; /* whoever asks, asks each process */
}

void control_keep(const struct control *c, struct control_kept *kept)
{
	uint32_t next = ~atomic_load(&kept->current) & 1U;

	memcpy(&kept->copy[next], c, sizeof(*c));
	atomic_store(&kept->current, next);
}
