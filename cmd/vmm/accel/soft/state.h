/* SPDX-License-Identifier: Apache-2.0 */
/* A soft vCPU as a row of the state contract. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_STATE_H
#define BULKHEAD_VMM_ACCEL_SOFT_STATE_H

#include "lib/state/state.h"

/*
 * Object: a struct soft_cpu that is not within soft_vcpu_loop; reset also needs its own thread. To
 * power-on, where the first vCPU has no kernel yet and others wait for SIPI. The guest's time stands
 * still between save and load; the first vCPU brings the machine's clock, and so is loaded first.
 */
extern const struct state_ops soft_vcpu_state;

#endif
