/* SPDX-License-Identifier: Apache-2.0 */
/* Standard output of a struct terminal, for terminal.c; and what a terminal shows. */
#ifndef BULKHEAD_CMD_BULKHEAD_TERMOUT_H
#define BULKHEAD_CMD_BULKHEAD_TERMOUT_H

#include "cmd/bulkhead/terminal.h"

#include <stdbool.h>

/* Sets out_fd and what is known of it; out_is_tty is there already. */
void termout_open(struct terminal *t);
void termout_close(struct terminal *t);
/* What the user's locale says. */
bool termout_is_utf8(void);

#endif
