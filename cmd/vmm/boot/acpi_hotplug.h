/* SPDX-License-Identifier: Apache-2.0 */
/* The slots in which PCI devices come and go, as AML: pci/hotplug.h has the registers behind it. */
#ifndef BULKHEAD_VMM_BOOT_ACPI_HOTPLUG_H
#define BULKHEAD_VMM_BOOT_ACPI_HOTPLUG_H

#include "lib/base/bytes.h"

/* Within the PCI host's device: registers, slots, and the method that tells who has come or is to go. */
void acpi_hotplug_slots(struct bytes_writer *w);
/* Calls that method, from the GED. */
void acpi_hotplug_call(struct bytes_writer *w);

#endif
