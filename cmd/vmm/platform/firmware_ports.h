/* SPDX-License-Identifier: Apache-2.0 */
/* The ports of what a PC's firmware needs (lib/fwcfg), carried to dev-firmware; remote.h says how. A string
 * instruction's bytes of an item cross together, as many as a message takes. */
#ifndef BULKHEAD_VMM_PLATFORM_FIRMWARE_PORTS_H
#define BULKHEAD_VMM_PLATFORM_FIRMWARE_PORTS_H

#include "cmd/vmm/machine.h"

struct firmware_ports;

/* Handshake on sock (owned from now on), resets the device, and claims the ports. */
[[nodiscard]] int firmware_ports_open(struct machine *m, unsigned int channel, int sock,
				      struct firmware_ports **ret, const char **ret_why);
/* As remote_reconnect. */
[[nodiscard]] int firmware_ports_reconnect(struct firmware_ports *r, int sock,
					   const char **ret_why);
/* With its machine, whose loop is still there. */
void firmware_ports_close(struct firmware_ports *r);

#endif
