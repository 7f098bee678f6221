/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that is the fuzzer, at the configuration space and the BAR of a virtio device with a good
 * back end: whatever it does, a ring in use never changes, notifiers and interrupts are bound only
 * where they may be, and the VM does not end.
 */
#include "cmd/vmm/pci/virtio_pci.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/testtype.h"
#include "tests/unit/testvmm.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>
#include <unistd.h>

#define N_QUEUES 3

static struct machine m;
static struct accel accel;
static struct back_end back_end;
static struct virtio_pci *v;

static void make_once(void)
{
	const char *why = NULL;

	if (v)
		return;
	test_machine_open(&m, &accel);
	back_end_init(&back_end);
	back_end.n_queues = N_QUEUES;
	require(pci_host_open(&m, &m.pci) == 0);
	require(virtio_pci_add(&m, test_virtio_type(2), 0, back_end_start(&back_end), PCI_SLOT_COLD,
			       &why) == 0);
	v = m.pci->functions[PCI_SLOT_FUNCTIONS]->owner;
}

struct frozen {
	bool running;
	uint64_t features;
	struct virtio_queue queues[N_QUEUES];
};

static void snapshot(struct frozen *f)
{
	f->running = v->running;
	f->features = v->driver_features;
	memcpy(f->queues, v->queues, sizeof(f->queues));
}

static void check(const struct frozen *old)
{
	require(m.request == MACHINE_RUN && accel.n_faults == 0);
	require(v->running == !!(v->status & VIRTIO_CONFIG_S_DRIVER_OK));
	require(accel.n_notifiers == 0 || (v->running && v->fn.bar.claimed));
	require(accel.n_irqs == 0 || v->msix.deliver);
	require(!(v->driver_features & ~v->features) || !(v->status & VIRTIO_CONFIG_S_FEATURES_OK));
	for (unsigned int i = 0; i < N_QUEUES; i++) {
		const struct virtio_queue *q = &v->queues[i], *o = &old->queues[i];

		require(q->size && q->size <= QUEUE_SIZE_MAX && !(q->size & (q->size - 1)));
		if (!old->running || !v->running)
			continue;
		require(q->size == o->size && q->enabled == o->enabled && q->desc == o->desc &&
			q->driver == o->driver && q->device == o->device);
		require(v->driver_features == old->features);
	}
}

/* 8 bytes: target and width, value's kind, offset, value. */
static void step(const uint8_t *op)
{
	static const unsigned int widths[] = { 1, 2, 4, 8 };
	unsigned int width = widths[op[0] >> 2 & 3];
	uint64_t offset = (uint64_t)op[2] | (uint64_t)op[3] << 8, value, at;
	uint32_t low;

	memcpy(&low, op + 4, 4);
	value = op[1] & 1 ? (uint64_t)low << 32 | low : low;
	switch (op[0] & 3) {
	case 0:
		at = v->fn.bar.claimed + offset % (VPCI_BAR_SIZE + 16);
		break;
	case 1:
		at = v->fn.bar.claimed + offset % 0x40; /* the common registers */
		break;
	case 2:
		at = ECAM_START + (1 << 15) + offset % 256;
		break;
	default:
		at = ECAM_START + offset * 16;
		break;
	}
	if (op[0] & 0x10)
		(void)bus_read(&m.mmio, at, width);
	else
		bus_write(&m.mmio, at, width, value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frozen old;

	make_once();
	require(machine_reset(&m) == 0);
	require(accel.n_irqs == 0 && accel.n_notifiers == 0);
	for (; size >= 8; data += 8, size -= 8) {
		snapshot(&old);
		step(data);
		check(&old);
	}
	v->gate = LOG_GATE(5);
	return 0;
}
