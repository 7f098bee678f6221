/* SPDX-License-Identifier: Apache-2.0 */
/* What every fuzz target includes. */
#ifndef BULKHEAD_TESTS_FUZZ_FUZZ_H
#define BULKHEAD_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every input. */
static inline void require(bool ok)
{
	if (!ok)
		abort();
}

#endif
