/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM is to be, from the words after `run` or `explain` and the file that --config names. */
#ifndef BULKHEAD_CMD_BULKHEAD_WORDS_H
#define BULKHEAD_CMD_BULKHEAD_WORDS_H

#include "lib/config/config.h"

/*
 * Sets *ret, whose texts lie in the words and in static memory: once in a process. 0, or an exit
 * status after one line on standard error.
 */
[[nodiscard]] int words_to_config(int argc, char **argv, struct vm_config *ret);

#endif
