/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paging and the soft TLB. SDM volume 3, chapter 4: 32-bit, PAE and 4-level paging.
 *
 * A TLB entry is made only for a page of guest RAM, so the fast path of soft_mem.h can reach
 * nothing else.
 */
#include "cmd/vmm/accel/soft/paging.h"

#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#define PTE_P (1ULL << 0)
#define PTE_W (1ULL << 1)
#define PTE_U (1ULL << 2)
#define PTE_A (1ULL << 5)
#define PTE_D (1ULL << 6)
#define PTE_PS (1ULL << 7)
#define PTE_G (1ULL << 8)
#define PTE_NX (1ULL << 63)
#define PTE_ADDR 0x000ffffffffff000ULL

#define PF_P (1U << 0)
#define PF_W (1U << 1)
#define PF_U (1U << 2)
#define PF_RSVD (1U << 3)
#define PF_I (1U << 4)

/* ---- page tables ---- */

_Noreturn static void page_fault(struct soft_cpu *c, uint64_t linear, uint32_t error)
{
	c->cr2 = linear;
	soft_raise_error(c, EX_PF, error);
}

static uint32_t fault_bits(const struct soft_cpu *c, enum soft_access kind, enum soft_mmu mmu)
{
	bool nx = (c->cr4 & CR4_PAE) && (c->efer & EFER_NXE);

	return (kind == ACC_WRITE ? PF_W : 0) | (mmu == MMU_USER ? PF_U : 0) |
	       (kind == ACC_EXEC && (nx || (c->cr4 & CR4_SMEP)) ? PF_I : 0);
}

/* Where an entry lies, or NULL outside RAM. Entries are naturally aligned. */
static void *entry_host(struct soft_cpu *c, uint64_t gpa)
{
	struct soft_page *page;
	uint8_t *host = soft_host_page(c->vm, gpa, false, &page);

	return host ? host + (gpa & 0xfff) : NULL;
}

static uint64_t load_entry(struct soft_cpu *c, uint64_t gpa, unsigned int size)
{
	void *p = entry_host(c, gpa);

	if (!p)
		return 0; /* reads as not present */
	return size == 8 ? __atomic_load_n((uint64_t *)p, __ATOMIC_ACQUIRE) :
			   __atomic_load_n((uint32_t *)p, __ATOMIC_ACQUIRE);
}

/* Sets A or D if the entry is still what was walked; false: walk again. */
static bool mark_entry(struct soft_cpu *c, uint64_t gpa, unsigned int size, uint64_t old,
		       uint64_t bits)
{
	struct soft_page *page;
	uint8_t *host = soft_host_page(c->vm, gpa, true, &page); /* firmware stays as it is */
	bool done;

	if ((old & bits) == bits || !host)
		return true;
	host += gpa & 0xfff;
	if (size == 8) {
		done = __atomic_compare_exchange_n((uint64_t *)(void *)host, &old, old | bits,
						   false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	} else {
		uint32_t expected = (uint32_t)old;

		done = __atomic_compare_exchange_n((uint32_t *)(void *)host, &expected,
						   (uint32_t)(old | bits), false, __ATOMIC_ACQ_REL,
						   __ATOMIC_RELAXED);
	}
	soft_note_write(page);
	return done;
}

/* The shape of the paging mode. */
struct paging {
	unsigned int levels;
	unsigned int entry_size;
	unsigned int index_bits;
};

static struct paging paging_of(const struct soft_cpu *c)
{
	if (soft_long_mode(c))
		return (struct paging){ 4, 8, 9 };
	if (c->cr4 & CR4_PAE)
		return (struct paging){ 3, 8, 9 };
	return (struct paging){ 2, 4, 10 };
}

static uint64_t reserved_bits(const struct soft_cpu *c, const struct paging *pg, unsigned int level,
			      bool leaf)
{
	uint64_t rsvd;

	if (pg->entry_size == 4)
		return leaf && level == 2 ? 1U << 21 : 0;
	rsvd = PTE_ADDR & ~((1ULL << SOFT_PHYS_BITS) - 1);
	if (!(c->efer & EFER_NXE))
		rsvd |= PTE_NX;
	if (leaf && level > 1)
		rsvd |= ((1ULL << (12 + 9 * (level - 1))) - 1) & ~0x1fffULL; /* bit 12 is PAT */
	if (level == 4)
		rsvd |= PTE_PS;
	return rsvd;
}

static bool is_leaf(const struct soft_cpu *c, const struct paging *pg, unsigned int level,
		    uint64_t entry)
{
	if (level == 1)
		return true;
	if (!(entry & PTE_PS))
		return false;
	if (pg->entry_size == 4)
		return c->cr4 & CR4_PSE;
	return level == 2 || (level == 3 && pg->levels == 4);
}

/* One try; false when an entry changed meanwhile. Faults leave. */
static bool walk_once(struct soft_cpu *c, uint64_t linear, enum soft_access kind, enum soft_mmu mmu,
		      struct soft_mapping *ret)
{
	const struct paging pg = paging_of(c);
	uint32_t bits = fault_bits(c, kind, mmu);
	uint64_t table = c->cr3 & (pg.levels == 3 ? 0xffffffe0ULL : PTE_ADDR);
	struct soft_mapping m = { .writable = true, .user = true };

	if (pg.levels == 2)
		table = (uint32_t)c->cr3 & ~0xfffU;
	for (unsigned int level = pg.levels;; level--) {
		unsigned int shift = 12 + pg.index_bits * (level - 1);
		uint64_t index = (linear >> shift) & ((1U << pg.index_bits) - 1);
		uint64_t at = table + index * pg.entry_size;
		uint64_t entry;
		bool leaf, pdpte = pg.levels == 3 && level == 3;

		if (pdpte)
			at = table + ((linear >> 30) & 3) * 8;
		entry = load_entry(c, at, pg.entry_size);
		leaf = is_leaf(c, &pg, level, entry);
		if (!(entry & PTE_P))
			page_fault(c, linear, bits);
		if (!pdpte && (entry & reserved_bits(c, &pg, level, leaf)))
			page_fault(c, linear, bits | PF_P | PF_RSVD);
		if (!pdpte) {
			m.writable &= !!(entry & PTE_W);
			m.user &= !!(entry & PTE_U);
			m.no_exec |= pg.entry_size == 8 && (c->efer & EFER_NXE) && (entry & PTE_NX);
		}
		if (leaf) {
			uint64_t page = (1ULL << shift) - 1;
			bool super = mmu != MMU_USER;
			bool denied;

			denied = (mmu == MMU_USER && !m.user) ||
				 (kind == ACC_WRITE && !m.writable &&
				  (!super || (c->cr0 & CR0_WP))) ||
				 (kind == ACC_EXEC &&
				  (m.no_exec || (super && m.user && (c->cr4 & CR4_SMEP)))) ||
				 (kind != ACC_EXEC && mmu == MMU_SUPERVISOR && m.user &&
				  (c->cr4 & CR4_SMAP));
			if (denied)
				page_fault(c, linear, bits | PF_P);
			if (!mark_entry(c, at, pg.entry_size, entry,
					PTE_A | (kind == ACC_WRITE ? PTE_D : 0)))
				return false;
			m.gpa = (entry & PTE_ADDR & ~page) | (linear & page);
			if (pg.entry_size == 4 && level == 2) /* PSE-36 */
				m.gpa = (entry & 0xffc00000) | ((entry & 0x1fe000) << 19) |
					(linear & 0x3fffff);
			m.shift = (uint8_t)shift;
			*ret = m;
			return true;
		}
		if (!pdpte && !mark_entry(c, at, pg.entry_size, entry, PTE_A))
			return false;
		table = entry & PTE_ADDR;
		if (pg.entry_size == 4)
			table = (uint32_t)table;
	}
}

void soft_walk(struct soft_cpu *c, uint64_t linear, enum soft_access kind, enum soft_mmu mmu,
	       struct soft_mapping *ret)
{
	if (!(c->cr0 & CR0_PG)) {
		*ret = (struct soft_mapping){ (uint32_t)linear, true, true, false, 12 };
		return;
	}
	while (!walk_once(c, linear, kind, mmu, ret))
		;
}

/* ---- the TLB ---- */

#define MISS                      \
	{                         \
		.tag = UINT64_MAX \
	}
#define MISSES_8 MISS, MISS, MISS, MISS, MISS, MISS, MISS, MISS
#define MISSES_64 MISSES_8, MISSES_8, MISSES_8, MISSES_8, MISSES_8, MISSES_8, MISSES_8, MISSES_8
#define MISSES_512 \
	MISSES_64, MISSES_64, MISSES_64, MISSES_64, MISSES_64, MISSES_64, MISSES_64, MISSES_64

struct soft_tlb_entry soft_tlb_misses[ACC_KINDS][SOFT_TLB_SIZE] = {
	[ACC_READ] = { MISSES_512 },
	[ACC_WRITE] = { MISSES_512 },
	[ACC_EXEC] = { MISSES_512 },
};
static_assert(SOFT_TLB_SIZE == 512);

/* An entry is for 4 KiB whatever the guest mapped. For INVLPG, which takes the whole of a large page,
 * it is remembered where entries from large pages lie: a bit for each page, many pages to a bit. */
static const uint8_t large_shifts[SOFT_LARGE_SIZES] = { 21, 22, 30 };

static uint64_t *large_word(struct soft_cpu *c, unsigned int s, uint64_t linear)
{
	return &c->large[s][(linear >> large_shifts[s]) / 64 % SOFT_LARGE_WORDS];
}

static uint64_t large_bit(unsigned int s, uint64_t linear)
{
	return 1ULL << (linear >> large_shifts[s]) % 64;
}

static void note_large(struct soft_cpu *c, uint64_t linear, unsigned int shift)
{
	for (unsigned int s = 0; s < SOFT_LARGE_SIZES; s++)
		if (large_shifts[s] == shift)
			*large_word(c, s, linear) |= large_bit(s, linear);
}

void soft_tlb_fill(struct soft_cpu *c, uint64_t linear, enum soft_access kind, enum soft_mmu mmu,
		   uint8_t *host, unsigned int shift)
{
	struct soft_tlb_entry *e = &c->tlb[mmu][kind][(linear >> 12) & (SOFT_TLB_SIZE - 1)];

	e->tag = linear & ~0xfffULL;
	e->addend = (uintptr_t)host - (linear & ~0xfffULL);
	if (shift > 12)
		note_large(c, linear, shift);
	if (c->n_fills < SOFT_TLB_FILLS)
		c->fills[c->n_fills++] = e;
	else
		c->fills_known = false;
}

static void flush_everything(struct soft_cpu *c)
{
	for (unsigned int m = 0; m < MMU_MODES; m++)
		for (unsigned int k = 0; k < ACC_KINDS; k++)
			for (unsigned int i = 0; i < SOFT_TLB_SIZE; i++)
				c->tlb[m][k][i].tag = UINT64_MAX;
}

/* What was made since the last flush is little, as a rule: every change of address space is one. */
void soft_tlb_flush(struct soft_cpu *c, bool global_too)
{
	(void)global_too; /* global entries are not told apart: flushing more is always right */
	if (c->fills_known)
		for (unsigned int i = 0; i < c->n_fills; i++)
			c->fills[i]->tag = UINT64_MAX;
	else
		flush_everything(c);
	c->fills_known = true;
	c->n_fills = 0;
	memset(c->large, 0, sizeof(c->large));
	soft_fetch_flush(c);
}

/* Every entry for the 1 << shift bytes around linear. What another page of that size has made stays:
 * a kernel's own large pages would otherwise go with each page of a program. */
static void drop_around(struct soft_cpu *c, uint64_t linear, unsigned int shift)
{
	struct soft_tlb_entry *all = &c->tlb[0][0][0];
	size_t n = sizeof(c->tlb) / sizeof(*all);

	if (c->fills_known) {
		for (unsigned int i = 0; i < c->n_fills; i++)
			if (c->fills[i]->tag >> shift == linear >> shift)
				c->fills[i]->tag = UINT64_MAX;
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (all[i].tag >> shift == linear >> shift)
			all[i].tag = UINT64_MAX;
}

void soft_tlb_flush_page(struct soft_cpu *c, uint64_t linear)
{
	for (unsigned int m = 0; m < MMU_MODES; m++)
		for (unsigned int k = 0; k < ACC_KINDS; k++)
			c->tlb[m][k][(linear >> 12) & (SOFT_TLB_SIZE - 1)].tag = UINT64_MAX;
	for (unsigned int s = 0; s < SOFT_LARGE_SIZES; s++)
		if (*large_word(c, s, linear) & large_bit(s, linear))
			drop_around(c, linear, large_shifts[s]);
	soft_fetch_flush(c);
}
