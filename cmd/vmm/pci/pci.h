/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI host: one bus, ECAM (PCIe base specification 7.2.2) and configuration mechanism #1, a host
 * bridge at 00:00.0 and devices from 00:01.0 on: one per slot up to PCI_SLOTS_USED, and several functions
 * per slot beyond, so that slots are left for devices that come later. Machine lock held.
 */
#ifndef BULKHEAD_VMM_PCI_PCI_H
#define BULKHEAD_VMM_PCI_PCI_H

#include "cmd/vmm/args.h"
#include "cmd/vmm/machine.h"

#define PCI_FUNCTIONS 256 /* of a bus: 32 slots of 8 */
#define PCI_SLOT_FUNCTIONS 8
#define PCI_SLOTS_USED 16
#define PCI_DEVICES_MAX (PCI_SLOTS_USED * PCI_SLOT_FUNCTIONS)

/* Makes the host bridge and claims the ECAM range of m->mmio. It is an object of the machine, and so is
 * each function: with machine_reset, BARs are as firmware left them, decoding on. */
[[nodiscard]] int pci_host_open(struct machine *m, struct pci_host **ret);

/* So many devices will be added: their order on the bus is that in which they are added. */
void pci_host_expect(struct pci_host *host, unsigned int n_devices);

/* Among those that are there from the start. */
/* Where the i-th of n devices that are there at the start is, in a machine that boots firmware. */
void pci_firmware_place(unsigned int n_devices, unsigned int i, unsigned int *ret_slot,
			unsigned int *ret_function);

#define PCI_SLOT_COLD (-1)

/*
 * At a reset virtio devices stop their rings and wait until the back end has let go of guest RAM.
 *
 * Adds a virtio device, in a slot that hotplug.h gave or in the next one that is there from the start
 * (PCI_SLOT_COLD), whose back end speaks vhost-user on sock (owned from now on).
 * type must last as long as the device. Does the handshake: features, protocol features, queue count,
 * configuration space; without the lock, as it can take its time. The back end is HOSTILE. -EPROTO and the
 * like with *ret_why for the user.
 */
[[nodiscard]] int virtio_pci_add(struct machine *m, const struct virtio_type *type,
				 unsigned int channel, int sock, int slot, const char **ret_why);

#endif
