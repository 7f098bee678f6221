/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The size of the terminal that standard output is, said to the supervisor over link: at first, and
 * whenever it has changed (SIGWINCH). Where standard output is no terminal, nothing is said.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_TERMSIZE_H
#define BULKHEAD_CMD_BULKHEAD_TERMSIZE_H

#include "lib/base/loop.h"

#include <stdint.h>

struct termsize {
	struct loop_source src; /* of a signalfd */
	int link;
	uint32_t said; /* a control_size; 0: nothing */
};

/* Once the console is ours. Before the filter; blocks SIGWINCH. 0, or a negative errno. */
[[nodiscard]] int termsize_watch(struct termsize *t, struct loop *l, int link);

#endif
