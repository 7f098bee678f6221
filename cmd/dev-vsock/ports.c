/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of ports; see ports.h. */
#include "cmd/dev-vsock/ports.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool ports_have(const struct ports *p, uint32_t port)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->port[i] == port)
			return true;
	return false;
}

/* The last number stands for any port (VIRTIO 1.2 leaves it to the driver; Linux's VMADDR_PORT_ANY). */
bool port_parse(const char *text, size_t len, uint32_t *ret)
{
	uint64_t v = 0;

	if (len == 0 || len > 10)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(text[i] - '0');
	}
	if (v >= UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

int ports_add(struct ports *p, const char *value, const char **ret_why)
{
	struct ports all = *p;

	for (;;) {
		size_t len = strcspn(value, ",");
		uint32_t port;

		if (!port_parse(value, len, &port)) {
			*ret_why = "say ports as 22 or 22,8080, each 0 to 4294967294";
			return -EINVAL;
		}
		if (!ports_have(&all, port)) {
			if (all.n == PORTS_MAX) {
				*ret_why = "say at most 8 ports";
				return -EINVAL;
			}
			all.port[all.n++] = port;
		}
		if (!value[len])
			break;
		value += len + 1;
	}
	*p = all;
	return 0;
}

bool ports_say(const struct ports *p, char *out, size_t cap)
{
	size_t at = 0;

	for (uint32_t i = 0; i < p->n && at < cap; i++)
		at += (size_t)snprintf(out + at, cap - at, i ? ",%u" : "%u", p->port[i]);
	return p->n != 0;
}
