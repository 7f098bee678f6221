/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a firmware's variables, where it is not there yet: a copy of its template. */
#ifndef BULKHEAD_CMD_BULKHEAD_VARS_H
#define BULKHEAD_CMD_BULKHEAD_VARS_H

#include "lib/config/config.h"

/* It is there whole or not at all. 0, or an exit status after one line. */
[[nodiscard]] int vars_take(const struct vm_config *c);

#endif
