/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk: sector 0 read and printed, copied to sector 1; a sector past the end is refused. */
#include "tests/guest/lib/pci.h"

#define SECTOR 512
#define BLK_IN 0
#define BLK_OUT 1
#define BLK_OK 0
#define BLK_ERROR 1

static struct virtq q;
static struct {
	uint32_t type, reserved;
	uint64_t sector;
} header;
static char data[SECTOR + 1];
static volatile uint8_t status;
static uint16_t done;

/* The status byte, or -1 when nothing comes back. */
static int request(struct virtio *v, uint32_t type, uint64_t sector)
{
	const uint16_t write = type == BLK_IN ? DESC_WRITE : 0;

	header.type = type;
	header.sector = sector;
	status = 0xff;
	q.desc[0] = (struct virtq_desc){ (uint64_t)&header, sizeof(header), DESC_NEXT, 1 };
	q.desc[1] = (struct virtq_desc){ (uint64_t)data, SECTOR, DESC_NEXT | write, 2 };
	q.desc[2] = (struct virtq_desc){ (uint64_t)&status, 1, DESC_WRITE, 0 };
	virtq_submit(v, &q, 0);
	return virtq_poll(&q, ++done) < 0 ? -1 : status;
}

void guest_main(const struct pvh_info *info)
{
	struct virtio v;
	uint64_t sectors;

	(void)info;
	if (!check(virtio_find(VIRTIO_BLOCK, &v), "virtio-blk"))
		return;
	sectors = read32(v.config) | (uint64_t)read32(v.config + 4) << 32;
	say_dec("sectors", sectors);
	check(virtio_begin(&v), "features");
	virtio_run(&v, &q, NO_VECTOR);
	check_eq((uint64_t)request(&v, BLK_IN, 0), BLK_OK, "read");
	print("sector 0: ");
	print(data);
	print("\n");
	check_eq((uint64_t)request(&v, BLK_OUT, 1), BLK_OK, "write");
	check_eq((uint64_t)request(&v, BLK_IN, sectors), BLK_ERROR, "past the end");
	check_eq((uint64_t)request(&v, BLK_IN, UINT64_MAX), BLK_ERROR, "far past the end");
	check_eq((uint64_t)request(&v, BLK_IN, sectors - 1), BLK_OK, "the last sector");
}
