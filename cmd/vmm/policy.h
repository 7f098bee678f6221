/* SPDX-License-Identifier: Apache-2.0 */
/* What the vmm's threads may ask of the kernel; vmm_declared is the whole. */
#ifndef BULKHEAD_VMM_POLICY_H
#define BULKHEAD_VMM_POLICY_H

#include "lib/declared/declared.h"

extern const struct sandbox_policy vmm_policy;		 /* the main thread */
extern const struct sandbox_policy vmm_vcpu_policy;	 /* each vCPU's thread */
extern const struct sandbox_policy vmm_soft_vcpu_policy; /* the same for the software CPU */

#endif
