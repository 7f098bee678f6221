/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities and MSI-X; see pci.h. PCI local bus specification 3.0, 6.7 and 6.8.2. */
#include "tests/guest/lib/pci.h"

#define CAPS_MOST 48

unsigned int pci_cap(unsigned int slot, unsigned int id, unsigned int after)
{
	unsigned int at = read8(pci_at(slot, after ? after + 1 : PCI_CAPS));

	for (unsigned int i = 0; at && i < CAPS_MOST; i++) {
		if (read8(pci_at(slot, at)) == id)
			return at;
		at = read8(pci_at(slot, at + 1));
	}
	return 0;
}

void msix_enable(struct virtio *v, unsigned int vectors)
{
	uint64_t control = pci_at(v->slot, v->msix_cap + 2);

	for (unsigned int i = 0; i < vectors; i++) {
		write32(v->msix_table + 16 * i, LAPIC_START);
		write32(v->msix_table + 16 * i + 4, 0);
		write32(v->msix_table + 16 * i + 8, IRQ_VECTOR + i);
		write32(v->msix_table + 16 * i + 12, 0);
	}
	write16(control, read16(control) | 0x8000);
}
