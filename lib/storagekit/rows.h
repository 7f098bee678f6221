/* SPDX-License-Identifier: Apache-2.0 */
/* What storage processes are declared to be, in blocks as those of lib/declared/blocks.h. */
#ifndef BULKHEAD_STORAGEKIT_ROWS_H
#define BULKHEAD_STORAGEKIT_ROWS_H

#include "lib/declared/blocks.h"

/* clang-format off */

/* ---- the dev-blk that is served ---- */

#define STORAGE_CHANNEL_FD(number) { (number), FD_SOCKET, false, "channel to the disk's dev-blk" }
#define STORAGE_CHANNEL_GAIN                                                                              \
	{ "the channel to the disk's dev-blk", NULL,                                                      \
	  "hostile replies, which it reads as such: no bytes of guest RAM but those that the guest asked to " \
	  "be read into" }

/* ---- a server: no network, a connection comes from the dialer, whole (link.h) ---- */

#define STORAGE_LINK_CALLS                               \
	BLOCK_LOOP_CALLS, BLOCK_CHANNEL_CALLS,           \
	SB_CALL(read), /* timers */ SB_TIMERFD_SETTIME,  \
	SB_FORM(getrandom, SB_IS(2, 0))
#define STORAGE_DIALER_FD(number) { (number), FD_SOCKET, false, "channel to the dialer" }
#define STORAGE_PAUSE_GAIN                                                         \
	{ "with --on-storage-error stop: the pause of its own VM", NULL,           \
	  "once for each time that its user lets the VM go on, who reads why, in a bounded number of lines" }

/* clang-format on */

#endif
