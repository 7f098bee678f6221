/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code that changes: what runs is what was written last, also in the very next instruction, which
 * every processor of this kind does (SDM volume 3, 12.6). By the CPU itself in all ways that it
 * writes, through another address, across pages, by other CPUs with the serialising instruction that
 * 9.1.3 asks for, and by a disk. The command line says how many CPUs there are.
 */
#include "tests/guest/lib/pci.h"
#include "tests/guest/lib/smp.h"

#define PAGE 4096U
#define ROUNDS 300U
#define CROSS_ROUNDS 1000U
#define ALIAS GIB(512) /* where the first 512 GiB begin again */

extern uint64_t pml4[];

static uint8_t code[4 * PAGE] __attribute__((aligned(4096)));

typedef uint32_t (*function)(void);

static function at(const uint8_t *p)
{
	return (function)(uint64_t)p;
}

/* MOV EAX, v; RET */
static void put_function(uint8_t *p, uint32_t v)
{
	p[0] = 0xb8;
	memcpy(p + 1, &v, 4);
	p[5] = 0xc3;
}

static void put_immediate(uint8_t *p, uint32_t v)
{
	write32((uint64_t)p + 1, v);
}

/* ---- a function that is called, changed, and called again ---- */

static void called_again(uint8_t *p, uint64_t by, const char *what)
{
	uint32_t wrong = 0;

	put_function(p, 0);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		put_immediate(p + by, i);
		wrong += at(p)() != i;
	}
	check_eq(wrong, 0, what);
}

/* ---- the very next instruction; each writes its operand's 4 bytes into the MOV behind it ---- */

#define NEXT(what, write)                                                                  \
	do {                                                                               \
		uint32_t wrong = 0;                                                        \
                                                                                           \
		for (uint32_t i = 1; i <= ROUNDS; i++) {                                   \
			uint32_t got;                                                      \
			uint64_t di;                                                       \
                                                                                           \
			__asm__ volatile("lea 1f+1(%%rip), %%rdi; add %3, %%rdi\n\t" write \
					 "\n1:\tmovl $0x11111111, %0"                      \
					 : "=a"(got), "=&D"(di)                            \
					 : "d"(i), "S"(alias), "0"(i)                      \
					 : "rcx", "memory", "cc");                         \
			wrong += got != i;                                                 \
		}                                                                          \
		check_eq(wrong, 0, what);                                                  \
	} while (0)

static void next_instruction(uint64_t alias, const char *mov)
{
	NEXT(mov, "movl %2, (%%rdi)");
	NEXT("next: stos", "stosl");
	NEXT("next: xchg", "movl %2, %%ecx; xchgl %%ecx, (%%rdi)");
	NEXT("next: lock cmpxchg", "movl (%%rdi), %%eax; lock cmpxchgl %2, (%%rdi)");
	NEXT("next: lock xadd", "movl %2, %%ecx; subl (%%rdi), %%ecx; lock xaddl %%ecx, (%%rdi)");
	NEXT("next: add", "movl %2, %%ecx; subl (%%rdi), %%ecx; addl %%ecx, (%%rdi)");
	NEXT("next: four bytes", "movb %%dl, (%%rdi); movb %%dh, 1(%%rdi); movw $0, 2(%%rdi)");
}

/* An instruction that the page's end divides: MOV EAX, imm32 with n bytes on the first page. */
static void straddling(void)
{
	uint32_t wrong = 0;

	for (unsigned int n = 1; n < 6; n++) {
		uint8_t *p = code + 2 * PAGE - n;

		put_function(p, 0);
		for (uint32_t i = 1; i <= 50; i++) {
			put_immediate(p, i * 0x01010101);
			wrong += at(p)() != i * 0x01010101;
			p[3] = 0; /* on this page or the other */
			wrong += at(p)() != ((i * 0x01010101) & 0xff00ffff);
		}
	}
	check_eq(wrong, 0, "across pages");
}

/* REP STOSB makes NOPs of the UD2s that follow it at once, and of those before it. */
static void stos_over_itself(void)
{
	static const uint8_t text[] = {
		0x0f, 0x0b, 0x0f, 0x0b,		    /* not run */
		0x8d, 0x3d, 0xf6, 0xff, 0xff, 0xff, /* lea edi, [rip - 10]: the start */
		0x90, 0xb0, 0x90,		    /* mov al, 0x90 */
		0xb9, 34,   0,	  0,	0,	    /* mov ecx, 34 */
		0xf3, 0xaa,			    /* rep stosb: all of it */
		0x0f, 0x0b, 0x0f, 0x0b, 0x0f, 0x0b, 0x0f, 0x0b, 0x0f, 0x0b,
		0x0f, 0x0b, 0x0f, 0x0b, 0xb8, 7,    0,	  0,	0,    0xc3, /* mov eax, 7; ret */
	};

	memcpy(code, text, sizeof(text));
	check_eq(at(code + 4)(), 7, "rep stos over the block that runs");
	memcpy(code + PAGE - 26, text, sizeof(text));
	check_eq(at(code + PAGE - 22)(), 7, "the same across pages");
}

/* A loop that counts its own immediate up. */
static void loop_that_changes(void)
{
	static const uint8_t text[] = {
		0x31, 0xc0,			    /* xor eax, eax */
		0xb9, 100,  0,	  0,	0,	    /* mov ecx, 100 */
		0x05, 0,    0,	  0,	0,	    /* 7: add eax, 0 */
		0xff, 0x05, 0xf6, 0xff, 0xff, 0xff, /* inc dword [rip - 10]: of that ADD */
		0xff, 0xc9, 0x75, 0xf1,		    /* dec ecx; jnz 7 */
		0xc3,
	};

	memcpy(code, text, sizeof(text));
	check_eq(at(code)(), 99 * 100 / 2, "a loop that changes");
}

/* A page that was written just now, in the block that begins to run in it. */
static void fresh_page(void)
{
	static const uint8_t text[] = {
		0xc6, 0x05, 1, 0, 0, 0,	   5, /* mov byte [rip + 1], 5 */
		0xb8, 0,    0, 0, 0, 0xc3,    /* mov eax, 0; ret */
	};
	uint32_t wrong = 0;

	for (unsigned int i = 0; i < 64; i++) {
		memset(code, 0xcc, PAGE);
		memcpy(code + i * 16, text, sizeof(text));
		wrong += at(code + i * 16)() != 5;
	}
	check_eq(wrong, 0, "a page that was data");
}

/* ---- other CPUs: written, announced, serialised, run ---- */

static volatile uint32_t announced, answered[SMP_MAX], got_wrong;

static void follow(unsigned int cpu)
{
	uint32_t regs[4];

	for (uint32_t n = 1; n <= CROSS_ROUNDS; n++) {
		while (announced != n)
			__asm__ volatile("pause");
		cpuid(0, 0, regs);
		if (at(code + (n & 1) * PAGE)() != n)
			__asm__ volatile("lock incl %0" : "+m"(got_wrong) : : "memory");
		answered[cpu] = n;
	}
}

static void lead(unsigned int n_cpus)
{
	for (uint32_t n = 1; n <= CROSS_ROUNDS; n++) {
		put_function(code + (n & 1) * PAGE, n);
		announced = n;
		for (unsigned int cpu = 1; cpu < n_cpus; cpu++)
			while (answered[cpu] != n)
				__asm__ volatile("pause");
	}
}

static void cross_modified(const struct pvh_info *info)
{
	unsigned int n = smp_wanted(info);

	check(smp_start(n, follow), "all started");
	lead(n);
	check(smp_finish(n - 1), "all returned");
	check_eq(got_wrong, 0, "by another CPU");
}

/* ---- by a disk ---- */

static struct virtq queue __attribute__((aligned(4096)));

static bool transfer(struct virtio *v, uint32_t type, uint64_t sector, uint8_t *data, uint16_t idx)
{
	static struct {
		uint32_t type, reserved;
		uint64_t sector;
	} header;
	static uint8_t status;

	header.type = type;
	header.sector = sector;
	status = 0xff;
	queue.desc[0] = (struct virtq_desc){ (uint64_t)&header, 16, DESC_NEXT, 1 };
	queue.desc[1] = (struct virtq_desc){ (uint64_t)data, 512,
					     (uint16_t)(DESC_NEXT | (type ? 0 : DESC_WRITE)), 2 };
	queue.desc[2] = (struct virtq_desc){ (uint64_t)&status, 1, DESC_WRITE, 0 };
	virtq_submit(v, &queue, 0);
	return virtq_poll(&queue, idx) >= 0 && *(volatile uint8_t *)&status == 0;
}

/* Sectors hold functions; each is read to where the last one has just run. */
static void by_a_disk(void)
{
	uint32_t wrong = 0, regs[4];
	struct virtio v;
	uint16_t idx = 0;

	if (!check(virtio_find(VIRTIO_BLOCK, &v) && virtio_begin(&v), "disk"))
		return;
	virtio_run(&v, &queue, NO_VECTOR);
	for (uint32_t i = 0; i < 8; i++) {
		put_function(code + PAGE, 100 + i);
		wrong += !transfer(&v, 1, i, code + PAGE, ++idx);
	}
	for (uint32_t i = 0; i < 8; i++) {
		wrong += !transfer(&v, 0, i, code, ++idx);
		cpuid(0, 0, regs);
		wrong += at(code)() != 100 + i;
	}
	check_eq(wrong, 0, "by a disk");
}

void guest_main(const struct pvh_info *info)
{
	pml4[1] = pml4[0];
	irq_init();
	called_again(code, 0, "the same page");
	called_again(code, ALIAS, "through another address");
	next_instruction(0, "next: mov");
	straddling();
	if (!guest_word(info, "tcg")) { /* see test_cpu.py */
		next_instruction(ALIAS, "next, through another address: mov");
		stos_over_itself();
	}
	loop_that_changes();
	fresh_page();
	cross_modified(info);
	by_a_disk();
}
