/* SPDX-License-Identifier: Apache-2.0 */
/* SSE and x87 instructions for the generator; see soft_gen.h. */
#include "tests/unit/soft_gen.h"

const struct gen_table gen_fp = { 0 };
