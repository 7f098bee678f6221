/* SPDX-License-Identifier: Apache-2.0 */
/* As many disks as there may be: finds all, as functions of slots, in their order, and the size of each. */
#include "tests/guest/lib/pci.h"

#define SLOTS 32
#define FUNCTIONS 8
#define HEADER_MANY 0x80
#define BLOCK_ID (0x1af4U | (0x1040U + VIRTIO_BLOCK) << 16)
#define CFG_DEVICE 4
#define CAPS_MOST 48

static uint64_t at(unsigned int slot, unsigned int fn, unsigned int reg)
{
	return pci_at(slot, fn << 12 | reg);
}

/* Where the device's own registers are. */
static uint64_t config_of(unsigned int slot, unsigned int fn)
{
	uint64_t bar = read32(at(slot, fn, PCI_BAR0)) & ~0xfU;
	unsigned int cap = read8(at(slot, fn, PCI_CAPS));

	for (unsigned int i = 0; cap && i < CAPS_MOST; i++) {
		if (read8(at(slot, fn, cap)) == PCI_CAP_VENDOR &&
		    read8(at(slot, fn, cap + 3)) == CFG_DEVICE)
			return bar + read32(at(slot, fn, cap + 8));
		cap = read8(at(slot, fn, cap + 1));
	}
	return 0;
}

void guest_main(const struct pvh_info *info)
{
	unsigned int n = 0;

	(void)info;
	for (unsigned int slot = 0; slot < SLOTS; slot++) {
		bool many = read8(at(slot, 0, PCI_HEADER)) == HEADER_MANY;

		for (unsigned int fn = 0; fn < (many ? FUNCTIONS : 1); fn++) {
			if (read32(at(slot, fn, PCI_ID)) != BLOCK_ID)
				continue;
			check_eq(read32(config_of(slot, fn)), ++n, "sectors");
		}
	}
	say_dec("disks", n);
}
