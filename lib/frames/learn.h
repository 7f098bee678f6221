/* SPDX-License-Identifier: Apache-2.0 */
/* What passes says about the guest's addresses: DHCP, router advertisements, neighbours. Of guard.c's. */
#ifndef BULKHEAD_FRAMES_LEARN_H
#define BULKHEAD_FRAMES_LEARN_H

#include "lib/frames/guard.h"

/* A message of the guest's DHCP client, with the guest's MAC address as the client's, which is noted. False: it is none. */
[[nodiscard]] bool learn_dhcp_request(const struct guard_rules *rules, struct guard_known *known,
				      const struct ip_packet *p);
/* Of a packet that goes to the guest. */
void learn_from_outside(const struct guard_rules *rules, struct guard_known *known,
			const struct ip_packet *p);
/* Somebody outside has shown it to be his own. */
bool learn_is_others(const struct guard_known *known, const struct addr *a);

/*
 * The options of neighbour discovery behind the first `from` bytes of an ICMPv6 message: in order, until visit says
 * false or none is left. False: visit has, or they are malformed.
 */
[[nodiscard]] bool learn_options(const struct ip_packet *p, size_t from,
				 bool (*visit)(void *owner, const uint8_t *option, size_t len),
				 void *owner);

#define ND_ROUTER_SOLICIT 133
#define ND_ROUTER_ADVERT 134
#define ND_SOLICIT 135
#define ND_ADVERT 136
#define ND_HOPS 255
#define ND_ROUTER_SOLICIT_LEN 8U
#define ND_ROUTER_ADVERT_LEN 16U
#define ND_TARGET_LEN 24U /* with the target, from 8 on */
#define ND_SOURCE_MAC 1
#define ND_TARGET_MAC 2
#define ND_PREFIX 3
#define ND_RESOLVERS 25

#define DHCPV6_CLIENT_PORT 546
#define DHCPV6_SERVER_PORT 547

#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68

#endif
