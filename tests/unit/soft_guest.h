/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreter as the differential test runs it: ring 3, the pages of soft_host.h. */
#ifndef BULKHEAD_TESTS_SOFT_GUEST_H
#define BULKHEAD_TESTS_SOFT_GUEST_H

#include "tests/unit/soft_host.h"

void soft_guest_init(void);
/* The guest's memory behind SOFT_CODE and SOFT_DATA. */
extern uint8_t *soft_guest_code, *soft_guest_data;
/* As native_run. */
void interpreted_run(struct soft_state *s, bool code32, struct soft_end *ret);

#endif
