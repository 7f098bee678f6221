/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UART's ports, carried to dev-console by vfio-user. Writes are posted; registers that the
 * server shares by a page are read from it; others cost a round trip. The server is HOSTILE: what
 * breaks the protocol ends the VM with a clear line.
 * While it is away, accesses wait: remote.h.
 */
#ifndef BULKHEAD_VMM_PLATFORM_SERIAL_H
#define BULKHEAD_VMM_PLATFORM_SERIAL_H

#include "cmd/vmm/machine.h"

struct serial;

/* Handshake on sock (owned from now on), claims the ports, and routes the device's interrupt
 * eventfd to GSI_SERIAL through the main loop. */
[[nodiscard]] int serial_open(struct machine *m, int sock, struct serial **ret,
			      const char **ret_why);
/* As remote_reconnect. */
[[nodiscard]] int serial_reconnect(struct serial *s, int sock, const char **ret_why);
/* With its machine, whose loop is still there. */
void serial_close(struct serial *s);
/* Sends what was posted and still waits: before the guest's last event is told. */
void serial_flush(struct serial *s);

#endif
