/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Works virtio-rng devices that come and go, until the power button is pressed. Words: "unasked" ejects what
 * has come at once, with its queue running; "reset" restarts once something has come; "all" ejects every slot
 * there is, whatever is in it; "stubborn" keeps what it is to
 * let go of; "again" does not look at what comes second, but asks the first for bytes once more; "disks" works a disk
 * that comes, too; "cards" a network card: the data of each UDP packet that it receives is a frame, which it sends, and
 * none is the last.
 */
#include "tests/guest/lib/pci.h"

#define ALL_SLOTS 0xffffffffU
#define BYTES 64
#define VIRTIO_RNG_ID 0x1044 /* VIRTIO 1.2, 4.1.2 and 5 */
#define VIRTIO_BLOCK_ID 0x1042
#define VIRTIO_NET_ID 0x1041
#define NET_HEADER 12
#define UDP_DATA 42 /* behind headers of Ethernet, IPv4 and UDP */
#define FRAME_MAX 2048
#define SECTOR 512
#define BLK_IN 0
#define BLK_OUT 1

static struct virtq q;
static struct virtio first;
static uint8_t bytes[BYTES];
static uint32_t events; /* of the GED, handled */

static bool there(unsigned int slot)
{
	return read32(pci_at(slot, PCI_ID)) != PCI_NOBODY;
}

static void eject(uint32_t slots)
{
	outl(PORT_HOTPLUG + HOTPLUG_EJECT, slots);
}

/* Where the guest puts it: what comes has no address. */
static void place(unsigned int slot)
{
	check_eq(read32(pci_at(slot, PCI_BAR0)), 0, "no address");
	check_eq(read16(pci_at(slot, PCI_COMMAND)), 0, "no decoding");
	write32(pci_at(slot, PCI_BAR0), PCI_MMIO32_START + (slot << 20));
	write16(pci_at(slot, PCI_COMMAND), COMMAND_MEMORY | COMMAND_MASTER);
}

static void run(struct virtio *v)
{
	memset(&q, 0, sizeof(q));
	check(virtio_begin(v), "features");
	virtio_run(v, &q, NO_VECTOR);
	q.desc[0] = (struct virtq_desc){ (uint64_t)bytes, BYTES, DESC_WRITE, 0 };
	virtq_submit(v, &q, 0);
	check(virtq_poll(&q, 1) > 0, "random bytes");
}

static void run_again(struct virtio *v)
{
	virtq_submit(v, &q, 0);
	while (virtq_poll(&q, 2) < 0)
		;
	print("ok bytes again\n");
}

static struct virtq disk;
static struct {
	uint32_t type, reserved;
	uint64_t sector;
} header;
static uint8_t data[SECTOR];
static volatile uint8_t status;

static void transfer(struct virtio *v, uint16_t n, uint32_t type)
{
	header.type = type;
	status = 0xff;
	disk.desc[0] = (struct virtq_desc){ (uint64_t)&header, sizeof(header), DESC_NEXT, 1 };
	disk.desc[1] = (struct virtq_desc){ (uint64_t)data, SECTOR,
					    DESC_NEXT | (type == BLK_IN ? DESC_WRITE : 0), 2 };
	disk.desc[2] = (struct virtq_desc){ (uint64_t)&status, 1, DESC_WRITE, 0 };
	virtq_submit(v, &disk, 0);
	while (virtq_poll(&disk, n) < 0)
		;
	check_eq(status, 0, "a sector");
}

static void run_disk(unsigned int slot)
{
	struct virtio v;

	virtio_open(&v, slot);
	memset(&disk, 0, sizeof(disk));
	check(virtio_begin(&v), "features of the disk");
	virtio_run(&v, &disk, NO_VECTOR);
	memset(data, 0xa5, SECTOR);
	transfer(&v, 1, BLK_OUT);
	memset(data, 0, SECTOR);
	transfer(&v, 2, BLK_IN);
	check_eq(data[SECTOR - 1], 0xa5, "what was written");
	print("the disk works\n");
}

static struct virtq received, sent;
static uint8_t received_frame[NET_HEADER + FRAME_MAX], sent_frame[NET_HEADER + FRAME_MAX];

static uint32_t next_frame(struct virtio *v, uint16_t n)
{
	int64_t len;

	received.desc[0] = (struct virtq_desc){ (uint64_t)received_frame, sizeof(received_frame),
						DESC_WRITE, 0 };
	virtq_submit(v, &received, 0);
	while ((len = virtq_poll(&received, n)) < 0)
		;
	return (uint32_t)len;
}

static void send_frame(struct virtio *v, uint16_t n, uint32_t len)
{
	memset(sent_frame, 0, NET_HEADER);
	memcpy(sent_frame + NET_HEADER, received_frame + NET_HEADER + UDP_DATA, len);
	sent.desc[0] = (struct virtq_desc){ (uint64_t)sent_frame, NET_HEADER + len, 0, 0 };
	virtq_submit_to(v, 1, &sent, 0);
	while (virtq_poll(&sent, n) < 0)
		;
}

static void run_card(unsigned int slot)
{
	struct virtio v;
	uint16_t n = 0;

	virtio_open(&v, slot);
	check(virtio_begin(&v), "features of the card");
	virtio_set_queue(&v, 1, &sent, NO_VECTOR);
	virtio_run(&v, &received, NO_VECTOR);
	say_hex("its address ends with", read8(v.config + 4) << 8 | read8(v.config + 5));
	for (;;) {
		const uint32_t len = next_frame(&v, ++n);

		check(len >= NET_HEADER + UDP_DATA, "the length of a frame");
		if (len == NET_HEADER + UDP_DATA)
			break;
		send_frame(&v, n, len - NET_HEADER - UDP_DATA);
	}
	print("the card works\n");
}

static void come(const struct pvh_info *info, unsigned int slot)
{
	struct virtio v;

	say_dec("came", slot);
	if (guest_word(info, "reset"))
		outb(PORT_RESET, RESET_VALUE);
	if (guest_word(info, "again") && q.avail.idx) {
		run_again(&first);
		return;
	}
	place(slot);
	if (guest_word(info, "disks") && read32(pci_at(slot, PCI_ID)) >> 16 == VIRTIO_BLOCK_ID)
		run_disk(slot);
	if (guest_word(info, "cards") && read32(pci_at(slot, PCI_ID)) >> 16 == VIRTIO_NET_ID)
		run_card(slot);
	if (read32(pci_at(slot, PCI_ID)) >> 16 != VIRTIO_RNG_ID)
		return;
	virtio_open(&v, slot);
	if (first.common) /* whose ring is in the same place; where it has gone nobody hears it */
		write8(first.common + COMMON_STATUS, 0);
	run(&v);
	first = v;
	if (guest_word(info, "unasked")) {
		eject(guest_word(info, "all") ? ALL_SLOTS : 1U << slot);
		check(!there(slot), "gone at once");
		check_eq(read32(v.common), 0xffffffff, "nothing decoded");
		check(there(0), "the bridge stays");
		print("ejected\n");
	}
}

static void go(const struct pvh_info *info, unsigned int slot)
{
	say_dec("is to go", slot);
	if (guest_word(info, "stubborn"))
		return;
	eject(1U << slot);
	check(!there(slot), "gone");
	eject(1U << slot);
}

static void each(const struct pvh_info *info, uint32_t came, uint32_t to_go)
{
	for (unsigned int slot = 0; slot < PCI_SLOTS; slot++)
		if (came & 1U << slot)
			come(info, slot);
	for (unsigned int slot = 0; slot < PCI_SLOTS; slot++)
		if (to_go & 1U << slot)
			go(info, slot);
}

void guest_main(const struct pvh_info *info)
{
	uint8_t what = 0;
	struct virtio v;

	irq_init();
	ioapic_write(0x11 + 2 * GSI_GED, 0);
	ioapic_write(0x10 + 2 * GSI_GED, IRQ_VECTOR);
	for (unsigned int slot = HOTPLUG_FIRST_SLOT; slot < PCI_SLOTS; slot++)
		if (there(slot)) {
			say_dec("was there", slot);
			virtio_open(&v, slot);
			run(&v);
			eject(1U << slot);
			print("ejected\n");
		}
	print("waiting\n");
	while (!(what & GED_POWER_BUTTON)) {
		irq_wait(0, ++events);
		what = inb(PORT_GED);
		if (what & GED_PCI_HOTPLUG)
			each(info, inl(PORT_HOTPLUG + HOTPLUG_UP),
			     inl(PORT_HOTPLUG + HOTPLUG_DOWN));
	}
}
