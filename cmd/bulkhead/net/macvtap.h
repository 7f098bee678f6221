/* SPDX-License-Identifier: Apache-2.0 */
/* A macvtap that is made for a network card, on an interface of the host's. */
#ifndef BULKHEAD_CMD_BULKHEAD_NET_MACVTAP_H
#define BULKHEAD_CMD_BULKHEAD_NET_MACVTAP_H

#include "lib/config/config.h"

/*
 * As root: makes it, with the card's MAC address, has the kernel hold it to the device's rules, and sets it up. It outlives its
 * descriptors: those of VMs whose processes were all killed are removed first. As bridge_open.
 */
[[nodiscard]] int macvtap_open(const struct config_device *d, const char *lower, int *ret,
			       unsigned int *ret_index, const char **ret_why);

#endif
