/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-rng may still ask of the kernel once it faces the guest; rng_declared is the whole. */
#ifndef BULKHEAD_DEV_RNG_POLICY_H
#define BULKHEAD_DEV_RNG_POLICY_H

#include "lib/declared/declared.h"

extern const struct sandbox_policy rng_policy;

#endif
