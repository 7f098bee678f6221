/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose an IP address is: this host's, a network's own, or the world's, with all the ways in which an IPv6 address stands for
 * an IPv4 one. Who must not be led to what only a host or its network can reach asks here. Pure.
 */
#ifndef BULKHEAD_FRAMES_SCOPE_H
#define BULKHEAD_FRAMES_SCOPE_H

#include "lib/frames/addr.h"

enum scope {
	SCOPE_WORLD,
	SCOPE_NETWORK, /* private, of this link, or behind a translator of one's own */
	SCOPE_HOST,    /* itself, and what no server has */
};

/* The nearest of what it is and of what it stands for. */
enum scope scope_of(const struct addr *a);

/* Of this host, or of nobody: in IPv4. */
bool scope_is_nowhere(const struct addr *a);
/* As IPv6 never has them on a wire: IPv4's mapped and translated, ::, ::1 and whatever else begins so. */
bool scope_is_for_hosts_alone(const struct addr *a);
/* Where clouds tell a machine its secrets. */
bool scope_is_metadata(const struct addr *a);

/* The IPv4 address that one of IPv6 stands for, by a translator or a tunnel that all have; or itself. */
struct addr scope_meant(const struct addr *a);

/* These go by all that an address stands for. */
bool scope_leads_to_metadata(const struct addr *to);
bool scope_leads_to_private(const struct addr *to);

#endif
