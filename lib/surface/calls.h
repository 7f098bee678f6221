/* SPDX-License-Identifier: Apache-2.0 */
/* What system calls of x86-64 can name: see surface.h for which of them pass. */
#ifndef BULKHEAD_SURFACE_CALLS_H
#define BULKHEAD_SURFACE_CALLS_H

#include "lib/surface/surface.h"

enum call_takes {
	CALL_PATH = 1,	  /* a path, or a handle that stands for one */
	CALL_PROCESS = 2, /* a process id, or it makes a process */
	CALL_ADDRESS = 4, /* a socket address */
	CALL_OPENS = 8,	  /* makes a new kernel object with a surface of its own */
	CALL_CODE = 16,	  /* can make memory executable */
};

/*
 * Which of these the call can take, with the argument values that pass: sendto without an address
 * takes none. A call that passes never takes nothing. What is in memory no filter sees: sendmsg can
 * carry an address, which connected stream sockets refuse, connected seqpacket sockets do not look at, and
 * datagram sockets follow; processes hold no datagram socket.
 */
[[nodiscard]] unsigned int calls_take(uint32_t nr, const struct surface_call *c);

#endif
