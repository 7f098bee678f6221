/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time for a process whose filter lets it neither ask for the time nor set a timer: a periodic timer
 * that is set before the sandbox and then only read. One that has gone off rests until it is read,
 * and then tells how many periods have passed; so a ticker that is off costs nothing.
 */
#ifndef BULKHEAD_CMD_DEV_CONSOLE_TICKER_H
#define BULKHEAD_CMD_DEV_CONSOLE_TICKER_H

#include "lib/base/loop.h"

#include <stdint.h>

struct ticker {
	struct loop *loop;
	struct loop_source src; /* fd -1: closed */
	void (*fn)(void *owner, uint64_t periods);
	void *owner;
};

/* Before the sandbox; off. 0 or a negative errno with nothing left open. */
[[nodiscard]] int ticker_open(struct ticker *t, struct loop *l, uint64_t period_ns,
			      void (*fn)(void *owner, uint64_t periods), void *owner);
void ticker_close(struct ticker *t);
/* On: fn is called at the end of each period, the first of which may be a part of one. Harmless when
 * it is so already. 0 or the error of epoll. */
[[nodiscard]] int ticker_set(struct ticker *t, bool on);

#endif
