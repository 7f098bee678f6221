/* SPDX-License-Identifier: Apache-2.0 */
/* Help texts that other verbs show. */
#ifndef BULKHEAD_CMD_BULKHEAD_HELP_H
#define BULKHEAD_CMD_BULKHEAD_HELP_H

void help_run(void);

#endif
