/* SPDX-License-Identifier: Apache-2.0 */
/* The stubs of fp_imm.c that other files use as well. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_FP_IMM_H
#define BULKHEAD_VMM_ACCEL_SOFT_FP_IMM_H

#include "cmd/vmm/accel/soft/fp.h"

#define SOFT_FP_STUB 16

extern const uint8_t soft_fp_psrldq[256][SOFT_FP_STUB] __attribute__((visibility("hidden")));
extern const uint8_t soft_fp_pshuflw[256][SOFT_FP_STUB] __attribute__((visibility("hidden")));

/* The variant for an immediate. */
INLINE fp_fn soft_fp_stub(const uint8_t stubs[256][SOFT_FP_STUB], int64_t imm)
{
	return (fp_fn)(uintptr_t)stubs[(uint8_t)imm];
}

#endif
