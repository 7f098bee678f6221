/* SPDX-License-Identifier: Apache-2.0 */
/* INIT, SIPI, and what they start; see smp.h. SDM volume 3, 9.4. */
#include "tests/guest/lib/smp.h"

#define TRAMPOLINE 0x10000ULL
#define TRIES 2000

#define LAPIC_ICR 0x300
#define ICR_DELIVERING 0x1000
#define ICR_INIT_OTHERS 0xc4500
#define ICR_STARTUP_OTHERS 0xc4600

extern const uint8_t smp_trampoline[], smp_trampoline_end[];
void smp_main(unsigned int cpu);

static void (*job)(unsigned int cpu);
static volatile unsigned int n_started, n_returned;

static void count(volatile unsigned int *n)
{
	__asm__ volatile("lock incl %0" : "+m"(*n) : : "memory");
}

/* From smp.S, on a stack of its own. */
void smp_main(unsigned int cpu)
{
	idt_load();
	count(&n_started);
	job(cpu);
	count(&n_returned);
	halt();
}

static void send(uint32_t icr)
{
	lapic_write(LAPIC_ICR, icr);
	while (lapic_read(LAPIC_ICR) & ICR_DELIVERING)
		;
}

static bool reached(volatile unsigned int *n, unsigned int want)
{
	for (unsigned int i = 0; i < TRIES && *n < want; i++)
		irq_settle();
	return *n == want;
}

bool smp_start(unsigned int n, void (*fn)(unsigned int cpu))
{
	job = fn;
	memcpy((void *)TRAMPOLINE, smp_trampoline, (size_t)(smp_trampoline_end - smp_trampoline));
	if (n < 2)
		return true;
	send(ICR_INIT_OTHERS);
	irq_settle();
	send(ICR_STARTUP_OTHERS | TRAMPOLINE >> 12);
	return reached(&n_started, n - 1);
}

bool smp_finish(unsigned int n)
{
	return reached(&n_returned, n);
}

unsigned int smp_wanted(const struct pvh_info *info)
{
	unsigned int n = 0;

	for (const char *s = (const char *)info->cmdline; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + (unsigned int)(*s - '0');
	return n;
}
