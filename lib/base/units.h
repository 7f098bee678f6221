/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes in bytes by their units, and single bits; all of 64 bits. */
#ifndef BULKHEAD_BASE_UNITS_H
#define BULKHEAD_BASE_UNITS_H

#include <stdint.h>

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define BIT(n) (UINT64_C(1) << (n))

#endif
