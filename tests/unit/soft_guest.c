/* SPDX-License-Identifier: Apache-2.0 */
/* A machine of one interpreted CPU and little RAM; see soft_guest.h. */
#include "tests/unit/soft_guest.h"

#include "cmd/vmm/accel/soft/decode.h"
#include "cmd/vmm/accel/soft/fp_state.h"
#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RAM_SIZE (64 * 1024U)
#define GPA_TABLES 0x1000U /* four of them */
#define GPA_CODE 0x5000U
#define GPA_DATA 0x6000U

#define PTE_USER 0x7ULL /* present, writable, user */
#define PTE_USER_RO 0x5ULL
#define PTE_NX (1ULL << 63)

uint8_t *soft_guest_code, *soft_guest_data;

static struct accel vm;
static struct soft_cpu *cpu;

static void no_device(void *ctx, const struct accel_exit *e)
{
	(void)ctx;
	(void)e;
}

static void put_entry(uint64_t table, uint64_t index, uint64_t v)
{
	memcpy(vm.ram[0].host + table + index * 8, &v, 8);
}

/* All test addresses lie in one table of 2 MiB. */
static void make_tables(void)
{
	uint64_t pml4 = GPA_TABLES, pdpt = pml4 + 0x1000, pd = pdpt + 0x1000, pt = pd + 0x1000;

	put_entry(pml4, 0, pdpt | PTE_USER);
	put_entry(pdpt, 0, pd | PTE_USER);
	put_entry(pd, SOFT_CODE >> 21, pt | PTE_USER);
	put_entry(pt, SOFT_CODE >> 12 & 511, GPA_CODE | PTE_USER_RO);
	for (unsigned int p = 0; p < 3; p++)
		put_entry(pt, (SOFT_DATA >> 12 & 511) + p,
			  (GPA_DATA + p * 0x1000U) | (p < 2 ? PTE_USER : PTE_USER_RO) | PTE_NX);
}

static void make_ram(void)
{
	void *p = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	vm = (struct accel){ .n_vcpus = 1, .n_ram = 1, .io = { .access = no_device } };
	vm.ram[0] = (struct soft_ram){ .size = RAM_SIZE, .host = p };
	vm.ram[0].pages = calloc(RAM_SIZE >> 12, sizeof(struct soft_page));
	soft_guest_code = vm.ram[0].host + GPA_CODE;
	soft_guest_data = vm.ram[0].host + GPA_DATA;
}

/* Segments as Linux gives them to programs. */
static void set_mode(struct soft_cpu *c, bool code32)
{
	const uint16_t data = SEG_P | SEG_S | SEG_RW | SEG_ACCESSED | SEG_DB | SEG_G | 3 << 5;

	for (unsigned int s = 0; s < 6; s++)
		c->seg[s] = (struct soft_segment){ 0x2b, data, UINT32_MAX, 0 };
	c->seg[S_CS].attr = (uint16_t)((data & ~SEG_DB) | SEG_CODE | (code32 ? SEG_DB : SEG_L));
	c->seg[S_CS].selector = code32 ? 0x23 : 0x33;
	c->seg[S_GS].base = SOFT_GS_BASE;
	c->cpl = 3;
	soft_mode_changed(c);
}

void soft_guest_init(void)
{
	size_t size = (sizeof(*cpu) + 63) & ~63UL;

	make_ram();
	make_tables();
	cpu = aligned_alloc(64, size);
	if (!cpu)
		err(1, "malloc");
	memset(cpu, 0, size);
	cpu->vm = &vm;
	vm.cpus[0] = cpu;
	soft_decode_init();
	if (soft_cache_create(cpu) < 0)
		errx(1, "no cache");
	cpu->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	cpu->cr3 = GPA_TABLES;
	cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	cpu->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
	soft_tlb_flush(cpu, true);
	set_mode(cpu, false);
}

static void put_state(struct soft_cpu *c, const struct soft_state *s)
{
	memcpy(c->gpr, s->gpr, sizeof(c->gpr));
	c->rip = s->rip;
	soft_flags_set(c, s->rflags | FL_IF);
	memcpy(&c->fx, s->fx, 416);
}

static void get_state(struct soft_cpu *c, struct soft_state *s)
{
	memcpy(s->gpr, c->gpr, sizeof(c->gpr));
	s->rip = c->rip;
	s->rflags = soft_flags_get(c) & (FL_ARITH | FL_DF);
	soft_fp_sync(c);
	memcpy(s->fx, &c->fx, 416);
}

/* There is no IDT: an INT3 is seen as the #GP that its missing gate raises. */
static void get_end(const struct soft_cpu *c, struct soft_end *ret)
{
	ret->vector = c->fault.vector;
	ret->error = c->fault.has_error ? c->fault.error : 0;
	if (ret->vector == EX_GP && ret->error == (EX_BP * 8 | 2)) {
		ret->vector = EX_BP;
		ret->error = 0;
	}
	ret->cr2 = ret->vector == EX_PF ? c->cr2 : 0;
}

void interpreted_run(struct soft_state *s, bool code32, struct soft_end *ret)
{
	struct soft_page *page = &vm.ram[0].pages[GPA_CODE >> 12];

	atomic_fetch_add(&page->version, 1); /* the test has changed the code */
	if (code32 == cpu->long64)
		set_mode(cpu, code32);
	put_state(cpu, s);
	while (!soft_execute(cpu))
		if (atomic_exchange(&cpu->wake, 0) & WAKE_CODE)
			soft_tlb_drop_code(cpu);
	get_state(cpu, s);
	get_end(cpu, ret);
}
