/* SPDX-License-Identifier: Apache-2.0 */
/* The flash memory of firmware's variables (lib/fwcfg/flash.h): what the guest writes there, carried to dev-flash; remote.h
 * says how. What it reads there is memory (boot/firmware.h). */
#ifndef BULKHEAD_VMM_PLATFORM_FLASH_H
#define BULKHEAD_VMM_PLATFORM_FLASH_H

#include "cmd/vmm/machine.h"

struct flash;

/* Handshake on sock (owned from now on), resets the device, and claims where m->firmware has it. */
[[nodiscard]] int flash_open(struct machine *m, unsigned int channel, int sock, struct flash **ret,
			     const char **ret_why);
/* As remote_reconnect. */
[[nodiscard]] int flash_reconnect(struct flash *f, int sock, const char **ret_why);
/* With its machine, whose loop is still there. */
void flash_close(struct flash *f);

#endif
