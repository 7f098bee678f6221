/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GDT, page tables and the segment and control registers that go with them. Intel SDM volume 3,
 * 3.4.5 (descriptors), 4.5 (4-level paging).
 */
#include "cmd/vmm/boot/internal.h"

#include "cmd/vmm/control_registers.h"
#include "cmd/vmm/layout.h"

#define SEL_CODE 0x10 /* __BOOT_CS of Linux's boot protocol */
#define SEL_DATA 0x18 /* __BOOT_DS */
#define SEL_TSS 0x20
#define GDT_ENTRIES 6 /* a 64-bit TSS descriptor takes two */

#define TYPE_CODE 0xb /* execute, read, accessed */
#define TYPE_DATA 0x3 /* read, write, accessed */
#define TYPE_TSS 0xb  /* busy */
#define TSS_LIMIT 0x67

#define PTE_PRESENT 0x01ULL
#define PTE_WRITE 0x02ULL
#define PTE_LARGE 0x80ULL
#define PTES 512
#define PAGE KIB(4)
#define DIRECTORIES 4 /* of 1 GiB each */

static uint64_t descriptor(const struct cpu_segment *s)
{
	uint32_t limit = s->g ? s->limit >> 12 : s->limit;
	uint64_t d = (limit & 0xffffU) | (s->base & 0xffffffU) << 16 | (s->base >> 24 & 0xff) << 56;

	d |= (uint64_t)s->type << 40 | (uint64_t)s->s << 44 | (uint64_t)s->dpl << 45 |
	     (uint64_t)s->present << 47;
	d |= (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)s->l << 53 | (uint64_t)s->db << 54 |
	     (uint64_t)s->g << 55;
	return d;
}

static int write_gdt(const struct guestmem *mem, struct cpu_boot_state *ret, bool long_mode)
{
	uint64_t gdt[GDT_ENTRIES] = { 0 };

	ret->cs = (struct cpu_segment){ .selector = SEL_CODE,
					.limit = UINT32_MAX,
					.type = TYPE_CODE,
					.s = true,
					.present = true,
					.db = !long_mode,
					.l = long_mode,
					.g = true };
	ret->ds = (struct cpu_segment){ .selector = SEL_DATA,
					.limit = UINT32_MAX,
					.type = TYPE_DATA,
					.s = true,
					.present = true,
					.db = true,
					.g = true };
	ret->tr = (struct cpu_segment){
		.selector = SEL_TSS, .limit = TSS_LIMIT, .type = TYPE_TSS, .present = true
	};
	gdt[SEL_CODE / 8] = descriptor(&ret->cs);
	gdt[SEL_DATA / 8] = descriptor(&ret->ds);
	gdt[SEL_TSS / 8] = descriptor(&ret->tr);
	ret->gdt_base = GDT_START;
	ret->gdt_limit = sizeof(gdt) - 1;
	return guest_write(mem, GPA(GDT_START), gdt, sizeof(gdt));
}

static int write_directory(const struct guestmem *mem, unsigned int index)
{
	uint64_t pd[PTES];

	for (unsigned int i = 0; i < PTES; i++)
		pd[i] = (GIB(index) + MIB(2) * i) | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
	return guest_write(mem, GPA(BOOT_PAGE_TABLES + (2 + index) * PAGE), pd, sizeof(pd));
}

static int write_page_tables(const struct guestmem *mem)
{
	const uint64_t pdpt = BOOT_PAGE_TABLES + PAGE;
	const uint64_t pml4e = pdpt | PTE_PRESENT | PTE_WRITE;
	uint64_t pdptes[DIRECTORIES];
	int r = 0;

	for (unsigned int i = 0; i < DIRECTORIES; i++)
		pdptes[i] = (BOOT_PAGE_TABLES + (2 + i) * PAGE) | PTE_PRESENT | PTE_WRITE;
	for (unsigned int i = 0; i < DIRECTORIES && r == 0; i++)
		r = write_directory(mem, i);
	if (r == 0)
		r = guest_write(mem, GPA(pdpt), pdptes, sizeof(pdptes));
	if (r == 0)
		r = guest_write(mem, GPA(BOOT_PAGE_TABLES), &pml4e, sizeof(pml4e));
	return r;
}

int cpu_state_flat32(const struct guestmem *mem, struct cpu_boot_state *ret)
{
	ret->cr0 = CR0_PE | CR0_ET;
	ret->cr3 = 0;
	ret->cr4 = 0;
	ret->efer = 0;
	return write_gdt(mem, ret, false);
}

int cpu_state_long64(const struct guestmem *mem, struct cpu_boot_state *ret)
{
	int r = write_gdt(mem, ret, true);

	if (r < 0)
		return r;
	ret->cr0 = CR0_PE | CR0_ET | CR0_PG;
	ret->cr3 = BOOT_PAGE_TABLES;
	ret->cr4 = CR4_PAE;
	ret->efer = EFER_LME | EFER_LMA;
	return write_page_tables(mem);
}
