/* SPDX-License-Identifier: Apache-2.0 */
/* A short list of ports, as an option says it: "22,8080". Pure. */
#ifndef BULKHEAD_DEV_VSOCK_PORTS_H
#define BULKHEAD_DEV_VSOCK_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORTS_MAX 8

struct ports {
	uint32_t n;
	uint32_t port[PORTS_MAX];
};

/* Adds what value names. 0, or -EINVAL with *ret_why and nothing added. */
[[nodiscard]] int ports_add(struct ports *p, const char *value, const char **ret_why);
/* The list as an option says it. False: it is empty. */
[[nodiscard]] bool ports_say(const struct ports *p, char *out, size_t cap);
[[nodiscard]] bool ports_have(const struct ports *p, uint32_t port);
/* A port's digits, and nothing else. */
[[nodiscard]] bool port_parse(const char *text, size_t len, uint32_t *ret);

#endif
