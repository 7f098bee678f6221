/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Name servers that a guest can reach, on a host whose own one is on its loopback, as systemd-resolved is: a guest has no
 * way there, and passt gives it none then.
 */
#ifndef BULKHEAD_PASST_RESOLVERS_H
#define BULKHEAD_PASST_RESOLVERS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define RESOLVERS_OF_HOST "/etc/resolv.conf"
#define RESOLVERS_BEHIND "/run/systemd/resolve/resolv.conf" /* those that systemd-resolved asks */
#define RESOLVERS_MAX 3U

struct resolvers {
	size_t n;
	char text[RESOLVERS_MAX][INET6_ADDRSTRLEN];
};

/* Those of the second file if the first has none but loopback's; else none, as passt reads the first itself. */
void resolvers_read(const char *first, const char *second, struct resolvers *ret);

#endif
