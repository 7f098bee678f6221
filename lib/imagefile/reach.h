/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How near an address is. A server that redirects must not bring a download from the outside to what only this host, or its
 * network, can reach. Pure.
 */
#ifndef BULKHEAD_IMAGEFILE_REACH_H
#define BULKHEAD_IMAGEFILE_REACH_H

#include <sys/socket.h>

enum reach {
	REACH_WORLD,
	REACH_NETWORK, /* private, or of this link */
	REACH_HOST,    /* itself, and what no server has */
};

/* An IPv4 address in an IPv6 one counts as itself. What is neither is of the host. */
enum reach reach_of(const struct sockaddr *address);

#endif
