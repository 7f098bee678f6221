/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a page's entry allows and what it does not, the error code of #PF, reserved bits, accessed and
 * dirty bits. SDM volume 3, 4.6 to 4.8. Ring 3's accesses are of the same page by code of ring 3.
 */
#include "tests/guest/lib/trap.h"

#define NOWHERE "0x60000000" /* TEST_PAGE */
#define READ "movl " NOWHERE ", %%eax"
#define WRITE "movl %%eax, " NOWHERE
#define FETCH "movl $" NOWHERE ", %%eax; call *%%rax"
#define CR0_WP (1ULL << 16)
#define CR4_SMEP (1ULL << 20)
#define CR4_SMAP (1ULL << 21)
#define EFER 0xc0000080
#define EFER_NXE (1ULL << 11)

#define BLOB(name, text)             \
	extern const uint8_t name[]; \
	__asm__(".pushsection .text\n.balign 16\n" #name ":\n" text "\n.popsection\n")

BLOB(u_read, "movl " NOWHERE ", %eax; int $0x80");
BLOB(u_write, "movl %eax, " NOWHERE "; int $0x80");
BLOB(u_fetch, "movl $" NOWHERE ", %eax; call *%rax; int $0x80");

static void all(const char *name, uint64_t e, const uint64_t vectors[6], const uint64_t errors[6])
{
	print(name);
	print("\n");
	map_test_page(e);
	TRY("ring 0 reads", vectors[0], errors[0], READ : : : "rax");
	TRY("ring 0 writes", vectors[1], errors[1], WRITE : : : "memory");
	test_page[0] = 0xc3;
	TRY("ring 0 runs", vectors[2], errors[2], FETCH : : : "rax", "memory");
	try_user("ring 3 reads", vectors[3], errors[3], u_read, USER_CS64, 0);
	try_user("ring 3 writes", vectors[4], errors[4], u_write, USER_CS64, 0);
	test_page[0] = 0xc3;
	try_user("ring 3 runs", vectors[5], errors[5], u_fetch, USER_CS64, 0);
}

#define VECTORS(...) ((const uint64_t[6]){ __VA_ARGS__ })

static void rights(void)
{
	all("absent", 0, VECTORS(PF, PF, PF, PF, PF, PF), VECTORS(0, 2, 0x10, 4, 6, 0x14));
	all("user, writable", PTE_P | PTE_W | PTE_U, VECTORS(NONE, NONE, NONE, NONE, NONE, NONE),
	    VECTORS(0));
	all("user, read-only", PTE_P | PTE_U, VECTORS(NONE, PF, NONE, NONE, PF, NONE),
	    VECTORS(0, 3, 0, 0, 7, 0));
	all("supervisor, writable", PTE_P | PTE_W, VECTORS(NONE, NONE, NONE, PF, PF, PF),
	    VECTORS(0, 0, 0, 5, 7, 0x15));
	all("user, no execute", PTE_P | PTE_W | PTE_U | PTE_NX,
	    VECTORS(NONE, NONE, PF, NONE, NONE, PF), VECTORS(0, 0, 0x11, 0, 0, 0x15));
	WRITE_CR(0, read_cr(0) & ~CR0_WP);
	all("user, read-only, without WP", PTE_P | PTE_U, VECTORS(NONE, NONE, NONE, NONE, PF, NONE),
	    VECTORS(0, 0, 0, 0, 7, 0));
	WRITE_CR(0, read_cr(0) | CR0_WP);
}

/* The directory's entry counts as much as the table's. */
static void levels(void)
{
	map_test_page(PTE_P | PTE_W | PTE_U);
	*test_directory_entry &= ~PTE_W;
	WRITE_CR(3, read_cr(3));
	TRY("read-only by the directory", PF, 3, WRITE : : : "memory");
	*test_directory_entry = (*test_directory_entry | PTE_W) & ~PTE_U;
	WRITE_CR(3, read_cr(3));
	try_user("supervisor by the directory", PF, 5, u_read, USER_CS64, 0);
	*test_directory_entry |= PTE_U | PTE_NX;
	WRITE_CR(3, read_cr(3));
	TRY("no execute by the directory", PF, 0x11, FETCH : : : "rax", "memory");
	map_test_page(0);
}

static void reserved(void)
{
	uint32_t r[4];
	uint64_t beyond;

	cpuid(0x80000008, 0, r);
	beyond = 1ULL << (r[0] & 0xff);
	if (beyond < 1ULL << 52) {
		map_test_page(PTE_P | PTE_W | PTE_U | beyond);
		TRY("beyond the physical addresses, read", PF, 9, READ : : : "rax");
		TRY("the same, write", PF, 0xb, WRITE : : : "memory");
		try_user("the same, by ring 3", PF, 0xd, u_read, USER_CS64, 0);
	}
	map_test_page(0);
	*test_directory_entry = 0x2000 | PTE_P | PTE_W | PTE_U | PTE_PS;
	WRITE_CR(3, read_cr(3));
	TRY("a large page not aligned", PF, 9, READ : : : "rax");
	map_test_page(PTE_P | PTE_W | PTE_U | PTE_NX);
	wrmsr(EFER, rdmsr(EFER) & ~EFER_NXE);
	WRITE_CR(3, read_cr(3));
	TRY("NX without NXE", PF, 9, READ : : : "rax");
	wrmsr(EFER, rdmsr(EFER) | EFER_NXE);
	map_test_page(0);
}

static void large(void)
{
	uint64_t at = (uint64_t)test_page & ~(MIB(2) - 1);

	*test_directory_entry = at | PTE_P | PTE_W | PTE_U | PTE_PS;
	WRITE_CR(3, read_cr(3));
	*(volatile uint32_t *)test_page = 0x12345678;
	check_eq(read32(TEST_PAGE + (uint64_t)test_page % MIB(2)), 0x12345678, "a large page");
	check_eq(*test_directory_entry & (PTE_A | PTE_D), PTE_A, "accessed");
	write32(TEST_PAGE + (uint64_t)test_page % MIB(2), 1);
	check_eq(*test_directory_entry & (PTE_A | PTE_D), PTE_A | PTE_D, "accessed and dirty");
	map_test_page(0);
}

static void accessed_and_dirty(void)
{
	volatile uint64_t *e = &test_table[0];

	map_test_page(PTE_P | PTE_W);
	check_eq(*e & (PTE_A | PTE_D), 0, "neither");
	(void)read8(TEST_PAGE);
	check_eq(*e & (PTE_A | PTE_D), PTE_A, "read: accessed");
	write8(TEST_PAGE, 0);
	check_eq(*e & (PTE_A | PTE_D), PTE_A | PTE_D, "written: dirty, without a flush");
	map_test_page(PTE_P);
	TRY("a write that fails", PF, 3, WRITE : : : "memory");
	check_eq(*e & PTE_D, 0, "is not dirty");
	map_test_page(0);
	test_table[0] = (uint64_t)test_page | PTE_P | PTE_W;
	TRY("an entry made present needs no flush", NONE, 0, READ : : : "rax");
	test_table[0] &= ~PTE_W;
	__asm__ volatile("invlpg " NOWHERE : : : "memory");
	TRY("INVLPG and read-only", PF, 3, WRITE : : : "memory");
	map_test_page(0);
}

static bool has_smap(void)
{
	uint32_t r[4];

	cpuid(7, 0, r);
	return (r[1] >> 7 & 1) && (r[1] >> 20 & 1);
}

static void smep_and_smap(void)
{
	if (!check(has_smap(), "SMEP and SMAP are there"))
		return;
	map_test_page(PTE_P | PTE_W | PTE_U);
	test_page[0] = 0xc3;
	WRITE_CR(4, read_cr(4) | CR4_SMEP);
	TRY("SMEP: ring 0 runs ring 3's", PF, 0x11, FETCH : : : "rax", "memory");
	TRY("SMEP: ring 0 reads ring 3's", NONE, 0, READ : : : "rax");
	WRITE_CR(4, (read_cr(4) & ~CR4_SMEP) | CR4_SMAP);
	TRY("SMAP: ring 0 reads ring 3's", PF, 1, READ : : : "rax");
	TRY("SMAP: ring 0 writes ring 3's", PF, 3, WRITE : : : "memory");
	TRY("SMAP: ring 0 runs ring 3's", NONE, 0, FETCH : : : "rax", "memory");
	TRY("SMAP: with STAC", NONE, 0, "stac; " READ "; clac" : : : "rax");
	TRY("SMAP: with CLAC", PF, 1, "stac; clac; " READ : : : "rax");
	try_user("SMAP: ring 3 reads", NONE, 0, u_read, USER_CS64, 0);
	map_test_page(PTE_P | PTE_W);
	TRY("SMAP: ring 0's own", NONE, 0, READ : : : "rax");
	WRITE_CR(4, read_cr(4) & ~CR4_SMAP);
	map_test_page(0);
}

void guest_main(const struct pvh_info *info)
{
	(void)info;
	trap_init();
	rights();
	levels();
	reserved();
	large();
	accessed_and_dirty();
	smep_and_smap();
}
