/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory as instructions see it: linear addresses through segmentation and paging. All may
 * leave by soft_raise (#PF with CR2, #GP, #SS, #AC). What is not RAM goes to the LAPIC or, in the
 * middle of the instruction, to the vmm's buses (struct soft_io); so an instruction makes every
 * access that may fault before it changes a register, and string instructions commit each step.
 *
 * Values are little-endian. Accesses may cross pages; a write that crosses checks both pages first.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_SOFT_MEM_H
#define BULKHEAD_VMM_ACCEL_SOFT_SOFT_MEM_H

#include "cmd/vmm/accel/soft/insn.h"

#include <string.h>

/* access.c, phys.c, mmu.c */
uint64_t soft_read_slow(struct soft_cpu *c, uint64_t linear, unsigned int width, enum soft_mmu mmu);
void soft_write_slow(struct soft_cpu *c, uint64_t linear, unsigned int width, uint64_t v,
		     enum soft_mmu mmu);
/* The host address of width bytes of RAM at linear for a read-modify-write (write access checked,
 * A and D set, decoded code there dropped), or NULL when it is not RAM or crosses a page: then the
 * caller emulates by read and write; with LOCK, alone (alone.h). Faults leave. */
void *soft_host_rmw(struct soft_cpu *c, uint64_t linear, unsigned int width, enum soft_mmu mmu);
/* Raises what a write of width bytes would raise; writes nothing. */
void soft_touch_write(struct soft_cpu *c, uint64_t linear, unsigned int width);
/* Host address of as much of [linear, linear + *len) as lies in one page of RAM, *len shortened;
 * NULL when it is not RAM (take the slow path). For string instructions. Faults leave. */
void *soft_host_run(struct soft_cpu *c, uint64_t linear, size_t *len, enum soft_access kind,
		    enum soft_mmu mmu);
/* Physical page of an instruction fetch, with its host bytes; faults leave. */
const uint8_t *soft_fetch_page(struct soft_cpu *c, uint64_t linear, uint64_t *ret_gpa);
/* The RAM that holds gpa, or NULL. */
struct soft_ram *soft_ram_at(struct accel *vm, uint64_t gpa);
/* Guest-physical memory: written if all of it is RAM; false and nothing written otherwise. */
[[nodiscard]] bool soft_phys_is_ram(struct accel *vm, uint64_t gpa, size_t len);
[[nodiscard]] bool soft_phys_write(struct accel *vm, uint64_t gpa, const void *data, size_t len);
/* The page of a host address inside guest RAM, or NULL. */
struct soft_page *soft_page_of_host(struct accel *vm, const uint8_t *host);
/* The cache is about to decode from this page: from now on writes to it bump its version, which is
 * returned. */
uint32_t soft_page_make_code(struct soft_cpu *c, struct soft_page *page);
/* What a vCPU does when it sees WAKE_CODE. */
void soft_tlb_drop_code(struct soft_cpu *c);
void soft_tlb_flush(struct soft_cpu *c, bool global_too);
/* A TLB that never has anything, for c->tlb_now. */
extern struct soft_tlb_entry soft_tlb_misses[ACC_KINDS][SOFT_TLB_SIZE];
void soft_tlb_flush_page(struct soft_cpu *c, uint64_t linear);

/* seg.c: adds the base and checks what the mode asks for (limits, type, canonical form). */
uint64_t soft_linear_slow(struct soft_cpu *c, unsigned int seg, uint64_t offset, unsigned int width,
			  bool write);

static inline uint64_t soft_linear(struct soft_cpu *c, unsigned int seg, uint64_t offset,
				   unsigned int width, bool write)
{
	uint64_t last = offset + width - 1;

	if (c->long64 && seg < S_FS && (uint64_t)((int64_t)(offset << 16) >> 16) == offset &&
	    (uint64_t)((int64_t)(last << 16) >> 16) == last) /* canonical */
		return offset;
	return soft_linear_slow(c, seg, offset, width, write);
}

/* The same with the rights of plain accesses. */
static inline void *soft_tlb_now(struct soft_cpu *c, uint64_t linear, unsigned int width,
				 enum soft_access kind)
{
	const struct soft_tlb_entry *e = &c->tlb_now[kind][(linear >> 12) & (SOFT_TLB_SIZE - 1)];
	void *p;

	if (__builtin_expect(e->tag != ((linear + width - 1) & ~0xfffULL), 0))
		return NULL;
	p = (void *)(e->addend + linear);
	if (!p)
		__builtin_unreachable(); /* spares callers a test */
	return p;
}

/* The slot is the first byte's page's, the tag is compared with the last byte's: an access that
 * crosses into another page never matches. */
static inline void *soft_tlb_hit(struct soft_cpu *c, uint64_t linear, unsigned int width,
				 enum soft_access kind, enum soft_mmu mmu)
{
	const struct soft_tlb_entry *e = &c->tlb[mmu][kind][(linear >> 12) & (SOFT_TLB_SIZE - 1)];

	if (__builtin_expect(e->tag != ((linear + width - 1) & ~0xfffULL), 0))
		return NULL;
	return (void *)(e->addend + linear);
}

static inline uint64_t soft_read(struct soft_cpu *c, uint64_t linear, unsigned int width)
{
	void *p = soft_tlb_now(c, linear, width, ACC_READ);
	uint64_t v = 0;

	if (!p)
		return soft_read_slow(c, linear, width, c->mmu);
	/* clang-format off */
	switch (width) { /* one host access: atomic when aligned, as the guest expects */
	case 1: return __atomic_load_n((uint8_t *)p, __ATOMIC_RELAXED);
	case 2: memcpy(&v, p, 2); break;
	case 4: memcpy(&v, p, 4); break;
	case 8: memcpy(&v, p, 8); break;
	}
	/* clang-format on */
	__asm__("" : "+r"(v)); /* read once */
	return v;
}

static inline void soft_write(struct soft_cpu *c, uint64_t linear, unsigned int width, uint64_t v)
{
	void *p = soft_tlb_now(c, linear, width, ACC_WRITE);

	if (!p) {
		soft_write_slow(c, linear, width, v, c->mmu);
		return;
	}
	/* clang-format off */
	switch (width) {
	case 1: memcpy(p, &v, 1); break;
	case 2: memcpy(p, &v, 2); break;
	case 4: memcpy(p, &v, 4); break;
	case 8: memcpy(p, &v, 8); break;
	}
	/* clang-format on */
}

/* Any size up to 512 bytes (SSE, FXSAVE): all or nothing against faults. */
void soft_read_bytes(struct soft_cpu *c, uint64_t linear, void *out, size_t len);
void soft_write_bytes(struct soft_cpu *c, uint64_t linear, const void *data, size_t len);

#endif
