/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory as instructions see it: linear addresses through segmentation and paging. All may
 * leave by soft_raise (#PF with CR2, #GP, #SS, #AC) or, for memory that is not RAM, by the exit to
 * the vmm: soft_mem_slow longjmps out of the instruction with cpu->io filled; the instruction is
 * restarted when the answer is there and then gets it (io.done) instead of exiting again. So an
 * instruction makes all its accesses before it changes registers, and string instructions commit
 * each step.
 *
 * Values are little-endian. Accesses may cross pages.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_SOFT_MEM_H
#define BULKHEAD_VMM_ACCEL_SOFT_SOFT_MEM_H

#include "cmd/vmm/accel/soft/insn.h"

#include <string.h>

/* mmu.c */
uint64_t soft_read_slow(struct soft_cpu *c, uint64_t linear, unsigned int width, bool user);
void soft_write_slow(struct soft_cpu *c, uint64_t linear, unsigned int width, uint64_t v, bool user);
/* The host address of width bytes of RAM at linear for a read-modify-write (write access checked,
 * A and D set, decoded code there dropped), or NULL when it is not RAM or crosses a page: then the
 * caller emulates by read and write under the VM's split-lock mutex. Faults leave. */
void *soft_host_rmw(struct soft_cpu *c, uint64_t linear, unsigned int width, bool user);
/* Host address of as much of [linear, linear + *len) as lies in one page of RAM, *len shortened;
 * NULL when it is not RAM (take the slow way). For string instructions. Faults leave. */
void *soft_host_run(struct soft_cpu *c, uint64_t linear, size_t *len, enum soft_access kind,
		    bool user);
/* Physical page of an instruction fetch, with its host bytes; faults leave. */
const uint8_t *soft_fetch_page(struct soft_cpu *c, uint64_t linear, uint64_t *ret_gpa);
void soft_tlb_flush(struct soft_cpu *c, bool global_too);
void soft_tlb_flush_page(struct soft_cpu *c, uint64_t linear);

static inline bool soft_user(const struct soft_cpu *c) { return c->cpl == 3; }

/* seg.c: adds the base and checks what the mode asks for (limits, type, canonical form). */
uint64_t soft_linear_slow(struct soft_cpu *c, unsigned int seg, uint64_t offset, unsigned int width,
			  bool write);

static inline uint64_t soft_linear(struct soft_cpu *c, unsigned int seg, uint64_t offset,
				   unsigned int width, bool write)
{
	if (c->long64 && seg < S_FS &&
	    (uint64_t)((int64_t)(offset << 16) >> 16) == offset) /* canonical */
		return offset;
	return soft_linear_slow(c, seg, offset, width, write);
}

/* The first byte's page decides; an access that crosses into another page never matches. */
static inline void *soft_tlb_hit(struct soft_cpu *c, uint64_t linear, unsigned int width,
				 enum soft_access kind, bool user)
{
	const struct soft_tlb_entry *e =
		&c->tlb[user][kind][(linear >> 12) & (SOFT_TLB_SIZE - 1)];

	if (e->tag != (linear & ~0xfffULL) || (linear & 0xfff) + width > 4096)
		return NULL;
	return (void *)(e->addend + linear);
}

static inline uint64_t soft_read(struct soft_cpu *c, uint64_t linear, unsigned int width)
{
	void *p = soft_tlb_hit(c, linear, width, ACC_READ, soft_user(c));
	uint64_t v = 0;

	if (!p)
		return soft_read_slow(c, linear, width, soft_user(c));
	switch (width) { /* one host access: atomic when aligned, as the guest expects */
	case 1: return __atomic_load_n((uint8_t *)p, __ATOMIC_RELAXED);
	case 2: memcpy(&v, p, 2); break;
	case 4: memcpy(&v, p, 4); break;
	case 8: memcpy(&v, p, 8); break;
	}
	return v;
}

static inline void soft_write(struct soft_cpu *c, uint64_t linear, unsigned int width, uint64_t v)
{
	void *p = soft_tlb_hit(c, linear, width, ACC_WRITE, soft_user(c));

	if (!p) {
		soft_write_slow(c, linear, width, v, soft_user(c));
		return;
	}
	switch (width) {
	case 1: memcpy(p, &v, 1); break;
	case 2: memcpy(p, &v, 2); break;
	case 4: memcpy(p, &v, 4); break;
	case 8: memcpy(p, &v, 8); break;
	}
}

/* Any size up to 512 bytes (SSE, FXSAVE): all or nothing against faults. */
void soft_read_bytes(struct soft_cpu *c, uint64_t linear, void *out, size_t len);
void soft_write_bytes(struct soft_cpu *c, uint64_t linear, const void *data, size_t len);

#endif
