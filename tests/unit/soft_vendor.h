/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CPUs of different vendors do differently, taken out of the comparison; the software CPU does
 * as Intel's. Each rule holds for the one instruction that faulted and the one thing that differs:
 *
 * - 32-bit accesses that cross 4 GiB under a flat limit: #GP or #SS, or the page's #PF, as the
 *   processor likes (SDM volume 3, 5.3).
 * - Two faults of one access, where either may come first (volume 3, 6.9): the #PF of the part
 *   below the end of the canonical lower half and the #GP or #SS of the part above it; the #GP of a
 *   vector operand that is not aligned and the #SS of its address.
 * - CALL through a register or memory to an address that is not canonical: Intel has written the
 *   return address below the stack by then, AMD has not (volume 2, CALL, has the check first).
 * - REPE and REPNE CMPS and SCAS: with a fault the flags are those before the instruction
 *   (volume 2, REP); AMD leaves those of the last comparison.
 * - MMX stores: with a fault TOP is zero on Intel, and as it was on AMD (volume 1, 9.5, speaks of
 *   instructions that end).
 * - x87 stores whose unmasked exception keeps them from storing: Intel does not look at the page,
 *   AMD does (volume 1, 8.5, has only that nothing is stored).
 */
#ifndef BULKHEAD_TESTS_SOFT_VENDOR_H
#define BULKHEAD_TESTS_SOFT_VENDOR_H

#include "tests/unit/soft_host.h"

/* A case, with its pages of code and data as they were before. */
struct soft_vendor_case {
	const struct soft_state *before;
	const uint8_t *code, *data;
	bool code32;
};

/* Makes the host's end, and data, the software CPU's where they may differ. */
void soft_vendor_level(const struct soft_vendor_case *v, struct soft_state *host,
		       struct soft_end *host_end, uint8_t *host_data, const struct soft_state *soft,
		       const struct soft_end *soft_end, const uint8_t *soft_data);

#endif
