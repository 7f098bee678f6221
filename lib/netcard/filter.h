/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which frames from outside the driver wants (VIRTIO 1.2, 5.1.6.5.1 to 5.1.6.5.3), as it has said by commands. To
 * keep work from the guest, and no wall: what may not pass is net-relay's to say, or the host's.
 *
 * A list that would be longer than FILTER_MACS_MAX lets all of its sort pass. Pure: no I/O, no allocation. HOSTILE:
 * the frame, and a struct filter that comes from a predecessor (filter_can_be).
 */
#ifndef BULKHEAD_NETCARD_FILTER_H
#define BULKHEAD_NETCARD_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILTER_MAC_LEN 6U
#define FILTER_MACS_MAX 64U /* of a list */
#define FILTER_VLANS 4096U
#define FILTER_HEAD 18U /* bytes of a frame that are looked at: its header and a VLAN tag */

/* What CTRL_RX switches, by its command. */
enum filter_rx {
	FILTER_PROMISC = 1U << 0,
	FILTER_ALLMULTI = 1U << 1,
	FILTER_ALLUNI = 1U << 2,
	FILTER_NOMULTI = 1U << 3,
	FILTER_NOUNI = 1U << 4,
	FILTER_NOBCAST = 1U << 5,
};
#define FILTER_RX_MODES 6U

struct filter_macs {
	uint8_t n;
	uint8_t all; /* there were more */
	uint8_t mac[FILTER_MACS_MAX][FILTER_MAC_LEN];
};

/* Of bytes alone, as it may come from a predecessor: any values of them can be read. */
struct filter {
	uint8_t rx; /* bits of enum filter_rx */
	uint8_t mac[FILTER_MAC_LEN];
	struct filter_macs uni, multi;
	uint8_t vlans[FILTER_VLANS / 8];
};

/* As at power-on: all frames pass. mac: the first byte on the wire is the most significant of six. */
void filter_init(struct filter *f, uint64_t mac);
[[nodiscard]] bool filter_can_be(const struct filter *f);
/* Both ignore what is no VLAN's number. */
void filter_set_vlan(struct filter *f, uint32_t vlan, bool on);
[[nodiscard]] bool filter_has_vlan(const struct filter *f, uint32_t vlan);
/* Whether the frame that begins with these bytes, 14 to FILTER_HEAD, passes; tags: VLANs are filtered, too. */
[[nodiscard]] bool filter_passes(const struct filter *f, bool tags, const uint8_t *head,
				 size_t len);

#endif
