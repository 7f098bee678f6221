/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of nftables that hold cards to their addresses and rates: in the kernel, as root, one for each interface of the
 * host's. A table is named by its interface's index, so that it is known whose it is, also when all
 * processes of its VM were killed: that of an interface that is not there any more is nobody's.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_NET_RULES_H
#define BULKHEAD_CMD_BULKHEAD_NET_RULES_H

#include "cmd/bulkhead/net/tool.h"
#include "lib/config/config.h"

#define RULES_NAME "bulkhead_%u"
#define RULES_NAME_MAX 24 /* with its 0 */

struct rules_interface {
	char name[16];
	unsigned int index;
	bool lower; /* nftables_place's */
};

/* What the device's options say of its frames, for that interface. 0, or a negative errno with *ret_why. */
[[nodiscard]] int rules_load(const struct config_device *d, const struct rules_interface *i,
			     const char **ret_why);
/* Of that interface, if there are any. */
void rules_remove(unsigned int index);
/* Of all interfaces that have gone, and of `own`, which is the caller's alone; 0: there is none. */
void rules_sweep(unsigned int own);

#endif
