/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio driver's steps; see pci.h. */
#include "tests/guest/lib/pci.h"

#define VENDOR_VIRTIO 0x1af4
#define DEVICE_MODERN 0x1040
#define SLOTS 32
#define CFG_COMMON 1
#define CFG_NOTIFY 2
#define CFG_ISR 3
#define CFG_DEVICE 4
#define POLLS 500

static void take_cap(struct virtio *v, unsigned int cap)
{
	uint64_t at = v->bar + read32(pci_at(v->slot, cap + 8));

	switch (read8(pci_at(v->slot, cap + 3))) {
	case CFG_COMMON:
		v->common = at;
		break;
	case CFG_NOTIFY:
		v->notify = at;
		v->notify_multiplier = read32(pci_at(v->slot, cap + 16));
		break;
	case CFG_ISR:
		v->isr = at;
		break;
	case CFG_DEVICE:
		v->config = at;
		break;
	}
}

void virtio_open(struct virtio *v, unsigned int slot)
{
	unsigned int cap = 0;

	*v = (struct virtio){ .slot = slot };
	v->bar = read32(pci_at(slot, PCI_BAR0)) & ~0xfU;
	while ((cap = pci_cap(slot, PCI_CAP_VENDOR, cap)) != 0)
		take_cap(v, cap);
	v->msix_cap = pci_cap(slot, PCI_CAP_MSIX, 0);
	v->n_vectors = (read16(pci_at(slot, v->msix_cap + 2)) & 0x7ffU) + 1;
	v->msix_table = v->bar + (read32(pci_at(slot, v->msix_cap + 4)) & ~7U);
	v->msix_pba = v->bar + (read32(pci_at(slot, v->msix_cap + 8)) & ~7U);
	write16(pci_at(slot, PCI_COMMAND), COMMAND_MEMORY | COMMAND_MASTER);
}

bool virtio_find(unsigned int type, struct virtio *ret)
{
	for (unsigned int slot = 0; slot < SLOTS; slot++) {
		if (read32(pci_at(slot, PCI_ID)) != (VENDOR_VIRTIO | (DEVICE_MODERN + type) << 16))
			continue;
		virtio_open(ret, slot);
		return true;
	}
	return false;
}

bool virtio_begin(struct virtio *v)
{
	write8(v->common + COMMON_STATUS, 0);
	for (unsigned int i = 0; i < POLLS && read8(v->common + COMMON_STATUS); i++)
		irq_settle();
	write8(v->common + COMMON_STATUS, STATUS_ACKNOWLEDGE);
	write8(v->common + COMMON_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	write32(v->common + COMMON_GF_SELECT, 0);
	write32(v->common + COMMON_GF, 0);
	write32(v->common + COMMON_GF_SELECT, 1);
	write32(v->common + COMMON_GF, 1); /* VERSION_1 */
	write8(v->common + COMMON_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	return read8(v->common + COMMON_STATUS) & STATUS_FEATURES_OK;
}

static void set_address(struct virtio *v, unsigned int reg, const void *at)
{
	write32(v->common + reg, (uint32_t)(uint64_t)at);
	write32(v->common + reg + 4, (uint32_t)((uint64_t)at >> 32));
}

void virtio_set_queue(struct virtio *v, uint16_t queue, struct virtq *q, uint16_t vector)
{
	memset(q, 0, sizeof(*q));
	write16(v->common + COMMON_Q_SELECT, queue);
	write16(v->common + COMMON_Q_SIZE, RING);
	write16(v->common + COMMON_Q_VECTOR, vector);
	set_address(v, COMMON_Q_DESC, q->desc);
	set_address(v, COMMON_Q_DRIVER, &q->avail);
	set_address(v, COMMON_Q_DEVICE, &q->used);
	write16(v->common + COMMON_Q_ENABLE, 1);
}

void virtio_run(struct virtio *v, struct virtq *q, uint16_t vector)
{
	write16(v->common + COMMON_CONFIG_VECTOR, NO_VECTOR);
	virtio_set_queue(v, 0, q, vector);
	write8(v->common + COMMON_STATUS,
	       STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

uint64_t virtio_notify_at(const struct virtio *v, unsigned int queue)
{
	write16(v->common + COMMON_Q_SELECT, (uint16_t)queue);
	return v->notify + read16(v->common + COMMON_Q_NOTIFY_OFF) * v->notify_multiplier;
}

void virtq_submit_to(struct virtio *v, unsigned int queue, struct virtq *q, uint16_t head)
{
	volatile uint16_t *idx = &q->avail.idx;

	q->avail.ring[*idx % RING] = head;
	barrier();
	*idx = *idx + 1;
	barrier();
	write16(virtio_notify_at(v, queue), (uint16_t)queue);
}

void virtq_submit(struct virtio *v, struct virtq *q, uint16_t head)
{
	virtq_submit_to(v, 0, q, head);
}

int64_t virtq_poll(struct virtq *q, uint16_t idx)
{
	volatile uint16_t *used = &q->used.idx;

	for (unsigned int i = 0; i < POLLS; i++) {
		if (*used == idx)
			return q->used.ring[(uint16_t)(idx - 1) % RING].len;
		irq_settle();
	}
	return -1;
}
