/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has the other ends of a machine's network links: programs of the host that are none of the machine's, as passt.
 * Only root, or who may see their descriptors, finds them.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_AUDIT_NETWORK_H
#define BULKHEAD_CMD_BULKHEAD_AUDIT_NETWORK_H

#include "cmd/bulkhead/audit/findings.h"

/* Fills s->network, of what each net-relay and dev-net of it holds. 0, or a negative errno. */
[[nodiscard]] int network_read(struct subject *s);
void network_free(struct subject *s);

#endif
