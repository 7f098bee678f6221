/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What several processes are declared to be, in named blocks: each is one thing that a process has, with
 * the calls that it takes, the descriptors and mappings that it shows as, and what an intruder gains by it. A
 * policy.c is composed of them and of what is its own; the lists that are made of it (filter, audit,
 * explain, the threat model) are whole. A block's macros are rows: they stand between the braces of a table.
 *
 *   ..._CALLS   rows of struct sandbox_rule
 *   ..._FD      a row of struct fd_row
 *   ..._HELD    rows of struct declared_held
 *   ..._MAPS    rows of struct declared_map
 *   ..._GAIN    rows of struct declared_gain
 */
#ifndef BULKHEAD_DECLARED_BLOCKS_H
#define BULKHEAD_DECLARED_BLOCKS_H

#include "lib/declared/declared.h"
#include "lib/sandbox/forms.h"

/* clang-format off */

/* ---- the event loop (lib/base/loop.h) ---- */

#define BLOCK_LOOP_CALLS SB_CALL(epoll_wait), SB_EPOLL_CTL
#define BLOCK_LOOP_HELD { "anon_inode:[eventpoll]", 1, "event loop" }

/* ---- channels, whose messages carry descriptors; ppoll when one is full ---- */

#define BLOCK_CHANNEL_CALLS SB_RECVMSG, SB_SENDMSG, SB_PPOLL, SB_CALL(close)
/* what a descriptor is that came in a message; kicks and interrupts never block */
#define BLOCK_RECEIVED_FD_CALLS SB_CALL(fstat), SB_SET_NONBLOCK

/* ---- the control channel ---- */

#define BLOCK_CONTROL_FD { FD_CONTROL, FD_SOCKET, false, "control channel" }
#define BLOCK_CONTROL_GAIN                 \
	{ "the control channel", NULL,     \
	  "a few typed messages to the supervisor, by its request table" }

/* ---- eventfds of queues and interrupts; timers and signals are read the same way ---- */

#define BLOCK_EVENTFD_CALLS SB_CALL(read), SB_CALL(write)
#define BLOCK_EVENTFD_HELD(names) { "anon_inode:[eventfd]", 0, names }
#define BLOCK_EVENTFD_GAIN(names) { names, "by its notify registers and interrupts", NULL }

/* ---- guest RAM, which came in a message ---- */

#define BLOCK_GUEST_RAM_CALLS SB_GET_SEALS, SB_MMAP_FILE, SB_CALL(munmap)
#define BLOCK_GUEST_RAM_MAPS                              \
	{ "/guest-ram", true, "guest RAM in huge pages" }, \
	{ "/memfd:guest-ram", true, "guest RAM" },        \
	{ "/memfd:" DIRTY_LOG_NAME, true, "which of its pages devices have written to" }
#define DIRTY_LOG_NAME "dirty-log"
#define BLOCK_GUEST_RAM_GAIN                                                     \
	{ "guest RAM", "it is the guest's", NULL },                              \
	{ "the software CPU's log of the pages of it that devices write to", NULL, \
	  "a bit that is wrong leaves the guest with old code, as a write to its RAM can" }

/* ---- a vhost-user back end, with the note of its requests in flight ---- */

#define BLOCK_VHOST_USER_FD(number) { (number), FD_SOCKET, false, "vhost-user channel" }
#define BLOCK_VHOST_USER_HELD \
	{ "/memfd:inflight", 1, "which requests are in flight, for the process after this one" }
#define BLOCK_VHOST_USER_MAPS { "/memfd:inflight", true, "which requests are in flight" }
/* "the vhost-user channel", where there is no other */
#define BLOCK_VHOST_USER_GAIN(channels)                                          \
	{ channels, NULL, "hostile replies to its vmm, which reads them as a guest's" }, \
	{ "the note of which requests are in flight", NULL,                      \
	  "the process after this one finishes them; it reads the note as hostile" }

/* ---- the end ---- */

#define BLOCK_END_CALLS SB_CALL(exit_group)

/* clang-format on */

#endif
