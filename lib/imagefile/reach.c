/* SPDX-License-Identifier: Apache-2.0 */
/* How near an address is; see reach.h. */
#include "lib/imagefile/reach.h"

#include <netinet/in.h>
#include <stddef.h>

enum scope reach_of(const struct sockaddr *address)
{
	const uint8_t *at = (const uint8_t *)address;
	struct addr a;

	switch (address->sa_family) {
	case AF_INET:
		a = addr_v4(at + offsetof(struct sockaddr_in, sin_addr));
		break;
	case AF_INET6:
		a = addr_v6(at + offsetof(struct sockaddr_in6, sin6_addr));
		break;
	default:
		return SCOPE_HOST;
	}
	return scope_of(&a);
}
