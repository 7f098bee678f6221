/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of the host that lead to the guest, on the user's network: [ADDR:]HOSTPORT:PORT[/udp], an IPv6 address in
 * brackets. Without an address it is 127.0.0.1's: nobody but the host itself. Pure.
 */
#ifndef BULKHEAD_DEV_NET_PUBLISH_H
#define BULKHEAD_DEV_NET_PUBLISH_H

#include "lib/frames/addr.h"

#define PUBLISH_MAX 8U
#define PUBLISH_TEXT_MAX 72U /* with its 0 */

struct publish {
	struct addr at;
	uint16_t from, to; /* port of the host, of the guest */
	bool udp;
};

struct publishes {
	struct publish all[PUBLISH_MAX];
	uint8_t n;
};

/* As OPTION_OWN has them; the owner is a struct publishes. */
[[nodiscard]] int publish_set(void *owner, const char *value, const char **ret_why);
[[nodiscard]] bool publish_put(const void *owner, unsigned int i, char *out, size_t cap);
/* The argument of passt that says it; false: there are no more. */
[[nodiscard]] bool publish_passt(const struct publishes *p, unsigned int i, char *out, size_t cap);

#endif
