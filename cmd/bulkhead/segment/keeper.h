/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch keeper: of one segment, it starts net-switch in a jail, and lets cards of its user join. Commands connect to its
 * socket, NAME+switch among the names of the user's VMs, and send what is said of a card with one end of a stream; it
 * looks who asks, whether the card goes with those that are there, and hands the stream on. It hears no VM, and ends with
 * its last port, or when net-switch does.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_SEGMENT_KEEPER_H
#define BULKHEAD_CMD_BULKHEAD_SEGMENT_KEEPER_H

#include "lib/base/units.h"

/* What it and net-switch may take together, where there is a control group: that has 64 ports with both rings full, and
 * what the kernel holds for them. */
#define SEGMENT_MEMORY MIB(96)
#define SEGMENT_TASKS 4U /* two; those that start them, and a zombie counts */
#define SEGMENT_GROUP "segment+"

/*
 * Starts one, of the segment of that name, which is no child of the caller's; listener and exe (of net-switch) are closed here. Once it serves: a channel
 * to it, as one that connected has. A negative errno with why.
 */
[[nodiscard]] int switch_keeper_start(const char *name, int listener, int exe,
				      const char **ret_why);

#endif
