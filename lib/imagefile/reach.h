/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How near a server's address is. One that redirects must not bring a download from the outside to what only this host, or its
 * network, can reach. Pure.
 */
#ifndef BULKHEAD_IMAGEFILE_REACH_H
#define BULKHEAD_IMAGEFILE_REACH_H

#include "lib/frames/scope.h"

#include <sys/socket.h>

/* An IPv4 address in an IPv6 one counts as itself. What is neither is of the host. */
enum scope reach_of(const struct sockaddr *address);

#endif
