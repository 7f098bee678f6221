/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resets while reads of its disk are in flight, once: the disk's first byte, which it sets, says whether it
 * has. Then it powers off.
 */
#include "tests/guest/lib/pci.h"

#define SECTOR 512
#define LARGE MIB(4)
#define FROM 2048ULL /* sector */
#define AT MIB(16)
#define N 2

static struct virtq q;
static struct header {
	uint32_t type, reserved;
	uint64_t sector;
} headers[N];
static uint8_t first[SECTOR];
static volatile uint8_t status[N];
static uint16_t done;

static void submit(struct virtio *v, unsigned int i, uint32_t type, uint64_t sector, uint64_t at,
		   uint32_t len)
{
	uint16_t head = (uint16_t)(i * 3);

	headers[i] = (struct header){ type, 0, sector };
	q.desc[head] = (struct virtq_desc){ (uint64_t)&headers[i], sizeof(headers[i]), DESC_NEXT,
					    (uint16_t)(head + 1) };
	q.desc[head + 1] = (struct virtq_desc){ at, len, DESC_NEXT | (type ? 0 : DESC_WRITE),
						(uint16_t)(head + 2) };
	q.desc[head + 2] = (struct virtq_desc){ (uint64_t)&status[i], 1, DESC_WRITE, 0 };
	virtq_submit(v, &q, head);
}

/* The first sector, which the host may take its time over. */
static void transfer_first(struct virtio *v, uint32_t type)
{
	submit(v, 0, type, 0, (uint64_t)first, SECTOR);
	done++;
	while (virtq_poll(&q, done) < 0)
		;
	check(status[0] == 0, type ? "written" : "read");
}

void guest_main(const struct pvh_info *info)
{
	struct virtio v;

	(void)info;
	if (!check(virtio_find(VIRTIO_BLOCK, &v), "a disk"))
		return;
	check(virtio_begin(&v), "features");
	virtio_run(&v, &q, NO_VECTOR);
	transfer_first(&v, 0);
	if (first[0] == 1)
		return;
	first[0] = 1;
	transfer_first(&v, 1);
	for (unsigned int i = 0; i < N; i++)
		submit(&v, i, 0, FROM + i * LARGE / SECTOR, AT + i * LARGE, LARGE);
	print("resets\n");
	outb(PORT_RESET, RESET_VALUE);
	halt();
}
