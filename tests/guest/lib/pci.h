/* SPDX-License-Identifier: Apache-2.0 */
/* Bus 0 by ECAM, and virtio devices on it (VIRTIO 1.2, 4.1), as a driver sees them. */
#ifndef BULKHEAD_TESTS_GUEST_PCI_H
#define BULKHEAD_TESTS_GUEST_PCI_H

#include "tests/guest/lib/guest.h"

#define PCI_ID 0x00
#define PCI_COMMAND 0x04
#define PCI_STATUS 0x06
#define PCI_CLASS 0x08
#define PCI_HEADER 0x0e
#define PCI_BAR0 0x10
#define PCI_CAPS 0x34
#define PCI_CAP_VENDOR 0x09
#define PCI_CAP_MSIX 0x11
#define PCI_NOBODY 0xffffffff

#define COMMAND_MEMORY 0x2
#define COMMAND_MASTER 0x4

/* Where a register of a device is in memory. */
static inline uint64_t pci_at(unsigned int slot, unsigned int reg)
{
	return ECAM_START + ((uint64_t)slot << 15) + reg;
}

/* The first capability with this id after `after` (0: from the start); 0: none. */
unsigned int pci_cap(unsigned int slot, unsigned int id, unsigned int after);

#define VIRTIO_BLOCK 2
#define VIRTIO_CONSOLE 3
#define VIRTIO_RNG 4

/* Common configuration, 4.1.4.3 */
#define COMMON_DF_SELECT 0
#define COMMON_DF 4
#define COMMON_GF_SELECT 8
#define COMMON_GF 12
#define COMMON_CONFIG_VECTOR 16
#define COMMON_NUM_QUEUES 18
#define COMMON_STATUS 20
#define COMMON_Q_SELECT 22
#define COMMON_Q_SIZE 24
#define COMMON_Q_VECTOR 26
#define COMMON_Q_ENABLE 28
#define COMMON_Q_NOTIFY_OFF 30
#define COMMON_Q_DESC 32
#define COMMON_Q_DRIVER 40
#define COMMON_Q_DEVICE 48

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER 2
#define STATUS_DRIVER_OK 4
#define STATUS_FEATURES_OK 8
#define STATUS_NEEDS_RESET 0x40

#define RING 8 /* descriptors */
#define NO_VECTOR 0xffff

#define DESC_NEXT 1
#define DESC_WRITE 2

struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct virtq {
	struct virtq_desc desc[RING] __attribute__((aligned(16)));
	struct {
		uint16_t flags, idx, ring[RING], used_event;
	} avail __attribute__((aligned(2)));
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[RING];
		uint16_t avail_event;
	} used __attribute__((aligned(4)));
};

struct virtio {
	unsigned int slot;
	uint64_t bar;
	uint64_t common, notify, isr, config; /* addresses; config 0: none */
	uint32_t notify_multiplier;
	uint64_t msix_table, msix_pba;
	unsigned int n_vectors;
	unsigned int msix_cap;
};

/* The device in this slot. */
void virtio_open(struct virtio *v, unsigned int slot);
/* Finds the first device of a type; false: none. */
bool virtio_find(unsigned int type, struct virtio *ret);
/* Resets, accepts VERSION_1 alone, up to FEATURES_OK. */
bool virtio_begin(struct virtio *v);
/* Sets up a queue likewise, before virtio_run. */
void virtio_set_queue(struct virtio *v, uint16_t queue, struct virtq *q, uint16_t vector);
/* Sets up queue 0 with this vector (or NO_VECTOR), enables it, and sets DRIVER_OK. */
void virtio_run(struct virtio *v, struct virtq *q, uint16_t vector);
uint64_t virtio_notify_at(const struct virtio *v, unsigned int queue);
/* Vector i of the table raises IRQ_VECTOR + i; enables MSI-X. */
void msix_enable(struct virtio *v, unsigned int vectors);
/* Makes the chain that starts at descriptor `head` available, and notifies. */
void virtq_submit(struct virtio *v, struct virtq *q, uint16_t head);
void virtq_submit_to(struct virtio *v, unsigned int queue, struct virtq *q, uint16_t head);
/* Waits by looking at the used ring, with an end; the length that was used, or -1. */
int64_t virtq_poll(struct virtq *q, uint16_t idx);

#endif
