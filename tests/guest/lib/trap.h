/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions that are wanted: TRY runs an instruction, and what it raises is looked at. Also a GDT
 * with segments of every kind, a TSS, ring 3, and a page whose translation the guest chooses.
 */
#ifndef BULKHEAD_TESTS_GUEST_TRAP_H
#define BULKHEAD_TESTS_GUEST_TRAP_H

#include "tests/guest/lib/guest.h"

/* Selectors. SYSRET's order: USER_CS32, USER_SS, USER_CS64. */
#define KERNEL_CS 0x08
#define KERNEL_SS 0x10
#define USER_CS32 0x1b
#define USER_SS 0x23
#define USER_CS64 0x2b
#define TASK 0x30 /* 16 bytes */
#define KERNEL_CS32 0x40
#define ABSENT_CODE 0x48
#define ABSENT_DATA 0x50
#define READ_ONLY 0x58
#define CONFORMING 0x60
#define ABSENT_SS 0x68
#define BEYOND 0x78 /* outside the table */

enum { DE, DB, NMI, BP, OF, BR, UD, NM, DF, TS = 10, NP, SS, GP, PF, MF = 16, AC, MC, XM };
#define NONE 0x100 /* no exception */

/* The last exception. */
struct trap {
	uint64_t vector, error, rip, cs, flags, rsp, ss;
	uint64_t cr2, rax, rcx;
};

extern struct trap trap;

/* Tables as above; CR0.WP, CR4.OSFXSR and OSXMMEXCPT, EFER.NXE and SCE on. */
void trap_init(void);
/* 0, and again 1 when an exception came since. */
__attribute__((returns_twice)) int trap_enter(void);
/* No exception came. */
void trap_none(void);
/* "ok WHAT" if the last one was this; both otherwise. */
bool expect(const char *what, uint64_t vector, uint64_t error);

#define TRY(what, vector, error, ...)                  \
	do {                                           \
		if (!trap_enter()) {                   \
			__asm__ volatile(__VA_ARGS__); \
			trap_none();                   \
		}                                      \
		expect(what, vector, error);           \
	} while (0)

/* The same for code between the labels NAME and NAME_end, in ring 3: by IRET, with these flags;
 * 32-bit code is what cs says. It ends by an exception, `int $0x80` for none. */
#define TRAP_LEAVE 0x80
void try_user(const char *what, uint64_t vector, uint64_t error, const void *code, uint16_t cs,
	      uint64_t flags);

/* Where ring 3 sees the first 64 MiB. */
#define USER(p) ((uint64_t)(p) + GIB(1))
#define USER_STACK_TOP USER(user_stack + sizeof(user_stack))
extern uint8_t user_stack[4096];

/* A page of 4 KiB at TEST_PAGE whose entry is this, and its directory's; flushes. */
#define TEST_PAGE (GIB(1) + MIB(512))
#define PTE_P 0x1ULL
#define PTE_W 0x2ULL
#define PTE_U 0x4ULL
#define PTE_A 0x20ULL
#define PTE_D 0x40ULL
#define PTE_PS 0x80ULL
#define PTE_NX (1ULL << 63)
extern uint8_t test_page[4096]; /* memory for it */
extern uint64_t test_table[512], *test_directory_entry;
void map_test_page(uint64_t entry);

/* Gate of a vector: type and DPL as in the descriptor's byte 5. */
void trap_gate(unsigned int vector, uint16_t selector, uint8_t type, uint8_t ist);
#define GATE_INTERRUPT 0x8e
#define GATE_USER 0xee
#define GATE_ABSENT 0x0e

/* RSP0 and IST1 to IST7 are tss[1] and tss[9] to tss[15], each 4 bytes low. */
struct [[gnu::packed]] tss {
	uint32_t reserved;
	uint64_t rsp[3], reserved2, ist[7], reserved3;
	uint16_t reserved4, io_map;
};
extern struct tss tss;
extern uint64_t trap_gdt[];
/* Loads TR anew, with this limit. */
void load_task(uint32_t limit);

uint64_t read_cr(unsigned int n); /* 0, 2, 3, 4 */

#define WRITE_CR(n, v) __asm__ volatile("mov %0, %%cr" #n : : "r"((uint64_t)(v)) : "memory")

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
}

#endif
