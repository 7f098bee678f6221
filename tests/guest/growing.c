/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes to its disk without a rest, on one and the same ring, until the power button is pressed. When it is
 * told that the disk's configuration has changed, it says the capacity, and writes and reads the last sector.
 */
#include "tests/guest/lib/pci.h"

#define SECTOR 512
#define BLK_IN 0
#define BLK_OUT 1
#define BLK_OK 0
#define BLK_ERROR 1
#define ISR_CONFIG 2

static struct virtq q;
static struct {
	uint32_t type, reserved;
	uint64_t sector;
} header;
static uint8_t data[SECTOR];
static volatile uint8_t status;
static uint16_t done;

static unsigned int request(struct virtio *v, uint32_t type, uint64_t sector)
{
	const uint16_t write = type == BLK_IN ? DESC_WRITE : 0;

	header.type = type;
	header.sector = sector;
	status = 0xff;
	q.desc[0] = (struct virtq_desc){ (uint64_t)&header, sizeof(header), DESC_NEXT, 1 };
	q.desc[1] = (struct virtq_desc){ (uint64_t)data, SECTOR, DESC_NEXT | write, 2 };
	q.desc[2] = (struct virtq_desc){ (uint64_t)&status, 1, DESC_WRITE, 0 };
	virtq_submit(v, &q, 0);
	done++;
	while (virtq_poll(&q, done) < 0) /* its process may be away */
		;
	return status;
}

static uint64_t sectors(const struct virtio *v)
{
	return read32(v->config) | (uint64_t)read32(v->config + 4) << 32;
}

static void look(struct virtio *v)
{
	const uint64_t n = sectors(v);

	memset(data, 0xa5, SECTOR);
	check_eq(request(v, BLK_OUT, n - 1), BLK_OK, "the last sector, written");
	memset(data, 0, SECTOR);
	check_eq(request(v, BLK_IN, n - 1), BLK_OK, "the last sector, read");
	check_eq(data[SECTOR - 1], 0xa5, "what was written");
	check(request(v, BLK_OUT, n) == BLK_ERROR || sectors(v) > n, "past the end");
	say_dec("sectors", n);
}

void guest_main(const struct pvh_info *info)
{
	struct virtio v;

	(void)info;
	if (!check(virtio_find(VIRTIO_BLOCK, &v) && virtio_begin(&v), "virtio-blk"))
		return;
	virtio_run(&v, &q, NO_VECTOR);
	look(&v);
	print("waiting\n");
	while (!inb(PORT_GED)) {
		if (request(&v, BLK_OUT, 1) != BLK_OK)
			print("FAILED a write\n");
		if (read8(v.isr) & ISR_CONFIG)
			look(&v);
	}
	check(read8(v.common + COMMON_STATUS) == 15, "no reset was needed");
}
