/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LOCK and memory order over several CPUs. Sums must be exact, on operands that are aligned, that
 * are not, and that lie on two pages; what two CPUs see of each other's writes must be what the SDM
 * (volume 3, 9.2.3) allows. The command line says how many CPUs there are.
 */
#include "tests/guest/lib/smp.h"

#define ROUNDS 1000U
#define LITMUS_ROUNDS 500U

static uint8_t pages[12288] __attribute__((aligned(4096)));
static volatile uint32_t n_ready, n_cpus;

/* Everybody waits here until all have come. */
static void meet(unsigned int round)
{
	__asm__ volatile("lock incl %0" : "+m"(n_ready) : : "memory");
	while (n_ready < round * n_cpus)
		__asm__ volatile("pause");
}

/* ---- sums ---- */

struct place {
	const char *what;
	unsigned int at;
};

static const struct place places[] = {
	{ "aligned", 0x100 },
	{ "unaligned", 0x203 },
	{ "across lines", 0x33d },
	{ "split", 4093 },
};

static void add_all(uint8_t *p)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint32_t one = 1, old = *(volatile uint32_t *)(void *)p;
		bool done;

		__asm__ volatile("lock incl %0" : "+m"(*(uint32_t *)(void *)p) : : "memory", "cc");
		__asm__ volatile("lock xaddl %1, %0"
				 : "+m"(*(uint32_t *)(void *)p), "+r"(one)
				 :
				 : "memory", "cc");
		do
			__asm__ volatile("lock cmpxchgl %3, %1"
					 : "=@ccz"(done), "+m"(*(uint32_t *)(void *)p), "+a"(old)
					 : "r"(old + 1)
					 : "memory", "cc");
		while (!done);
	}
}

/* A lock made of one bit, around an addition that is not atomic. */
static void add_under_bit(uint8_t *lock, volatile uint32_t *sum)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		bool held;

		for (;;) {
			__asm__ volatile("lock btsl $21, %1"
					 : "=@ccc"(held), "+m"(*(uint32_t *)(void *)lock)
					 :
					 : "memory");
			if (!held)
				break;
			__asm__ volatile("pause");
		}
		*sum = *sum + 1;
		__asm__ volatile("lock btrl $21, %0"
				 : "+m"(*(uint32_t *)(void *)lock)
				 :
				 : "memory", "cc");
	}
}

static void add_16_bytes(uint64_t *p)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t low = 0, high = 0;
		bool done = false;

		while (!done) {
			uint64_t next_low = low + 1, next_high = high - 1;

			__asm__ volatile("lock cmpxchg16b %1"
					 : "=@ccz"(done), "+m"(*(uint8_t(*)[16])p), "+a"(low),
					   "+d"(high)
					 : "b"(next_low), "c"(next_high)
					 : "memory");
		}
	}
}

static void add_by_xchg(volatile uint32_t *lock, volatile uint32_t *sum)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint32_t v = 1;

		while (v) {
			__asm__ volatile("xchgl %0, %1" : "+r"(v), "+m"(*lock) : : "memory");
			if (v)
				__asm__ volatile("pause");
		}
		*sum = *sum + 1;
		*lock = 0;
	}
}

static volatile uint32_t plain_sums[2];
static uint64_t pair[2] __attribute__((aligned(16)));

/* ---- an operand on two lines or pages, and a whole one that overlaps it ---- */

/* The boundary lies behind the first byte of what CPU 0 and its like add 256 to; the others add 1 to the
 * aligned word that begins there. */
static const unsigned int boundaries[] = { 0x540, 8192 };

static void overlap(unsigned int cpu)
{
	for (unsigned int k = 0; k < sizeof(boundaries) / sizeof(boundaries[0]); k++) {
		uint32_t *whole = (uint32_t *)(void *)(pages + boundaries[k]);
		uint32_t *split = (uint32_t *)(void *)(pages + boundaries[k] - 1);

		for (unsigned int i = 0; i < ROUNDS; i++)
			if (cpu % 2)
				__asm__ volatile("lock incl %0" : "+m"(*whole) : : "memory", "cc");
			else
				__asm__ volatile("lock addl $256, %0"
						 : "+m"(*split)
						 :
						 : "memory", "cc");
	}
}

/* A divisor that another CPU makes 0 and 3 by turns: #DE or a quotient, and nothing worse. */
static volatile uint64_t divisor = 3;
static volatile bool dividing = true;

static void division(unsigned int cpu)
{
	while (cpu == 1 && dividing)
		divisor = 3 - divisor;
	for (unsigned int i = 0; cpu == 0 && i < 20 * ROUNDS; i++) {
		uint64_t low = i, high = 1;

		__asm__ volatile("divq (%2)"
				 : "+a"(low), "+d"(high)
				 : "b"(&divisor)
				 : "cc", "memory");
	}
	if (cpu == 0)
		dividing = false;
}

/* #DE: on behind that DIV. */
__attribute__((naked)) static void on_de(struct interrupt_frame *)
{
	__asm__ volatile("addq $3, (%rsp); iretq");
}

static void sums(void)
{
	for (unsigned int k = 0; k < sizeof(places) / sizeof(places[0]); k++)
		add_all(pages + places[k].at);
	add_under_bit(pages + 4095 - 2, &plain_sums[0]);
	add_by_xchg((volatile uint32_t *)(pages + 0x400), &plain_sums[1]);
	add_16_bytes(pair);
}

static uint32_t at_boundary(unsigned int k)
{
	return *(uint32_t *)(void *)(pages + boundaries[k]);
}

/* ---- litmus: two CPUs, and what they may see ---- */

static volatile uint32_t x __attribute__((aligned(64))), y __attribute__((aligned(64)));
static volatile uint32_t r[2], stale, both_zero;

/* Store buffering: with MFENCE not both loads can miss the other's store. */
static void store_buffer(unsigned int cpu)
{
	uint32_t v;

	if (cpu == 0)
		__asm__ volatile("movl $1, %1; mfence; movl %2, %0"
				 : "=r"(v), "=m"(x)
				 : "m"(y)
				 : "memory");
	else
		__asm__ volatile("movl $1, %1; mfence; movl %2, %0"
				 : "=r"(v), "=m"(y)
				 : "m"(x)
				 : "memory");
	r[cpu] = v;
}

/* Message passing: who sees the flag sees what was written before it. */
static void pass_message(unsigned int cpu, uint32_t n)
{
	if (cpu == 0) {
		x = n;
		y = n;
	} else {
		uint32_t flag = y, data = x;

		if (flag == n && data != n)
			stale = stale + 1;
	}
}

static void litmus(unsigned int cpu)
{
	unsigned int round = 3;

	for (uint32_t n = 1; n <= LITMUS_ROUNDS; n++) {
		meet(round++);
		store_buffer(cpu);
		meet(round++);
		if (cpu == 0 && !r[0] && !r[1])
			both_zero = both_zero + 1;
		if (cpu == 0)
			x = y = 0;
		meet(round++);
		pass_message(cpu, n);
		meet(round++);
		if (cpu == 0)
			x = y = 0;
	}
}

static void work(unsigned int cpu)
{
	meet(1);
	sums();
	division(cpu);
	meet(2);
	overlap(cpu);
	if (n_cpus == 2)
		litmus(cpu); /* more would only stand in line */
}

void guest_main(const struct pvh_info *info)
{
	uint32_t want;

	n_cpus = smp_wanted(info);
	irq_init();
	idt_gate(0, on_de);
	check(smp_start(n_cpus, work), "all started");
	work(0);
	check(smp_finish(n_cpus - 1), "all returned");
	want = n_cpus * ROUNDS;
	for (unsigned int k = 0; k < sizeof(places) / sizeof(places[0]); k++)
		check_eq(*(uint32_t *)(void *)(pages + places[k].at), 3 * want, places[k].what);
	check_eq(at_boundary(0), want, "across lines, and a whole one");
	check_eq(at_boundary(1), want, "across pages, and a whole one");
	check_eq(plain_sums[0], want, "under a bit");
	check_eq(plain_sums[1], want, "under xchg");
	check_eq(pair[0], want, "cmpxchg16b, low");
	check_eq(-pair[1], want, "cmpxchg16b, high");
	check_eq(both_zero, 0, "store buffering");
	check_eq(stale, 0, "message passing");
}
