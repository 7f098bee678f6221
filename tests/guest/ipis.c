/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPIs as fast as they are acknowledged, to CPUs that do nothing but STI; HLT: each finds its CPU asleep,
 * about to sleep, or still in the handler of the one before. One that is lost is waited for in vain. The
 * command line has the number of CPUs and that of IPIs.
 */
#include "tests/guest/lib/smp.h"

#define ICR 0x300
#define ICR_HIGH 0x310

static volatile bool done;

static void sleeper(unsigned int cpu)
{
	(void)cpu;
	irq_init();
	for (;;) {
		__asm__ volatile("cli");
		if (done)
			return;
		__asm__ volatile("sti; hlt");
	}
}

/* After the number of CPUs. */
static uint32_t ipis_wanted(const struct pvh_info *info)
{
	const char *s = (const char *)info->cmdline;
	uint32_t n = 0;

	while (*s && *s++ != ' ')
		;
	for (; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + (uint32_t)(*s - '0');
	return n;
}

static void send(unsigned int cpu)
{
	lapic_write(ICR_HIGH, cpu << 24);
	lapic_write(ICR, IRQ_VECTOR);
}

void guest_main(const struct pvh_info *info)
{
	unsigned int n_cpus = smp_wanted(info);
	uint32_t n = ipis_wanted(info);

	irq_init();
	check(smp_start(n_cpus, sleeper), "all started");
	for (uint32_t sent = 1; sent <= n; sent++) {
		send(1 + sent % (n_cpus - 1));
		while (irq_count(0) != sent)
			__asm__ volatile("pause");
	}
	check_eq(irq_count(0), n, "every one has come");
	done = true;
	for (unsigned int cpu = 1; cpu < n_cpus; cpu++)
		send(cpu);
	check(smp_finish(n_cpus - 1), "all returned");
}
