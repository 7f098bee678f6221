/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has a device serve, resets it when the power button has been pressed, and has it serve anew. Meanwhile the
 * test may end the device's process in the middle of the exchange that the reset is.
 */
#include "tests/guest/lib/pci.h"

static struct virtq q;
static uint8_t bytes[64];

static void serve(struct virtio *v)
{
	check(virtio_begin(v), "features");
	virtio_run(v, &q, NO_VECTOR);
	q.desc[0] = (struct virtq_desc){ (uint64_t)bytes, sizeof(bytes), DESC_WRITE, 0 };
	virtq_submit(v, &q, 0);
	while (virtq_poll(&q, 1) <= 0)
		; /* the test bounds it */
	print("served\n");
}

void guest_main(const struct pvh_info *info)
{
	struct virtio v;

	(void)info;
	if (!check(virtio_find(VIRTIO_RNG, &v), "random numbers"))
		return;
	serve(&v);
	irq_init();
	ioapic_write(0x11 + 2 * GSI_GED, 0);
	ioapic_write(0x10 + 2 * GSI_GED, IRQ_VECTOR);
	print("ready\n");
	irq_wait(0, 1);
	serve(&v);
}
