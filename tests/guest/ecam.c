/* SPDX-License-Identifier: Apache-2.0 */
/* PCI by ECAM: who is there, capabilities, a BAR's size, moving it, turning it off. */
#include "tests/guest/lib/pci.h"

#define MOVED 0xd0000000U

static void bridge(void)
{
	check_eq(read16(pci_at(0, PCI_CLASS + 2)), 0x0600, "a host bridge");
	check_eq(read8(pci_at(0, PCI_HEADER)), 0, "of type 0, one function");
	check_eq(read32(pci_at(0, PCI_ID) + 0x1000), PCI_NOBODY, "function 1 is nobody");
	check_eq(read32(pci_at(31, PCI_ID)), PCI_NOBODY, "slot 31 is nobody");
	check_eq(read32(pci_at(0, PCI_BAR0)), 0, "no BAR");
	write32(pci_at(0, PCI_ID), 0);
	write32(pci_at(0, PCI_BAR0), PCI_NOBODY);
	check_eq(read32(pci_at(0, PCI_BAR0)), 0, "still no BAR");
	check(read32(pci_at(0, PCI_ID)) != 0, "read-only id");
}

static void widths(unsigned int slot)
{
	uint32_t id = read32(pci_at(slot, PCI_ID));

	check_eq(read8(pci_at(slot, 1)), id >> 8 & 0xff, "byte of id");
	check_eq(read16(pci_at(slot, 2)), id >> 16, "word of id");
	/* may be split by the CPU or refused; never another device's bytes */
	read32(pci_at(slot, 0xfffe));
	write32(pci_at(slot, 0xfffe), PCI_NOBODY);
	read64(pci_at(slot, 0));
	check_eq(read32(pci_at(slot, 0x100)), 0, "no extended capabilities");
	check(read16(pci_at(slot, PCI_STATUS)) & 0x10, "capability list");
}

static void bar(struct virtio *v)
{
	uint64_t bar0 = pci_at(v->slot, PCI_BAR0), old = v->bar;
	uint8_t was = read8(v->common + COMMON_STATUS);
	uint32_t size;

	check(old >= PCI_MMIO32_START && old < PCI_MMIO32_START + PCI_MMIO32_SIZE,
	      "placed in the window");
	write16(pci_at(v->slot, PCI_COMMAND), 0);
	check_eq(read32(old), PCI_NOBODY, "not decoded when off");
	write32(bar0, PCI_NOBODY);
	size = ~(read32(bar0) & ~0xfU) + 1;
	check(size >= 0x1000 && !(size & (size - 1)), "a power of two");
	write32(bar0, MOVED + 0x10);
	check_eq(read32(bar0), MOVED, "aligned to its size");
	write16(pci_at(v->slot, PCI_COMMAND), COMMAND_MEMORY | COMMAND_MASTER);
	check_eq(read32(old), PCI_NOBODY, "gone from where it was");
	check_eq(read8(v->common - old + MOVED + COMMON_STATUS), was, "moved");
	check_eq(read32(MOVED + size), PCI_NOBODY, "nothing behind it");
	write32(bar0, (uint32_t)old);
	check_eq(read8(v->common + COMMON_STATUS), was, "moved back");
}

static void other_bars(unsigned int slot)
{
	bool none = true;

	for (unsigned int reg = PCI_BAR0 + 4; reg < PCI_BAR0 + 24; reg += 4) {
		write32(pci_at(slot, reg), PCI_NOBODY);
		none &= read32(pci_at(slot, reg)) == 0;
	}
	write32(pci_at(slot, 0x30), PCI_NOBODY);
	check(none && read32(pci_at(slot, 0x30)) == 0, "no other BAR, no ROM");
}

void guest_main(const struct pvh_info *info)
{
	struct virtio v;

	(void)info;
	bridge();
	if (!check(virtio_find(VIRTIO_RNG, &v), "virtio-rng"))
		return;
	check(v.common && v.notify && v.isr && v.msix_cap, "its capabilities");
	check_eq(read8(pci_at(v.slot, 0x08)) >= 1, 1, "modern revision");
	check_eq(read16(v.common + COMMON_NUM_QUEUES), 1, "one queue");
	widths(v.slot);
	bar(&v);
	other_bars(v.slot);
}
