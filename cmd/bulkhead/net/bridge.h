/* SPDX-License-Identifier: Apache-2.0 */
/* A tap that is made for a network card, as a port of a bridge of the host's. */
#ifndef BULKHEAD_CMD_BULKHEAD_NET_BRIDGE_H
#define BULKHEAD_CMD_BULKHEAD_NET_BRIDGE_H

#include "lib/config/config.h"

/*
 * As root: makes a tap, which goes with its last descriptor, has the kernel hold it to the device's rules, and only then ties it
 * into the bridge. 0 with its descriptors in ret, as tap_open's, and the tap's index; or a negative errno with what is wrong, and
 * nothing is left.
 */
[[nodiscard]] int bridge_open(const struct config_device *d, const char *bridge, int *ret,
			      unsigned int *ret_index, const char **ret_why);
/*
 * Has the kernel hold a tap that is there, and which the caller has just joined, to the device's rules, if it
 * has any; those that a VM before it left go. 0 with *ret_index, 0: there are none; or a negative errno.
 */
[[nodiscard]] int bridge_rule_tap(const struct config_device *d, const char *tap,
				  unsigned int *ret_index, const char **ret_why);

#endif
