/* SPDX-License-Identifier: Apache-2.0 */
/* What the slow paths to guest memory share: page walks, entries of the TLB, pages of RAM. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_PAGING_H
#define BULKHEAD_VMM_ACCEL_SOFT_PAGING_H

#include "cmd/vmm/accel/soft/soft_mem.h"

/* What a walk found. */
struct soft_mapping {
	uint64_t gpa;
	bool writable, user, no_exec; /* over all levels */
	uint8_t shift;		      /* the page that the guest mapped has 1 << shift bytes */
};

/* mmu.c: where linear is, A and D set. Leaves by #PF. */
void soft_walk(struct soft_cpu *c, uint64_t linear, enum soft_access kind, enum soft_mmu mmu,
	       struct soft_mapping *ret);
/* mmu.c: an entry for the 4 KiB of guest RAM at host, which the guest has mapped as (part of) a page
 * of 1 << shift bytes. All entries are made here: a flush takes those that were made since the last
 * one. */
void soft_tlb_fill(struct soft_cpu *c, uint64_t linear, enum soft_access kind, enum soft_mmu mmu,
		   uint8_t *host, unsigned int shift);
/* phys.c: the page of RAM that gpa lies in, or of firmware if it is not to be written to; or NULL. */
uint8_t *soft_host_page(struct accel *vm, uint64_t gpa, bool write, struct soft_page **ret_page);
/* phys.c: its bytes have changed. */
void soft_note_write(struct soft_page *page);

#endif
