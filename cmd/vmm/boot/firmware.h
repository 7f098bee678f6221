/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firmware in a kernel's place: HOSTILE bytes that nobody here reads. They are what the guest finds just
 * below 4 GiB, where its first instruction is: memory of its own, outside guest RAM, that the guest cannot
 * change. Nothing else is in RAM but a copy of its end below 1 MiB, as on a PC.
 */
#ifndef BULKHEAD_VMM_BOOT_FIRMWARE_H
#define BULKHEAD_VMM_BOOT_FIRMWARE_H

#include "cmd/vmm/machine.h"

/* Before the sandbox, behind machine_add_ram: room for so many bytes, which the accelerator shows to the
 * guest; 0: none. */
[[nodiscard]] int firmware_add(struct machine *m, uint64_t size);

/* Likewise, directly below it: size bytes of the file fd, which becomes the machine's and is closed. Another process writes
 * them, and the guest reads and runs them; its writes are accesses to the bus there. 0: nothing. */
[[nodiscard]] int firmware_add_flash(struct machine *m, uint64_t size, int fd);

/*
 * What power-on finds; RAM must be zero. The file is read once, so that a reset has what power-on had. 0, or
 * a negative errno and in *ret_why a line for the user.
 */
[[nodiscard]] int firmware_load(struct machine *m, int fd, const char **ret_why);

#endif
