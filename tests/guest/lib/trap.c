/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor tables, ring 3 and page tables for the guests that fault on purpose; see trap.h. */
#include "tests/guest/lib/trap.h"

#define STUB_SIZE 16
#define EFER 0xc0000080
#define CR0_WP (1ULL << 16)
#define CR0_NE (1ULL << 5)
#define CR4_SSE (3ULL << 9) /* OSFXSR, OSXMMEXCPT */

struct gate {
	uint16_t low, selector;
	uint8_t ist, type;
	uint16_t middle;
	uint32_t high, reserved;
};

extern const uint8_t trap_stubs[];
extern uint64_t pml4[];
__attribute__((noreturn)) void trap_iret(const uint64_t *frame);

struct trap trap;
struct tss tss __attribute__((aligned(16)));
uint64_t trap_gdt[16] __attribute__((aligned(16)));
uint8_t user_stack[4096] __attribute__((aligned(4096)));
uint8_t test_page[4096] __attribute__((aligned(4096)));
uint64_t test_table[512] __attribute__((aligned(4096)));
uint64_t *test_directory_entry;

static struct gate gates[256] __attribute__((aligned(16)));
static uint8_t ring0_stack[8192] __attribute__((aligned(16)));
static uint8_t ist_stack[8192] __attribute__((aligned(16)));

uint64_t read_cr(unsigned int n)
{
	uint64_t v = 0;

	switch (n) {
	case 0:
		__asm__ volatile("mov %%cr0, %0" : "=r"(v));
		break;
	case 2:
		__asm__ volatile("mov %%cr2, %0" : "=r"(v));
		break;
	case 3:
		__asm__ volatile("mov %%cr3, %0" : "=r"(v));
		break;
	case 4:
		__asm__ volatile("mov %%cr4, %0" : "=r"(v));
		break;
	}
	return v;
}

void trap_gate(unsigned int vector, uint16_t selector, uint8_t type, uint8_t ist)
{
	uint64_t at = (uint64_t)trap_stubs + vector * STUB_SIZE;

	gates[vector] =
		(struct gate){ (uint16_t)at,	     selector, ist, type, (uint16_t)(at >> 16),
			       (uint32_t)(at >> 32), 0 };
}

static void load_pointer(bool gdt, const void *base, uint16_t limit)
{
	const struct [[gnu::packed]] {
		uint16_t limit;
		uint64_t base;
	} pointer = { limit, (uint64_t)base };

	if (gdt)
		__asm__ volatile("lgdt %0" : : "m"(pointer));
	else
		__asm__ volatile("lidt %0" : : "m"(pointer));
}

static void make_gdt(void)
{
	static const uint64_t table[] = {
		[KERNEL_CS / 8] = 0x00af9b000000ffff,	[KERNEL_SS / 8] = 0x00cf93000000ffff,
		[USER_CS32 / 8] = 0x00cffb000000ffff,	[USER_SS / 8] = 0x00cff3000000ffff,
		[USER_CS64 / 8] = 0x00affb000000ffff,	[KERNEL_CS32 / 8] = 0x00cf9b000000ffff,
		[ABSENT_CODE / 8] = 0x00af1b000000ffff, [ABSENT_DATA / 8] = 0x00cf13000000ffff,
		[READ_ONLY / 8] = 0x00cf91000000ffff,	[CONFORMING / 8] = 0x00af9f000000ffff,
		[ABSENT_SS / 8] = 0x00cf13000000ffff,
	};

	memcpy(trap_gdt, table, sizeof(table));
	load_pointer(true, trap_gdt, BEYOND - 1);
	load_task(sizeof(tss) - 1);
}

void load_task(uint32_t limit)
{
	uint64_t at = (uint64_t)&tss;

	trap_gdt[TASK / 8] = limit | (at & 0xffffff) << 16 | 0x89ULL << 40 |
			     (at >> 24 & 0xff) << 56;
	trap_gdt[TASK / 8 + 1] = at >> 32;
	__asm__ volatile("ltr %w0" : : "r"(TASK));
}

/* Ring 3 sees the first 64 MiB once more, from 1 GiB on; then comes the test page. */
static void make_user_pages(void)
{
	uint64_t *pdpt = (uint64_t *)(pml4[0] & ~0xfffULL);
	uint64_t *pd = (uint64_t *)(pdpt[1] & ~0xfffULL);

	pml4[0] |= PTE_U;
	pdpt[1] |= PTE_U;
	for (uint64_t i = 0; i < 32; i++)
		pd[i] = i << 21 | PTE_P | PTE_W | PTE_U | PTE_PS;
	test_directory_entry = &pd[256];
	map_test_page(0);
}

void map_test_page(uint64_t entry)
{
	*test_directory_entry = (uint64_t)test_table | PTE_P | PTE_W | PTE_U;
	test_table[0] = entry ? entry | (uint64_t)test_page : 0;
	WRITE_CR(3, read_cr(3));
}

void trap_init(void)
{
	for (unsigned int v = 0; v < 256; v++)
		if (v < IRQ_VECTOR || v >= IRQ_VECTOR + IRQ_VECTORS)
			trap_gate(v, KERNEL_CS, GATE_INTERRUPT, 0);
	trap_gate(BP, KERNEL_CS, GATE_USER, 0);
	trap_gate(OF, KERNEL_CS, GATE_USER, 0);
	trap_gate(TRAP_LEAVE, KERNEL_CS, GATE_USER, 0);
	load_pointer(false, gates, sizeof(gates) - 1);
	tss.rsp[0] = (uint64_t)(ring0_stack + sizeof(ring0_stack));
	for (unsigned int i = 0; i < 7; i++)
		tss.ist[i] = (uint64_t)(ist_stack + sizeof(ist_stack));
	tss.io_map = sizeof(tss);
	make_gdt();
	make_user_pages();
	WRITE_CR(0, read_cr(0) | CR0_WP | CR0_NE);
	WRITE_CR(4, read_cr(4) | CR4_SSE);
	wrmsr(EFER, rdmsr(EFER) | 0x801);
}

void trap_none(void)
{
	trap = (struct trap){ .vector = NONE };
}

static void print_trap(uint64_t vector, uint64_t error)
{
	if (vector == NONE) {
		print("none");
		return;
	}
	print_dec(vector);
	print("(");
	print_hex(error);
	print(")");
}

bool expect(const char *what, uint64_t vector, uint64_t error)
{
	if (trap.vector == vector && (vector == NONE || trap.error == error))
		return check(true, what);
	print("FAILED ");
	print(what);
	print(": ");
	print_trap(trap.vector, trap.error);
	print(", not ");
	print_trap(vector, error);
	print("\n");
	return false;
}

void try_user(const char *what, uint64_t vector, uint64_t error, const void *code, uint16_t cs,
	      uint64_t flags)
{
	if (!trap_enter()) {
		const uint64_t frame[] = { USER(code), cs, flags | 2, USER_STACK_TOP, USER_SS };

		trap_iret(frame);
	}
	if (trap.vector == TRAP_LEAVE)
		trap.vector = NONE;
	expect(what, vector, error);
}
