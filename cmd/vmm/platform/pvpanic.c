/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvpanic: one port by which a guest says that its kernel panicked. QEMU docs/specs/pvpanic.rst.
 */
#include "cmd/vmm/machine.h"

#define PVPANIC_PANICKED 0x01

static uint64_t pvpanic_read(void *owner, uint64_t offset, unsigned int width)
{
	(void)owner;
	(void)offset;
	(void)width;
	return PVPANIC_PANICKED; /* the events that are understood */
}

static void pvpanic_write(void *owner, uint64_t offset, unsigned int width, uint64_t value)
{
	struct machine *m = owner;

	(void)offset;
	if (width == 1 && (value & PVPANIC_PANICKED))
		machine_request(m, MACHINE_PANIC);
}

static const struct bus_ops pvpanic_ops = { .read = pvpanic_read, .write = pvpanic_write };

int pvpanic_open(struct machine *m)
{
	return bus_add(&m->pio, &(struct bus_range){ PORT_PVPANIC, 1, &pvpanic_ops, m });
}
