/* SPDX-License-Identifier: Apache-2.0 */
/* A VM that stands still until its supervisor says otherwise. Main thread, lock held. */
#ifndef BULKHEAD_VMM_PAUSE_H
#define BULKHEAD_VMM_PAUSE_H

#include "cmd/vmm/machine.h"

/*
 * No vCPU runs, and if all is said no device has a ring, but one whose process is away: its requests in flight are its
 * successor's. What the guest has asked for meanwhile waits (m->request). 0; -EBADMSG: it stands still
 * already; another negative errno: a device did not stop.
 */
[[nodiscard]] int machine_pause(struct machine *m, bool all);
/* All goes on, but for the vCPUs if the guest has asked for something. 0; -EBADMSG: it does not stand still;
 * another negative errno: a device did not go on. */
[[nodiscard]] int machine_continue(struct machine *m);

#endif
