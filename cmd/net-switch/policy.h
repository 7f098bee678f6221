/* SPDX-License-Identifier: Apache-2.0 */
/* What net-switch may ask of the kernel once it hears anybody; net_switch_declared is the whole. */
#ifndef BULKHEAD_NET_SWITCH_POLICY_H
#define BULKHEAD_NET_SWITCH_POLICY_H

#include "lib/declared/declared.h"

extern const struct sandbox_policy net_switch_policy;

#endif
