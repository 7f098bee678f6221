/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BARs put where they must not be: over RAM, each other, the IOAPIC, the ECAM, across 4 GiB; accesses
 * across registers and across a BAR's end. (Cases of the kind of CVE-2018-16847.)
 */
#include "tests/guest/lib/pci.h"

#define BAR_PAGES 8

static void put(const struct virtio *v, uint32_t at)
{
	write32(pci_at(v->slot, PCI_BAR0), at);
}

static void over_others(const struct virtio *v)
{
	static const uint32_t places[] = { 0,	       0x100000,   0x2000000,
					   0xbfff8000, 0xe0000000, 0xe8000000,
					   0xfec00000, 0xfee00000, 0xffff8000 };
	volatile uint32_t *ram = (volatile uint32_t *)0x2000000;
	uint32_t version, id;

	*ram = 0x600df00d;
	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		put(v, places[i]);
		read32(places[i]);
	}
	put(v, 0x2000000);
	check_eq(*ram, 0x600df00d, "RAM stays RAM");
	put(v, 0xfec00000);
	version = ioapic_read(1);
	check_eq(version & 0xff, 0x20, "the IOAPIC stays");
	put(v, 0xfee00000);
	id = lapic_read(0x20);
	check_eq(id >> 24, 0, "the LAPIC stays");
	put(v, 0xe8000000);
	check_eq(read32(pci_at(0, PCI_ID)), 0x00081b36, "the ECAM stays");
	put(v, (uint32_t)v->bar);
}

static void over_each_other(const struct virtio *a, const struct virtio *b)
{
	const struct virtio *low = a->slot < b->slot ? a : b, *high = low == a ? b : a;
	uint64_t num_queues = high->common + COMMON_NUM_QUEUES;
	uint16_t own = read16(num_queues), others = read16(low->common + COMMON_NUM_QUEUES);

	put(high, (uint32_t)low->bar);
	check_eq(read16(low->common + COMMON_NUM_QUEUES), others, "one of two at one place");
	check_eq(read16(num_queues), 0xffff, "the other is nowhere");
	put(low, 0xd8000000);
	check_eq(read16(low->common + COMMON_NUM_QUEUES), own, "and comes up when it is free");
	put(low, (uint32_t)low->bar);
	put(high, (uint32_t)high->bar);
	check_eq(read16(num_queues), own, "both where they were");
}

static void across(const struct virtio *v)
{
	uint64_t end = v->bar + BAR_PAGES * 0x1000;

	for (uint64_t page = v->bar; page <= end; page += 0x1000) {
		for (unsigned int back = 1; back < 8; back++) {
			read16(page - 1);
			read32(page - back);
			read64(page - back);
			write32(page - back, 0);
			write64(page - back, 0);
		}
	}
	for (unsigned int at = 0; at < 0x40; at++) {
		read64(v->common + at);
		read16(v->common + at);
		write64(v->common + at, 0);
	}
	check(true, "across registers");
	check_eq(read32(end), PCI_NOBODY, "nothing behind");
}

void guest_main(const struct pvh_info *info)
{
	struct virtio rng, console;

	(void)info;
	if (!check(virtio_find(VIRTIO_RNG, &rng) && virtio_find(VIRTIO_CONSOLE, &console),
		   "two devices"))
		return;
	over_others(&rng);
	over_each_other(&rng, &console);
	across(&rng);
	check(virtio_begin(&rng), "works after it");
}
