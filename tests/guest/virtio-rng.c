/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng by looking at the ring, then by MSI-X to a CPU that sleeps; masked, pending, unmasked. */
#include "tests/guest/lib/pci.h"

#define N 64

static struct virtq q;
static uint8_t bytes[N];

static void submit(struct virtio *v)
{
	q.desc[0] = (struct virtq_desc){ (uint64_t)bytes, N, DESC_WRITE, 0 };
	virtq_submit(v, &q, 0);
}

static void polled(struct virtio *v)
{
	unsigned int zeroes = 0;
	int64_t len;

	check(virtio_begin(v), "features");
	virtio_run(v, &q, NO_VECTOR);
	submit(v);
	len = virtq_poll(&q, 1);
	check(len > 0 && len <= N, "bytes by polling");
	for (int64_t i = 0; i < len; i++)
		zeroes += bytes[i] == 0;
	check(zeroes < N / 4, "not zeroes");
}

/* Returns how many interrupts have come. */
static uint32_t settled(void)
{
	irq_settle();
	irq_settle();
	return irq_count(1);
}

static void pending(struct virtio *v)
{
	uint32_t before = settled();

	write32(v->msix_table + 16 + 12, 1);
	submit(v);
	check(virtq_poll(&q, 3) > 0, "bytes while masked");
	check_eq(settled() - before, 0, "no interrupt while masked");
	check_eq(read32(v->msix_pba) & 2, 2, "pending");
	write32(v->msix_table + 16 + 12, 0);
	irq_wait(1, before + 1);
	check_eq(read32(v->msix_pba) & 2, 0, "delivered when unmasked");
}

/* What the ring did before MSI-X was on may still come as one interrupt. */
static void interrupts(struct virtio *v)
{
	uint32_t before;

	irq_init();
	check(virtio_begin(v), "features again");
	msix_enable(v, 2);
	virtio_run(v, &q, 1);
	check_eq(read16(v->common + COMMON_Q_VECTOR), 1, "vector");
	before = settled();
	check(before <= 1, "at most one left over");
	submit(v);
	irq_wait(1, before + 1);
	check(virtq_poll(&q, 1) > 0, "bytes by interrupt");
	submit(v);
	irq_wait(1, before + 2);
	check(virtq_poll(&q, 2) > 0, "more");
	check_eq(settled(), before + 2, "one interrupt each");
	pending(v);
	check_eq(irq_count(0), 0, "no other vector");
}

void guest_main(const struct pvh_info *info)
{
	struct virtio v;

	(void)info;
	if (!check(virtio_find(VIRTIO_RNG, &v), "virtio-rng"))
		return;
	polled(&v);
	interrupts(&v);
	write8(v.common + COMMON_STATUS, 0);
	check_eq(read8(v.common + COMMON_STATUS), 0, "reset");
}
