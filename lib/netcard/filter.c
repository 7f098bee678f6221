/* SPDX-License-Identifier: Apache-2.0 */
/* Which frames the driver wants; see filter.h. */
#include "lib/netcard/filter.h"

#include "lib/base/be.h"

#include <string.h>

#define KIND_AT 12U
#define KIND_VLAN 0x8100U
#define VLAN_MASK 0x0fffU

void filter_init(struct filter *f, uint64_t mac)
{
	*f = (struct filter){ .rx = FILTER_PROMISC };
	for (unsigned int i = 0; i < FILTER_MAC_LEN; i++)
		f->mac[i] = (uint8_t)(mac >> (8 * (FILTER_MAC_LEN - 1 - i)));
}

bool filter_can_be(const struct filter *f)
{
	return f->rx < 1U << FILTER_RX_MODES && f->uni.n <= FILTER_MACS_MAX && f->uni.all <= 1 &&
	       f->multi.n <= FILTER_MACS_MAX && f->multi.all <= 1;
}

void filter_set_vlan(struct filter *f, uint32_t vlan, bool on)
{
	uint8_t bit = (uint8_t)(1U << (vlan % 8));

	if (vlan >= FILTER_VLANS)
		return;
	if (on)
		f->vlans[vlan / 8] |= bit;
	else
		f->vlans[vlan / 8] &= (uint8_t)~bit;
}

bool filter_has_vlan(const struct filter *f, uint32_t vlan)
{
	return vlan < FILTER_VLANS && f->vlans[vlan / 8] & 1U << (vlan % 8);
}

static bool is_broadcast(const uint8_t *mac)
{
	static const uint8_t all[FILTER_MAC_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	return memcmp(mac, all, sizeof(all)) == 0;
}

static bool has(const struct filter_macs *m, const uint8_t *mac)
{
	if (m->all)
		return true;
	for (unsigned int i = 0; i < m->n; i++)
		if (memcmp(m->mac[i], mac, FILTER_MAC_LEN) == 0)
			return true;
	return false;
}

/* A tag without a VLAN's number has a priority alone: its frame is of no VLAN. */
static bool passes_tag(const struct filter *f, const uint8_t *head, size_t len)
{
	uint32_t vlan;

	if (len < FILTER_HEAD || get_be16(head + KIND_AT) != KIND_VLAN)
		return true;
	vlan = get_be16(head + KIND_AT + 2) & VLAN_MASK;
	return !vlan || filter_has_vlan(f, vlan);
}

static bool passes_group(const struct filter *f, const uint8_t *mac)
{
	if (is_broadcast(mac))
		return !(f->rx & FILTER_NOBCAST);
	if (f->rx & FILTER_NOMULTI)
		return false;
	return f->rx & FILTER_ALLMULTI || has(&f->multi, mac);
}

static bool passes_one(const struct filter *f, const uint8_t *mac)
{
	if (f->rx & FILTER_NOUNI)
		return false;
	return f->rx & FILTER_ALLUNI || memcmp(mac, f->mac, FILTER_MAC_LEN) == 0 ||
	       has(&f->uni, mac);
}

bool filter_passes(const struct filter *f, bool tags, const uint8_t *head, size_t len)
{
	if (f->rx & FILTER_PROMISC)
		return true;
	if (tags && !passes_tag(f, head, len))
		return false;
	return head[0] & 1 ? passes_group(f, head) : passes_one(f, head);
}
