/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI functions that come and go while the guest runs: the slots from HOTPLUG_FIRST_SLOT up, and the registers
 * behind the DSDT's methods (boot/acpi_hotplug.c). Machine lock held.
 *
 *	offset  bytes  read                                   write
 *	0       4      slots with something new; clears it    -
 *	4       4      slots to let go of; clears it          -
 *	8       4      0                                      lets go of these slots (_EJ0)
 *
 * A bit stands for the slot of its number. Accesses of another width or between the registers read 0 and
 * write nothing. The guest is told of the first two by the GED.
 */
#ifndef BULKHEAD_VMM_PCI_HOTPLUG_H
#define BULKHEAD_VMM_PCI_HOTPLUG_H

#include "cmd/vmm/args.h"
#include "cmd/vmm/machine.h"
#include "cmd/vmm/pci/function.h"

enum hotplug_state {
	HOTPLUG_EMPTY = 1 << 0,
	HOTPLUG_PLUGGED = 1 << 1,
	HOTPLUG_ASKED = 1 << 2,	  /* the guest is to let go of it */
	HOTPLUG_EJECTED = 1 << 3, /* it has; the main thread has not ended it yet */
};

struct hotplug_slot {
	enum hotplug_state state;
	struct vmm_virtio device;     /* what is in it */
	unsigned int channel;	      /* to its process, as the supervisor counts */
	struct pci_function *ejected; /* off the bus */
};

struct hotplug {
	struct machine *m;
	/* Says that a slot is empty again; main thread. */
	void (*gone)(void *owner, unsigned int slot);
	void *owner;
	struct loop_source ejects; /* an eventfd: there is something to end */
	uint32_t up, down;	   /* bits of slots, as the registers have them */
	struct hotplug_slot slots[HOTPLUG_SLOTS];
};

/* Claims the ports. */
[[nodiscard]] int hotplug_open(struct machine *m, struct hotplug **ret);
/* Who is told that a slot is empty again. */
void hotplug_tell(struct hotplug *h, void (*gone)(void *owner, unsigned int slot), void *owner);

/* Main thread, all of these. A virtio device (pci.h) into a free slot: its number, or -ENOSPC or the like with
 * *ret_why for the user. sock is owned from now on. */
[[nodiscard]] int hotplug_add(struct hotplug *h, const struct vmm_virtio *device,
			      unsigned int channel, int sock, const char **ret_why);
/* Asks the guest to let go of a slot, as often as wanted. What is not there has gone by itself. */
void hotplug_ask(struct hotplug *h, unsigned int slot);
/* Before the guest is reset; its vCPUs stand still. It has let go of what it was asked for, the rest stays. */
void hotplug_settle(struct hotplug *h);

/* hotplug_state.c: object: struct hotplug. */
extern const struct state_ops hotplug_state;

#endif
