/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks for random numbers without a rest until the power button is pressed, on one and the same ring: whatever
 * becomes of the device's process meanwhile, each request is answered once.
 */
#include "tests/guest/lib/pci.h"

static struct virtq rng;
static uint8_t bytes[64];

void guest_main(const struct pvh_info *info)
{
	uint16_t n = 0;
	struct virtio v;

	(void)info;
	check(virtio_find(VIRTIO_RNG, &v) && virtio_begin(&v), "random numbers");
	virtio_run(&v, &rng, NO_VECTOR);
	rng.desc[0] = (struct virtq_desc){ (uint64_t)bytes, sizeof(bytes), DESC_WRITE, 0 };
	do {
		virtq_submit(&v, &rng, 0);
		n++;
		while (virtq_poll(&rng, n) < 0)
			;
		if (n == 1)
			print("waiting\n");
	} while (!inb(PORT_GED));
	check_eq(rng.used.idx, n, "each request answered");
	check(read8(v.common + COMMON_STATUS) == 15, "no reset was needed");
}
