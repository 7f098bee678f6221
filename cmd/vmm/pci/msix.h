/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X (PCI local bus specification 3.0, 6.8.2). What raises interrupts is a source: an eventfd
 * that a device's process, or the vmm, writes to, with an irqfd slot of the accelerator. The guest
 * maps each source to a vector. The two are bound to each other only while the vector may be
 * delivered: otherwise the count stays in the eventfd, which is what the pending bit shows, and is
 * delivered once that changes. Nothing here ever reads an eventfd. Machine lock held.
 */
#ifndef BULKHEAD_VMM_PCI_MSIX_H
#define BULKHEAD_VMM_PCI_MSIX_H

#include "cmd/vmm/machine.h"

#define MSIX_MAX 65U
#define MSIX_NO_VECTOR 0xffffU
#define MSIX_TABLE_SIZE(n) (UINT64_C(16) * (n)) /* bytes */

struct msix_entry {
	uint32_t address_lo, address_hi;
	uint32_t data;
	uint32_t control; /* bit 0: masked */
};

struct msix_source {
	int eventfd;
	unsigned int slot;
	uint16_t vector;
	bool bound;
	struct msi msi; /* while bound */
};

struct msix {
	struct machine *m;
	unsigned int n_vectors;
	unsigned int n_sources;
	bool deliver; /* enabled, not masked as a whole, bus master */
	struct msix_entry table[MSIX_MAX];
	struct msix_source sources[MSIX_MAX];
};

/* n_vectors is 1 to MSIX_MAX. */
void msix_init(struct msix *x, struct machine *m, unsigned int n_vectors);
/* Adds a source for an eventfd that outlives x; its index, or -ENOSPC. */
[[nodiscard]] int msix_add_source(struct msix *x, int eventfd);
/* Nothing is delivered any more, and its slots are free. */
void msix_close(struct msix *x);
/* Power-on: all vectors masked, no source mapped, nothing delivered. */
void msix_reset(struct msix *x);

/* The table and what each source is mapped to, as part of a function's image; `deliver` follows from
 * its configuration space. Elements beyond what there is are 0. */
struct msix_image {
	uint32_t address_lo[MSIX_MAX], address_hi[MSIX_MAX], data[MSIX_MAX];
	uint8_t masked[MSIX_MAX];
	uint16_t vector[MSIX_MAX]; /* by source */
};

/* Rows of a schema whose image has a struct msix_image as a member. */
#define MSIX_STATE(type, m)                                                      \
	STATE_BITSES(type, m.address_lo, ~3ULL), STATE_ANYS(type, m.address_hi), \
		STATE_ANYS(type, m.data), STATE_BOOLS(type, m.masked), STATE_ANYS(type, m.vector)

void msix_save(const struct msix *x, struct msix_image *ret);
/* Whether each vector is one that there is, or none, and nothing is beyond. */
[[nodiscard]] bool msix_fits(const struct msix *x, const struct msix_image *image);
/* The image fits. Delivers as `deliver` says; msix_set_deliver comes after. */
void msix_load(struct msix *x, const struct msix_image *image);

/* From the capability's message control and COMMAND. */
void msix_set_deliver(struct msix *x, bool deliver);
/* vector: below n_vectors, or anything else for none. Returns what is mapped now. */
uint16_t msix_map(struct msix *x, unsigned int source, uint16_t vector);
uint16_t msix_vector(const struct msix *x, unsigned int source);

/* Only naturally aligned accesses of 4 or 8 bytes: others read 0 and write nothing. The pending
 * bits are read-only. Offsets are from the start of the table or of the pending bits. */
uint64_t msix_table_read(const struct msix *x, uint64_t offset, unsigned int width);
void msix_table_write(struct msix *x, uint64_t offset, unsigned int width, uint64_t value);
uint64_t msix_pba_read(const struct msix *x, uint64_t offset, unsigned int width);

#endif
