/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has a disk and random numbers in use, then sleeps until the power button is pressed; before it says so
 * it starts all of them anew, so that what their processes have become is noticed.
 */
#include "tests/guest/lib/pci.h"

#define BLK_IN 0

static struct virtq disk, rng;
static struct {
	uint32_t type, reserved;
	uint64_t sector;
} header = { .type = BLK_IN };
static char data[512];
static uint8_t bytes[64];
static volatile uint8_t status = 0xff;

static void use_disk(void)
{
	struct virtio v;

	if (!virtio_find(VIRTIO_BLOCK, &v))
		return;
	disk = (struct virtq){ 0 };
	status = 0xff;
	check(virtio_begin(&v), "features of the disk");
	check(!v.config || read32(v.config) > 0, "sectors of the disk");
	virtio_run(&v, &disk, NO_VECTOR);
	disk.desc[0] = (struct virtq_desc){ (uint64_t)&header, sizeof(header), DESC_NEXT, 1 };
	disk.desc[1] =
		(struct virtq_desc){ (uint64_t)data, sizeof(data), DESC_NEXT | DESC_WRITE, 2 };
	disk.desc[2] = (struct virtq_desc){ (uint64_t)&status, 1, DESC_WRITE, 0 };
	virtq_submit(&v, &disk, 0);
	check(virtq_poll(&disk, 1) > 0 && status == 0, "a sector");
}

static void use_rng(void)
{
	struct virtio v;

	if (!virtio_find(VIRTIO_RNG, &v))
		return;
	rng = (struct virtq){ 0 };
	check(virtio_begin(&v), "features of the random numbers");
	virtio_run(&v, &rng, NO_VECTOR);
	rng.desc[0] = (struct virtq_desc){ (uint64_t)bytes, sizeof(bytes), DESC_WRITE, 0 };
	virtq_submit(&v, &rng, 0);
	check(virtq_poll(&rng, 1) > 0, "random bytes");
}

void guest_main(const struct pvh_info *info)
{
	(void)info;
	use_disk();
	use_rng();
	irq_init();
	ioapic_write(0x11 + 2 * GSI_GED, 0);
	ioapic_write(0x10 + 2 * GSI_GED, IRQ_VECTOR);
	print("waiting\n");
	irq_wait(0, 1);
	use_disk();
	use_rng();
	(void)inb(PORT_SERIAL); /* the byte that was received last: asked of the device's process */
	check_eq(inb(PORT_GED), GED_POWER_BUTTON, "power button");
}
