/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queue registers and notifications that no driver writes: queues that are not there, sizes changed
 * while the queue runs, rings outside RAM. (Cases of the kind of CVE-2011-2512 and CVE-2026-5747.)
 */
#include "tests/guest/lib/pci.h"

#define N 32

static struct virtq q;
static uint8_t bytes[N];

static bool works(struct virtio *v)
{
	uint16_t before;

	if (!virtio_begin(v))
		return false;
	virtio_run(v, &q, NO_VECTOR);
	before = q.used.idx;
	q.desc[0] = (struct virtq_desc){ (uint64_t)bytes, N, DESC_WRITE, 0 };
	virtq_submit(v, &q, 0);
	return virtq_poll(&q, before + 1) > 0;
}

static void notify_nobody(struct virtio *v)
{
	static const uint32_t numbers[] = { 1,	    63,		64,	    0x7fff,    0x8000,
					    0xffff, 0x7fffffff, 0x80000000, 0xffffffff };

	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		write16(v->notify, (uint16_t)numbers[i]);
		write32(v->notify, numbers[i]);
	}
	for (unsigned int at = 0; at < 0x1000; at += 252)
		write16(v->notify + at, (uint16_t)at);
	write8(v->notify, 1);
	write64(v->notify, UINT64_MAX);
	write32(v->notify + 0xffd, 1); /* out of its page */
	check(works(v), "lives through notifications");
}

static void select_nobody(struct virtio *v)
{
	static const uint16_t queues[] = { 1, 2, 63, 64, 0x7fff, 0x8000, 0xffff };
	bool nothing = true;

	for (unsigned int i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		write16(v->common + COMMON_Q_SELECT, queues[i]);
		write16(v->common + COMMON_Q_SIZE, 8);
		write32(v->common + COMMON_Q_DESC, 0x1000);
		write16(v->common + COMMON_Q_VECTOR, 0);
		write16(v->common + COMMON_Q_ENABLE, 1);
		nothing &= read16(v->common + COMMON_Q_SIZE) == 0;
		nothing &= read16(v->common + COMMON_Q_ENABLE) == 0;
	}
	check(nothing, "no such queue");
	check(works(v), "lives through queue_select");
}

static void change_while_running(struct virtio *v)
{
	check(works(v), "runs");
	write16(v->common + COMMON_Q_SELECT, 0);
	write16(v->common + COMMON_Q_SIZE, 256);
	check_eq(read16(v->common + COMMON_Q_SIZE), RING, "size is frozen");
	write32(v->common + COMMON_Q_DESC, 0x1000);
	check_eq(read32(v->common + COMMON_Q_DESC), (uint32_t)(uint64_t)q.desc,
		 "address is frozen");
	write16(v->common + COMMON_Q_ENABLE, 0);
	check_eq(read16(v->common + COMMON_Q_ENABLE), 1, "enabled is frozen");
	write32(v->common + COMMON_GF_SELECT, 0);
	write32(v->common + COMMON_GF, UINT32_MAX);
	check_eq(read32(v->common + COMMON_GF), 0, "features are frozen");
	virtq_submit(v, &q, 0);
	check(virtq_poll(&q, 2) > 0, "runs on");
}

static void sizes(struct virtio *v)
{
	static const uint16_t bad[] = { 0, 3, 257, 512, 0x7fff, 0x8000, 0xffff };
	bool kept = true;
	uint16_t size;

	virtio_begin(v);
	write16(v->common + COMMON_Q_SELECT, 0);
	size = read16(v->common + COMMON_Q_SIZE);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write16(v->common + COMMON_Q_SIZE, bad[i]);
		kept &= read16(v->common + COMMON_Q_SIZE) == size;
	}
	check(kept, "sizes that are none");
}

/* The device asks for a reset, or does nothing; it never reaches outside RAM. */
static void rings_outside(struct virtio *v)
{
	static const uint64_t places[] = {
		MIB(64),       GIB(3),	   PCI_MMIO32_START,	 LAPIC_START,
		GIB(4) - 4096, 1ULL << 52, UINT64_MAX & ~4095ULL
	};

	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		for (unsigned int reg = COMMON_Q_DESC; reg <= COMMON_Q_DEVICE; reg += 8) {
			virtio_begin(v);
			write16(v->common + COMMON_Q_SELECT, 0);
			write32(v->common + COMMON_Q_DESC, 0x10000);
			write32(v->common + COMMON_Q_DRIVER, 0x20000);
			write32(v->common + COMMON_Q_DEVICE, 0x30000);
			write32(v->common + reg, (uint32_t)places[i]);
			write32(v->common + reg + 4, (uint32_t)(places[i] >> 32));
			write16(v->common + COMMON_Q_ENABLE, 1);
			write8(v->common + COMMON_STATUS, 0x0f);
			write16(v->notify, 0);
		}
	}
	check(read8(v->common + COMMON_STATUS) & STATUS_NEEDS_RESET, "needs a reset");
	check(works(v), "works after it");
}

/* Buffers where there is no RAM; the back end may stop, the machine may not. */
static void buffers_outside(struct virtio *v)
{
	check(works(v), "works");
	q.desc[0] = (struct virtq_desc){ PCI_MMIO32_START, N, DESC_WRITE, 0 };
	q.desc[1] = (struct virtq_desc){ MIB(64) - 1, UINT32_MAX, DESC_WRITE | DESC_NEXT, 1 };
	virtq_submit(v, &q, 0);
	virtq_submit(v, &q, 1);
	virtq_submit(v, &q, 0xffff);
	irq_settle();
	check(works(v), "works after bad buffers");
}

void guest_main(const struct pvh_info *info)
{
	struct virtio v;

	(void)info;
	if (!check(virtio_find(VIRTIO_RNG, &v), "virtio-rng"))
		return;
	notify_nobody(&v);
	select_nobody(&v);
	change_while_running(&v);
	sizes(&v);
	rings_outside(&v);
	buffers_outside(&v);
}
