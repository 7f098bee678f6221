/* SPDX-License-Identifier: Apache-2.0 */
/* Reset is a fresh start: RAM, the IOAPIC, the UART, PCI. The disk's first byte counts the starts. */
#include "tests/guest/lib/pci.h"

#define SECTOR 512
#define STARTS 3
#define MARK_AT MIB(32)
#define SCRATCH (PORT_SERIAL + 7)

static struct virtq q;
static struct {
	uint32_t type, reserved;
	uint64_t sector;
} header;
static uint8_t data[SECTOR];
static volatile uint8_t status;
static uint16_t done;

static bool request(struct virtio *v, uint32_t type)
{
	header.type = type;
	q.desc[0] = (struct virtq_desc){ (uint64_t)&header, sizeof(header), DESC_NEXT, 1 };
	q.desc[1] = (struct virtq_desc){ (uint64_t)data, SECTOR,
					 DESC_NEXT | (type ? 0 : DESC_WRITE), 2 };
	q.desc[2] = (struct virtq_desc){ (uint64_t)&status, 1, DESC_WRITE, 0 };
	virtq_submit(v, &q, 0);
	return virtq_poll(&q, ++done) >= 0 && status == 0;
}

static void check_fresh(const struct virtio *v)
{
	check_eq(read64(MARK_AT), 0, "RAM is zero");
	check_eq(ioapic_read(0x10), 1U << 16, "the IOAPIC is masked");
	check_eq(inb(SCRATCH), 0, "the UART is reset");
	check_eq(lapic_read(0xf0) & 0x100, 0, "the LAPIC is off");
	check_eq(read8(v->common + COMMON_STATUS), 0, "the device is reset");
	check_eq(read16(pci_at(v->slot, v->msix_cap + 2)) & 0x8000, 0, "MSI-X is off");
}

static void leave_traces(struct virtio *v)
{
	write64(MARK_AT, 0x1122334455667788);
	ioapic_write(0x10, 0x45);
	outb(SCRATCH, 0x5a);
	irq_init();
	msix_enable(v, 1);
}

void guest_main(const struct pvh_info *info)
{
	struct virtio v;

	(void)info;
	if (!check(virtio_find(VIRTIO_BLOCK, &v), "virtio-blk"))
		return;
	check_fresh(&v);
	check(virtio_begin(&v), "features");
	virtio_run(&v, &q, NO_VECTOR);
	if (!check(request(&v, 0), "read"))
		return;
	data[0]++;
	say_dec("start", data[0]);
	if (!check(request(&v, 1), "write") || data[0] == STARTS)
		return;
	leave_traces(&v);
	outb(PORT_RESET, RESET_VALUE);
	halt();
}
