/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paging and the soft TLB. SDM volume 3, chapter 4: 32-bit, PAE and 4-level paging.
 *
 * A TLB entry is made only for a page of guest RAM, so the fast path of soft_mem.h can reach
 * nothing else. A page that holds decoded code has a write entry for one instruction at most, which
 * runs out of its block: making one asks for soft_tlb_drop_code, which bumps the page's version.
 */
#include "cmd/vmm/accel/soft/soft_mem.h"

#include "cmd/vmm/accel/soft/debug.h"
#include "cmd/vmm/accel/soft/events.h"
#include "cmd/vmm/accel/soft/lapic.h"
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

#define CR0_WP (1ULL << 16)
#define CR0_PG (1ULL << 31)
#define CR4_PSE (1ULL << 4)
#define CR4_PAE (1ULL << 5)
#define CR4_SMEP (1ULL << 20)
#define CR4_SMAP (1ULL << 21)
#define EFER_NXE (1ULL << 11)

#define PHYS_BITS 40 /* as CPUID says; higher address bits are reserved */

/* What a walk found. */
struct mapping {
	uint64_t gpa;
	bool writable, user, no_exec; /* over all levels */
};

/* ---- physical memory ---- */

struct soft_ram *soft_ram_at(struct accel *vm, uint64_t gpa)
{
	for (unsigned int i = 0; i < vm->n_ram; i++)
		if (gpa - vm->ram[i].gpa < vm->ram[i].size)
			return &vm->ram[i];
	return NULL;
}

/* RAM is a whole number of pages, so a page that starts in it lies in it. */
static uint8_t *host_page(struct accel *vm, uint64_t gpa, struct soft_page **ret_page)
{
	struct soft_ram *ram = soft_ram_at(vm, gpa);
	uint64_t offset;

	if (!ram)
		return NULL;
	offset = (gpa - ram->gpa) & ~0xfffULL;
	*ret_page = &ram->pages[offset >> 12];
	return ram->host + offset;
}

static void note_write(struct soft_page *page)
{
	if (atomic_load_explicit(&page->is_code, memory_order_relaxed))
		atomic_fetch_add(&page->version, 1);
}

bool soft_phys_is_ram(struct accel *vm, uint64_t gpa, size_t len)
{
	const struct soft_ram *ram = soft_ram_at(vm, gpa);

	return ram && len && len <= ram->size - (gpa - ram->gpa);
}

bool soft_phys_write(struct accel *vm, uint64_t gpa, const void *data, size_t len)
{
	struct soft_ram *ram = soft_ram_at(vm, gpa);
	uint64_t at;

	if (!soft_phys_is_ram(vm, gpa, len))
		return false;
	at = gpa - ram->gpa;
	memcpy(ram->host + at, data, len);
	for (uint64_t page = at >> 12; page <= (at + len - 1) >> 12; page++)
		note_write(&ram->pages[page]);
	return true;
}

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
	uint8_t *host = host_page(c->vm, gpa, &page);

	return host ? host + (gpa & 0xfff) : NULL;
}

static uint64_t load_entry(struct soft_cpu *c, uint64_t gpa, unsigned int size)
{
	void *p = entry_host(c, gpa);

	if (!p)
		return 0; /* reads as not present */
	return size == 8 ? __atomic_load_n((uint64_t *)p, __ATOMIC_ACQUIRE)
			 : __atomic_load_n((uint32_t *)p, __ATOMIC_ACQUIRE);
}

/* Sets A or D if the entry is still what was walked; false: walk again. */
static bool mark_entry(struct soft_cpu *c, uint64_t gpa, unsigned int size, uint64_t old,
		       uint64_t bits)
{
	struct soft_page *page;
	uint8_t *host = host_page(c->vm, gpa, &page);
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
						   (uint32_t)(old | bits), false,
						   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	}
	note_write(page);
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

static uint64_t reserved_bits(const struct soft_cpu *c, const struct paging *pg,
			      unsigned int level, bool leaf)
{
	uint64_t rsvd;

	if (pg->entry_size == 4)
		return leaf && level == 2 ? 1U << 21 : 0;
	rsvd = PTE_ADDR & ~((1ULL << PHYS_BITS) - 1);
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
static bool walk_once(struct soft_cpu *c, uint64_t linear, enum soft_access kind,
		      enum soft_mmu mmu, struct mapping *ret)
{
	const struct paging pg = paging_of(c);
	uint32_t bits = fault_bits(c, kind, mmu);
	uint64_t table = c->cr3 & (pg.levels == 3 ? 0xffffffe0ULL : PTE_ADDR);
	struct mapping m = { .writable = true, .user = true };

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
			m.no_exec |= pg.entry_size == 8 && (c->efer & EFER_NXE) &&
				     (entry & PTE_NX);
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

static void walk(struct soft_cpu *c, uint64_t linear, enum soft_access kind, enum soft_mmu mmu,
		 struct mapping *ret)
{
	if (!(c->cr0 & CR0_PG)) {
		*ret = (struct mapping){ (uint32_t)linear, true, true, false };
		return;
	}
	while (!walk_once(c, linear, kind, mmu, ret))
		;
}

/* ---- the TLB ---- */

#define MISS { .tag = UINT64_MAX }
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

static void fill(struct soft_cpu *c, uint64_t linear, enum soft_access kind, enum soft_mmu mmu,
		 uint8_t *host)
{
	struct soft_tlb_entry *e = &c->tlb[mmu][kind][(linear >> 12) & (SOFT_TLB_SIZE - 1)];

	e->tag = linear & ~0xfffULL;
	e->addend = (uintptr_t)host - (linear & ~0xfffULL);
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
	soft_fetch_flush(c);
}

void soft_tlb_flush_page(struct soft_cpu *c, uint64_t linear)
{
	for (unsigned int m = 0; m < MMU_MODES; m++)
		for (unsigned int k = 0; k < ACC_KINDS; k++)
			c->tlb[m][k][(linear >> 12) & (SOFT_TLB_SIZE - 1)].tag = UINT64_MAX;
	soft_fetch_flush(c);
}

/*
 * Some page has become code, or was written to. Entries for fast writes to such pages go, and as
 * this vCPU may have written there just now, without being seen, the pages count as changed.
 */
void soft_tlb_drop_code(struct soft_cpu *c)
{
	for (unsigned int m = 0; m < MMU_MODES; m++) {
		for (unsigned int i = 0; i < SOFT_TLB_SIZE; i++) {
			struct soft_tlb_entry *e = &c->tlb[m][ACC_WRITE][i];
			struct soft_page *page;

			if (e->tag == UINT64_MAX)
				continue;
			page = soft_page_of_host(c->vm, (uint8_t *)(e->addend + e->tag));
			if (page && atomic_load(&page->is_code)) {
				/* nothing decoded is valid any more: data again, until
				 * somebody runs it */
				atomic_store(&page->is_code, 0);
				atomic_fetch_add(&page->version, 1);
				e->tag = UINT64_MAX;
			}
		}
	}
}

struct soft_page *soft_page_of_host(struct accel *vm, const uint8_t *host)
{
	for (unsigned int i = 0; i < vm->n_ram; i++) {
		struct soft_ram *ram = &vm->ram[i];

		if ((uintptr_t)host - (uintptr_t)ram->host < ram->size)
			return &ram->pages[((uintptr_t)host - (uintptr_t)ram->host) >> 12];
	}
	return NULL;
}

static uint64_t page_sum(const uint8_t *host)
{
	uint64_t sum[4] = { 1, 2, 3, 4 };

	for (unsigned int at = 0; at < 4096; at += 32)
		for (unsigned int i = 0; i < 4; i++) {
			uint64_t word;

			memcpy(&word, host + at + 8 * i, 8);
			sum[i] = (sum[i] ^ word) * 0x9e3779b97f4a7c15ULL;
			sum[i] ^= sum[i] >> 29;
		}
	return sum[0] ^ (sum[1] << 1) ^ (sum[2] << 2) ^ (sum[3] << 3);
}

static const uint8_t *host_of_page(const struct accel *vm, const struct soft_page *page)
{
	for (unsigned int i = 0; i < vm->n_ram; i++) {
		size_t index = (size_t)(page - vm->ram[i].pages);

		if (page >= vm->ram[i].pages && index < vm->ram[i].size >> 12)
			return vm->ram[i].host + (index << 12);
	}
	return NULL;
}

/* Before anything is decoded from it: a device's write in between shows as a change. */
static void sum_page(struct accel *vm, struct soft_page *page)
{
	const uint8_t *host = host_of_page(vm, page);

	atomic_store(&page->epoch, atomic_load(&vm->dma_epoch));
	if (host)
		atomic_store(&page->sum, page_sum(host));
}

void soft_page_recheck(struct accel *vm, struct soft_page *page, const uint8_t *host)
{
	uint32_t epoch = atomic_load(&vm->dma_epoch);
	uint64_t sum;

	if (atomic_load_explicit(&page->epoch, memory_order_relaxed) == epoch ||
	    !atomic_load_explicit(&page->is_code, memory_order_relaxed))
		return;
	sum = page_sum(host);
	if (atomic_exchange(&page->sum, sum) != sum)
		atomic_fetch_add(&page->version, 1);
	atomic_store(&page->epoch, epoch);
}

/* This vCPU writes there fast no more; the others hear of it at the end of their blocks. */
static void announce_code(struct soft_cpu *c, const struct soft_page *page)
{
	const uint8_t *host = host_of_page(c->vm, page);

	for (unsigned int m = 0; m < MMU_MODES; m++)
		for (unsigned int i = 0; i < SOFT_TLB_SIZE; i++) {
			struct soft_tlb_entry *e = &c->tlb[m][ACC_WRITE][i];

			if (e->addend + e->tag == (uintptr_t)host)
				e->tag = UINT64_MAX;
		}
	for (unsigned int i = 0; i < c->vm->n_vcpus; i++)
		if (c->vm->cpus[i])
			atomic_fetch_or(&c->vm->cpus[i]->wake, WAKE_CODE);
}

/* is_code falls before the version moves (soft_tlb_drop_code), so a version read before is_code was
 * still seen set is one that later writes will move. */
uint32_t soft_page_make_code(struct soft_cpu *c, struct soft_page *page)
{
	uint32_t version;

	do {
		if (!atomic_exchange(&page->is_code, 1)) {
			sum_page(c->vm, page);
			announce_code(c, page);
		}
		version = atomic_load(&page->version);
	} while (!atomic_load(&page->is_code));
	return version;
}

/* ---- accesses ---- */

/* One page of RAM at linear, or NULL with *ret_gpa when it is not RAM. */
static uint8_t *lookup(struct soft_cpu *c, uint64_t linear, enum soft_access kind,
		       enum soft_mmu mmu, uint64_t *ret_gpa)
{
	struct mapping m;
	struct soft_page *page;
	uint8_t *host;

	walk(c, linear, kind, mmu, &m);
	*ret_gpa = m.gpa;
	if (m.gpa - LAPIC_START < 0x1000)
		return NULL;
	host = host_page(c->vm, m.gpa, &page);
	if (!host)
		return NULL;
	/* The write itself is still to come: behind this instruction, drop_code says that it did.
	 * What the block has decoded beyond it may be what is written now. */
	if (kind == ACC_WRITE && atomic_load_explicit(&page->is_code, memory_order_relaxed)) {
		if (c->in_block)
			soft_raise(c, EX_ALONE);
		atomic_fetch_or(&c->wake, WAKE_CODE);
	}
	fill(c, linear, kind, mmu, host);
	return host + (linear & 0xfff);
}

static void mmio_piece(struct soft_cpu *c, uint64_t gpa, unsigned int width, bool write,
		       uint8_t *data)
{
	struct accel_exit e = {
		.kind = ACCEL_EXIT_MMIO,
		.write = write,
		.width = (uint8_t)width,
		.count = 1,
		.address = gpa,
		.data = data,
	};

	if (gpa - LAPIC_START < 0x1000)
		soft_lapic_mmio(c, gpa - LAPIC_START, width, write, data);
	else if (!write || !soft_ioeventfd_signal(c->vm, gpa))
		c->vm->io.access(c->vm->io.ctx, &e);
}

/* The buses know 1, 2, 4 and 8 bytes: what vectors and FXSAVE bring, and the parts of what crosses
 * pages, comes in such pieces. */
static void mmio(struct soft_cpu *c, uint64_t gpa, unsigned int width, bool write, uint8_t *data)
{
	while (width) {
		unsigned int n = width >= 8 ? 8 : width >= 4 ? 4 : width >= 2 ? 2 : 1;

		mmio_piece(c, gpa, n, write, data);
		gpa += n;
		data += n;
		width -= n;
	}
}

static void access_in_page(struct soft_cpu *c, uint64_t linear, unsigned int width,
			   enum soft_access kind, enum soft_mmu mmu, uint8_t *data)
{
	uint64_t gpa;
	uint8_t *host = lookup(c, linear, kind, mmu, &gpa);

	if (!host)
		mmio(c, gpa, width, kind == ACC_WRITE, data);
	else if (kind == ACC_WRITE)
		memcpy(host, data, width);
	else
		memcpy(data, host, width);
}

/* Raises what the whole access would raise, before any of it happens. */
static void check_both(struct soft_cpu *c, uint64_t linear, unsigned int width,
		       enum soft_access kind, enum soft_mmu mmu)
{
	struct mapping m;

	walk(c, linear, kind, mmu, &m);
	if ((linear & 0xfff) + width > 4096)
		walk(c, (linear | 0xfff) + 1, kind, mmu, &m); /* CR2: where that page begins */
}

/* The rest of the checks, which page faults come before. */
static void check_more(struct soft_cpu *c, uint64_t linear, unsigned int width,
		       enum soft_access kind, enum soft_mmu mmu)
{
	check_both(c, linear, width, kind, mmu);
	soft_check_access(c, linear, width, kind == ACC_WRITE, mmu);
}

static void access_any(struct soft_cpu *c, uint64_t linear, unsigned int width,
		       enum soft_access kind, enum soft_mmu mmu, uint8_t *data)
{
	unsigned int first = 4096 - (unsigned int)(linear & 0xfff);

	if (c->checked)
		check_more(c, linear, width, kind, mmu);
	if (width <= first) {
		access_in_page(c, linear, width, kind, mmu, data);
		return;
	}
	check_both(c, linear, width, kind, mmu);
	access_in_page(c, linear, first, kind, mmu, data);
	access_in_page(c, linear + first, width - first, kind, mmu, data + first);
}

uint64_t soft_read_slow(struct soft_cpu *c, uint64_t linear, unsigned int width, enum soft_mmu mmu)
{
	uint64_t v = 0;

	access_any(c, linear, width, ACC_READ, mmu, (uint8_t *)&v);
	return v;
}

void soft_write_slow(struct soft_cpu *c, uint64_t linear, unsigned int width, uint64_t v,
		     enum soft_mmu mmu)
{
	access_any(c, linear, width, ACC_WRITE, mmu, (uint8_t *)&v);
}

void soft_read_bytes(struct soft_cpu *c, uint64_t linear, void *out, size_t len)
{
	access_any(c, linear, (unsigned int)len, ACC_READ, c->mmu, out);
}

void soft_write_bytes(struct soft_cpu *c, uint64_t linear, const void *data, size_t len)
{
	access_any(c, linear, (unsigned int)len, ACC_WRITE, c->mmu, (uint8_t *)(uintptr_t)data);
}

void *soft_host_rmw(struct soft_cpu *c, uint64_t linear, unsigned int width, enum soft_mmu mmu)
{
	uint64_t gpa;
	void *p = soft_tlb_hit(c, linear, width, ACC_WRITE, mmu);

	if (c->checked)
		check_more(c, linear, width, ACC_WRITE, mmu);
	if (p)
		return p;
	if ((linear & 0xfff) + width > 4096) {
		check_both(c, linear, width, ACC_WRITE, mmu);
		return NULL;
	}
	return lookup(c, linear, ACC_WRITE, mmu, &gpa);
}

void soft_touch_write(struct soft_cpu *c, uint64_t linear, unsigned int width)
{
	check_both(c, linear, width, ACC_WRITE, c->mmu);
}

void *soft_host_run(struct soft_cpu *c, uint64_t linear, size_t *len, enum soft_access kind,
		    enum soft_mmu mmu)
{
	size_t left = 4096 - (linear & 0xfff);
	uint64_t gpa;
	void *p = soft_tlb_hit(c, linear, 1, kind, mmu);

	if (!p)
		p = lookup(c, linear, kind, mmu, &gpa);
	if (p && *len > left)
		*len = left;
	return p;
}

const uint8_t *soft_fetch_page(struct soft_cpu *c, uint64_t linear, uint64_t *ret_gpa)
{
	enum soft_mmu mmu = c->mmu == MMU_USER ? MMU_USER : MMU_SUPERVISOR;
	struct soft_page *page;
	struct mapping m;
	uint8_t *host;

	walk(c, linear, ACC_EXEC, mmu, &m);
	*ret_gpa = m.gpa;
	host = host_page(c->vm, m.gpa, &page);
	if (!host)
		soft_raise_error(c, EX_GP, 0); /* code outside RAM is not supported */
	return host;
}
