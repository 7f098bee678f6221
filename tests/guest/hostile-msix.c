/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MSI-X table by wrong widths and offsets, messages to nowhere, vectors that are not there. (Cases
 * of the kind of CVE-2020-13754.)
 */
#include "tests/guest/lib/pci.h"

#define N 32

static struct virtq q;
static uint8_t bytes[N];

static void widths(struct virtio *v)
{
	uint64_t entry = v->msix_table;

	write32(entry + 8, 0x11223344);
	write8(entry + 8, 0xff);
	write16(entry + 8, 0xffff);
	write16(entry + 10, 0xffff);
	write32(entry + 9, UINT32_MAX);
	write64(entry + 4 + 1, UINT64_MAX);
	check_eq(read32(entry + 8), 0x11223344, "narrow and unaligned writes change nothing");
	write64(entry, 0xfee00000);
	check_eq(read64(entry), 0xfee00000, "quad");
	write32(entry + 12, UINT32_MAX);
	check_eq(read32(entry + 12), 1, "reserved bits");
	write32(entry, UINT32_MAX);
	check_eq(read32(entry) & 3, 0, "address is aligned");
	read8(entry);
	read16(entry + 14);
	read64(entry + 12);
}

static void past_the_end(struct virtio *v)
{
	uint64_t end = v->msix_table + 16 * v->n_vectors;

	for (uint64_t at = end - 8; at < end + 64; at += 4) {
		write32(at, 0xffffffff);
		write64(at, UINT64_MAX);
	}
	check_eq(read32(end), 0, "nothing behind the table");
	for (uint64_t at = v->msix_pba; at < v->msix_pba + 64; at += 4)
		write32(at, UINT32_MAX);
	check_eq(read32(v->msix_pba), 0, "pending bits are read-only");
	read8(v->msix_pba);
	read64(v->msix_pba + 4);
	write32(v->msix_table + 0xffe, 1); /* across pages of the BAR */
}

static bool one_request(struct virtio *v)
{
	if (!virtio_begin(v))
		return false;
	virtio_run(v, &q, 0);
	q.desc[0] = (struct virtq_desc){ (uint64_t)bytes, N, DESC_WRITE, 0 };
	virtq_submit(v, &q, 0);
	return virtq_poll(&q, 1) > 0;
}

static void messages(struct virtio *v)
{
	static const struct {
		uint64_t address;
		uint32_t data;
	} messages[] = {
		{ 0, 0 },
		{ MIB(1), 0x40 },
		{ 0xfee00000, 0 },
		{ 0xfee00000, 0xff1f },
		{ 0xfee00000, UINT32_MAX },
		{ 0xfeeff00c, 0x41 },
		{ 0xfffffffc, 0x42 },
		{ GIB(4) + 0xfee00000, 0x43 },
		{ UINT64_MAX & ~3ULL, UINT32_MAX },
		{ IOAPIC_START + 0x10, 0x1 },
		{ 0xfee00000, 0x0200 | 0x40 },
	};
	bool all = true;

	write16(pci_at(v->slot, v->msix_cap + 2), 0x8000);
	for (unsigned int i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		write32(v->msix_table + 12, 1);
		write32(v->msix_table, (uint32_t)messages[i].address);
		write32(v->msix_table + 4, (uint32_t)(messages[i].address >> 32));
		write32(v->msix_table + 8, messages[i].data);
		write32(v->msix_table + 12, 0);
		all &= one_request(v);
	}
	check(all, "messages to nowhere");
}

static void vectors(struct virtio *v)
{
	static const uint16_t bad[] = { 0x100, 0x7ff, 0x800, 0x7fff, 0x8000, 0xfffe };
	bool refused = true;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write16(v->common + COMMON_CONFIG_VECTOR, bad[i]);
		refused &= read16(v->common + COMMON_CONFIG_VECTOR) == NO_VECTOR;
		write16(v->common + COMMON_Q_SELECT, 0);
		write16(v->common + COMMON_Q_VECTOR, bad[i]);
		refused &= read16(v->common + COMMON_Q_VECTOR) == NO_VECTOR;
	}
	write16(v->common + COMMON_Q_VECTOR, (uint16_t)v->n_vectors);
	refused &= read16(v->common + COMMON_Q_VECTOR) == NO_VECTOR;
	check(refused, "vectors that are not there");
}

void guest_main(const struct pvh_info *info)
{
	struct virtio v;
	uint32_t before;

	(void)info;
	if (!check(virtio_find(VIRTIO_RNG, &v), "virtio-rng"))
		return;
	widths(&v);
	past_the_end(&v);
	vectors(&v);
	messages(&v);
	msix_enable(&v, 1);
	irq_init();
	irq_settle();
	before = irq_count(0);
	check(one_request(&v), "works after it");
	irq_wait(0, before + 1);
	print("interrupt\n");
}
