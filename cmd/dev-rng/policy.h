/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-rng may still ask of the kernel once it faces the guest; rng_declared is the whole. */
#ifndef BULKHEAD_DEV_RNG_POLICY_H
#define BULKHEAD_DEV_RNG_POLICY_H

#include "lib/kinds/kind.h"

enum { RNG_FD_VHOST_USER = 4 };

extern const struct sandbox_policy rng_policy;
extern const struct declared_process rng_declared;
extern const struct device_kind rng_kind; /* kind.c */

#endif
