/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vmm's virtio-pci transport and vhost-user front end, without a guest: plays the driver
 * through the buses against the back end at the other end of a socket.
 *
 *	front-harness FD blk|rng
 *
 * blk: reads sector 0, writes its bytes inverted to sector 1, flushes; twice, with a machine reset
 * in between, and a saved and loaded state between read and write. rng: asks for 64 bytes, twice in the
 * same way; the state is saved and loaded before. Prints "capacity N", "queues N",
 * "read HEX" (16 bytes), "used N" for each life, and ends with 0; or says what went wrong.
 */
#include "cmd/vmm/pci/virtio_pci.h"
#include "lib/base/cleanup.h"
#include "tests/unit/testtype.h"
#include "tests/unit/testvmm.h"

#include <linux/pci_regs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define DESC 0x10000U
#define AVAIL 0x11000U
#define USED 0x12000U
#define HEADER 0x20000U
#define DATA 0x21000U
#define STATUS 0x22000U
#define SECTOR 512U
#define SIZE 16U
#define WAIT_MS 30000

struct driver {
	struct machine m;
	struct accel accel;
	struct virtio_pci *v;
	uint64_t bar;
	uint16_t n; /* chains made so far */
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "front-harness: %s\n", what);
	exit(1);
}

static void must(bool ok, const char *what)
{
	if (!ok)
		fail(what);
}

static uint64_t rd(struct driver *d, unsigned int reg, unsigned int width)
{
	return bus_read(&d->m.mmio, d->bar + reg, width);
}

static void wr(struct driver *d, unsigned int reg, unsigned int width, uint64_t value)
{
	bus_write(&d->m.mmio, d->bar + reg, width, value);
}

static void put(struct driver *d, uint64_t gpa, const void *data, size_t len)
{
	must(guest_write(&d->m.mem, GPA(gpa), data, len) == 0, "guest RAM");
}

static void get(struct driver *d, uint64_t gpa, void *data, size_t len)
{
	must(guest_read(&d->m.mem, GPA(gpa), data, len) == 0, "guest RAM");
}

static uint64_t features(struct driver *d)
{
	uint64_t low;

	wr(d, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	low = rd(d, VIRTIO_PCI_COMMON_DF, 4);
	wr(d, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	return low | rd(d, VIRTIO_PCI_COMMON_DF, 4) << 32;
}

/* EVENT_IDX is left out: every completion interrupts. */
static void start(struct driver *d)
{
	uint64_t f = features(d) & ~(1ULL << VIRTIO_RING_F_EVENT_IDX);
	const uint8_t zero[0x3000] = { 0 };

	d->n = 0;
	put(d, DESC, zero, sizeof(zero));
	bus_write(&d->m.mmio, ECAM_START + (1 << 15) + PCI_COMMAND, 2,
		  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	wr(d, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	wr(d, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	wr(d, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)f);
	wr(d, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	wr(d, VIRTIO_PCI_COMMON_GF, 4, f >> 32);
	wr(d, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	must(rd(d, VIRTIO_PCI_COMMON_STATUS, 1) == 11, "FEATURES_OK is refused");
	wr(d, VIRTIO_PCI_COMMON_Q_SIZE, 2, SIZE);
	wr(d, VIRTIO_PCI_COMMON_Q_DESCLO, 4, DESC);
	wr(d, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, AVAIL);
	wr(d, VIRTIO_PCI_COMMON_Q_USEDLO, 4, USED);
	wr(d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	wr(d, VIRTIO_PCI_COMMON_STATUS, 1, 15);
	must(rd(d, VIRTIO_PCI_COMMON_STATUS, 1) == 15, *d->m.why ? d->m.why : "DRIVER_OK");
}

static void describe(struct driver *d, unsigned int i, uint64_t gpa, uint32_t len, uint16_t flags)
{
	const struct vring_desc desc = { gpa, len, flags, (uint16_t)(i + 1) };

	put(d, DESC + i * sizeof(desc), &desc, sizeof(desc));
}

/* Makes the chain at descriptor 0 available and waits for it; the bytes that were written. */
static uint32_t run_chain(struct driver *d)
{
	struct pollfd p = { .fd = d->v->queues[0].call_fd, .events = POLLIN };
	const uint16_t head = 0;
	struct vring_used_elem e;
	uint16_t used = d->n;
	uint64_t count;

	put(d, AVAIL + 4 + 2 * (d->n % SIZE), &head, sizeof(head));
	d->n++;
	put(d, AVAIL + 2, &d->n, sizeof(d->n));
	wr(d, VPCI_NOTIFY, 2, 0);
	while (used != d->n) {
		must(poll(&p, 1, WAIT_MS) == 1, "no interrupt");
		(void)!read(p.fd, &count, sizeof(count));
		get(d, USED + 2, &used, sizeof(used));
	}
	get(d, USED + 4 + sizeof(e) * ((d->n - 1) % SIZE), &e, sizeof(e));
	must(e.id == 0, "a head that was not asked for");
	return e.len;
}

static void request(struct driver *d, uint32_t type, uint64_t sector, bool data, bool in)
{
	const struct virtio_blk_outhdr h = { .type = type, .sector = sector };
	uint8_t status = 0xff;

	put(d, HEADER, &h, sizeof(h));
	put(d, STATUS, &status, 1);
	describe(d, 0, HEADER, sizeof(h), VRING_DESC_F_NEXT);
	if (data)
		describe(d, 1, DATA, SECTOR, VRING_DESC_F_NEXT | (in ? VRING_DESC_F_WRITE : 0));
	describe(d, data ? 2 : 1, STATUS, 1, VRING_DESC_F_WRITE);
	(void)run_chain(d);
	get(d, STATUS, &status, 1);
	must(status == VIRTIO_BLK_S_OK, "the request failed");
}

static void print_data(struct driver *d)
{
	uint8_t bytes[16];

	get(d, DATA, bytes, sizeof(bytes));
	printf("read ");
	for (size_t i = 0; i < sizeof(bytes); i++)
		printf("%02x", bytes[i]);
	printf("\n");
}

/* The rings stop, the device forgets, and both go on where they were. */
static void save_and_load(struct driver *d)
{
	static uint8_t wire[STATE_IMAGE_MAX];
	const struct state_object o = { d->v->fn.ops->state, &d->v->fn };
	char why[STATE_WHY_MAX] = "";
	int len = state_object_save(&o, wire, sizeof(wire));

	must(len > 0 && !d->v->running, "the state is not saved");
	must(machine_reset(&d->m) == 0, d->m.why);
	must(rd(d, VIRTIO_PCI_COMMON_STATUS, 1) == 0, "no reset");
	must(state_object_load(&o, wire, (size_t)len, why) == 0, why);
	must(rd(d, VIRTIO_PCI_COMMON_STATUS, 1) == 15, "the status is not back");
	must(state_resume_all(&o, 1) == 0 && d->v->running, "the rings do not go on");
}

static void use_blk(struct driver *d)
{
	uint8_t sector[SECTOR];

	printf("capacity %llu\n", (unsigned long long)rd(d, VPCI_CONFIG, 8));
	request(d, VIRTIO_BLK_T_IN, 0, true, true);
	print_data(d);
	save_and_load(d);
	get(d, DATA, sector, sizeof(sector));
	for (size_t i = 0; i < sizeof(sector); i++)
		sector[i] = (uint8_t)~sector[i];
	put(d, DATA, sector, sizeof(sector));
	request(d, VIRTIO_BLK_T_OUT, 1, true, false);
	request(d, VIRTIO_BLK_T_FLUSH, 0, false, false);
}

static void use_rng(struct driver *d)
{
	save_and_load(d);
	describe(d, 0, DATA, 64, VRING_DESC_F_WRITE);
	printf("used %u\n", run_chain(d));
	print_data(d);
}

int main(int argc, char **argv)
{
	static struct driver d;
	bool blk = argc == 3 && strcmp(argv[2], "blk") == 0;
	const char *why = "?";

	if (argc != 3)
		fail("usage: front-harness FD blk|rng");
	test_machine_open(&d.m, &d.accel);
	must(pci_host_open(&d.m, &d.m.pci) == 0, "no PCI host");
	if (virtio_pci_add(&d.m, test_virtio_type(blk ? 2 : 4), 0, atoi(argv[1]), PCI_SLOT_COLD,
			   &why) < 0)
		fail(why);
	d.v = d.m.pci->functions[PCI_SLOT_FUNCTIONS]->owner;
	d.bar = pci_config_read(&d.v->fn.config, PCI_BASE_ADDRESS_0, 4);
	printf("queues %u\n", (unsigned int)rd(&d, VIRTIO_PCI_COMMON_NUMQ, 2));
	for (int life = 0; life < 2; life++) {
		start(&d);
		if (blk)
			use_blk(&d);
		else
			use_rng(&d);
		must(machine_reset(&d.m) == 0, d.m.why);
		must(rd(&d, VIRTIO_PCI_COMMON_STATUS, 1) == 0, "no reset");
	}
	return 0;
}
