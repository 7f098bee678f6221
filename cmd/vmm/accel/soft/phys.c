/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest RAM by physical address, and which of its pages hold decoded code. Such a page has a write
 * entry in a TLB for one instruction at most, which runs out of its block: making one asks for
 * soft_tlb_drop_code, which bumps the page's version.
 */
#include "cmd/vmm/accel/soft/dma.h"
#include "cmd/vmm/accel/soft/paging.h"

struct soft_ram *soft_ram_at(struct accel *vm, uint64_t gpa)
{
	for (unsigned int i = 0; i < vm->n_ram; i++)
		if (gpa - vm->ram[i].gpa < vm->ram[i].size)
			return &vm->ram[i];
	return NULL;
}

/* RAM is a whole number of pages, so a page that starts in it lies in it. */
uint8_t *soft_host_page(struct accel *vm, uint64_t gpa, bool write, struct soft_page **ret_page)
{
	struct soft_ram *ram = soft_ram_at(vm, gpa);
	uint64_t offset;

	if (!ram || (write && ram->read_only))
		return NULL;
	offset = (gpa - ram->gpa) & ~0xfffULL;
	*ret_page = &ram->pages[offset >> 12];
	return ram->host + offset;
}

void soft_note_write(struct soft_page *page)
{
	if (atomic_load_explicit(&page->is_code, memory_order_relaxed))
		atomic_fetch_add(&page->version, 1);
}

bool soft_phys_is_ram(struct accel *vm, uint64_t gpa, size_t len)
{
	const struct soft_ram *ram = soft_ram_at(vm, gpa);

	return ram && !ram->read_only && len && len <= ram->size - (gpa - ram->gpa);
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
		soft_note_write(&ram->pages[page]);
	return true;
}

/* ---- pages of code ---- */

struct soft_page *soft_page_of_host(struct accel *vm, const uint8_t *host)
{
	for (unsigned int i = 0; i < vm->n_ram; i++) {
		struct soft_ram *ram = &vm->ram[i];

		if ((uintptr_t)host - (uintptr_t)ram->host < ram->size)
			return &ram->pages[((uintptr_t)host - (uintptr_t)ram->host) >> 12];
	}
	return NULL;
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
			soft_dma_begin(c->vm, page, host_of_page(c->vm, page));
			announce_code(c, page);
		}
		version = atomic_load(&page->version);
	} while (!atomic_load(&page->is_code));
	return version;
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
