/* SPDX-License-Identifier: Apache-2.0 */
/* The command, once it only relays a hostile guest's console: nothing but its open descriptors. */
#ifndef BULKHEAD_CMD_BULKHEAD_CONFINE_H
#define BULKHEAD_CMD_BULKHEAD_CONFINE_H

#include "lib/declared/declared.h"

extern const struct sandbox_policy relay_policy; /* relay_declared is the whole */

/*
 * Gives up root's id, if it has that, every capability, and every call that a relay does not make.
 * To be called after terminal_init. 0, or a negative errno with *ret_what what could not be had.
 */
[[nodiscard]] int confine_relay(const char **ret_what);

#endif
