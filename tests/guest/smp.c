/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the other CPUs by INIT and SIPI; each says in memory that it is there. */
#include "tests/guest/lib/guest.h"

#define TRAMPOLINE 0x10000ULL
#define SEEN 0x11000ULL /* a byte for each APIC id */
#define TRIES 500

#define LAPIC_ICR 0x300
#define ICR_DELIVERING 0x1000
#define ICR_INIT_OTHERS 0xc4500
#define ICR_STARTUP_OTHERS 0xc4600

/* 16-bit code: mov ax, SEEN >> 4; mov ds, ax; mov eax, 1; cpuid; shr ebx, 24; mov byte [bx], 1;
 * cli; hlt; jmp to hlt */
static const uint8_t trampoline[] = {
	0xb8,	    (SEEN >> 4) & 0xff,
	SEEN >> 12, 0x8e,
	0xd8,	    0x66,
	0xb8,	    1,
	0,	    0,
	0,	    0x0f,
	0xa2,	    0x66,
	0xc1,	    0xeb,
	24,	    0xc6,
	0x07,	    1,
	0xfa,	    0xf4,
	0xeb,	    0xfd,
};

static void send(uint32_t icr)
{
	lapic_write(LAPIC_ICR, icr);
	while (lapic_read(LAPIC_ICR) & ICR_DELIVERING)
		;
}

static unsigned int count(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < VCPUS_MAX; i++)
		n += read8(SEEN + i);
	return n;
}

static unsigned int wanted(const char *cmdline)
{
	unsigned int n = 0;

	for (; *cmdline >= '0' && *cmdline <= '9'; cmdline++)
		n = n * 10 + (unsigned int)(*cmdline - '0');
	return n;
}

void guest_main(const struct pvh_info *info)
{
	unsigned int others = wanted((const char *)info->cmdline) - 1;

	irq_init();
	memcpy((void *)TRAMPOLINE, trampoline, sizeof(trampoline));
	send(ICR_INIT_OTHERS);
	send(ICR_STARTUP_OTHERS | TRAMPOLINE >> 12);
	for (unsigned int i = 0; i < TRIES && count() < others; i++)
		irq_settle();
	irq_settle();
	for (unsigned int i = 0; i < VCPUS_MAX; i++)
		if (read8(SEEN + i))
			say_dec("CPU", i);
	check_eq(count(), others, "all others");
}
