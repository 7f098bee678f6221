/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifies a device, when the power button has been pressed, in both ways that there are; resets if that
 * has not been heard of. Meanwhile the test may do to the device's eventfd what a hostile one would.
 */
#include "tests/guest/lib/pci.h"

#define CAP_WINDOW 5 /* 4.1.4.9: a BAR's registers through configuration space */
#define CAP_OFFSET 8
#define CAP_LENGTH 12
#define CAP_DATA 16

static struct virtq q;
static uint8_t bytes[64];

static unsigned int window_of(const struct virtio *v)
{
	unsigned int cap = 0;

	do
		cap = pci_cap(v->slot, PCI_CAP_VENDOR, cap);
	while (cap && read8(pci_at(v->slot, cap + 3)) != CAP_WINDOW);
	return cap;
}

static void notify_through_window(struct virtio *v)
{
	unsigned int cap = window_of(v);

	check(cap != 0, "a window");
	write32(pci_at(v->slot, cap + CAP_OFFSET), (uint32_t)(virtio_notify_at(v, 0) - v->bar));
	write32(pci_at(v->slot, cap + CAP_LENGTH), 2);
	write16(pci_at(v->slot, cap + CAP_DATA), 0);
}

static void submit(struct virtio *v)
{
	q.desc[0] = (struct virtq_desc){ (uint64_t)bytes, sizeof(bytes), DESC_WRITE, 0 };
	virtq_submit(v, &q, 0);
}

void guest_main(const struct pvh_info *info)
{
	struct virtio v;

	(void)info;
	if (!check(virtio_find(VIRTIO_RNG, &v), "random numbers"))
		return;
	check(virtio_begin(&v), "features");
	virtio_run(&v, &q, NO_VECTOR);
	submit(&v);
	check(virtq_poll(&q, 1) > 0, "served");
	irq_init();
	ioapic_write(0x11 + 2 * GSI_GED, 0);
	ioapic_write(0x10 + 2 * GSI_GED, IRQ_VECTOR);
	print("ready\n");
	irq_wait(0, 1);
	submit(&v);
	print("notified\n");
	notify_through_window(&v);
	print("notified again\n");
	if (virtq_poll(&q, 2) > 0)
		return;
	print("resets\n");
	outb(PORT_RESET, RESET_VALUE);
	halt();
}
