/* SPDX-License-Identifier: Apache-2.0 */
/* IOAPIC pins by way of the UART's transmitter interrupt: masked, edge, other vectors. */
#include "tests/guest/lib/guest.h"

#define IER (PORT_SERIAL + 1)
#define IIR (PORT_SERIAL + 2)
#define THRI 0x02
#define MASKED (1U << 16)
#define LEVEL (1U << 15)
#define TRIES 100 /* interrupts come from another process: give it time, but not for ever */
#define LOW(pin) ((uint8_t)(0x10 + 2 * (pin)))

static void registers(void)
{
	bool masked = true;

	check_eq(ioapic_read(1), 0x20 | (IOAPIC_PINS - 1) << 16, "version");
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		masked &= ioapic_read(LOW(pin)) == MASKED;
	check(masked, "masked at first");
	ioapic_write(LOW(5), MASKED | 0x5000 | 0x33);
	check_eq(ioapic_read(LOW(5)), MASKED | 0x33, "read-only bits");
	check_eq(ioapic_read(0xff), 0, "no such register");
	ioapic_write(0xff, 1);
	write8(IOAPIC_START + 0x20, 1);
}

/* Raises the line and says how many more came on a vector; the line is low again when it returns, so
 * that what is printed next raises nothing. */
static uint32_t raise_once(unsigned int i)
{
	uint32_t before = irq_count(i);

	outb(IER, THRI);
	for (unsigned int tries = 0; tries < TRIES && irq_count(i) == before; tries++)
		irq_settle();
	irq_settle();
	outb(IER, 0);
	(void)inb(IIR);
	return irq_count(i) - before;
}

static void masked_pin(void)
{
	check_eq(raise_once(0), 0, "nothing while masked");
	ioapic_write(LOW(GSI_SERIAL) + 1, 0);
	ioapic_write(LOW(GSI_SERIAL), IRQ_VECTOR);
	irq_settle();
	check(irq_count(0) <= 1, "at most the one edge from before");
}

static void edges(void)
{
	check_eq(raise_once(0), 1, "edge");
	check_eq(raise_once(0), 1, "another edge");
	ioapic_write(LOW(GSI_SERIAL), IRQ_VECTOR + 1);
	check_eq(raise_once(1), 1, "another vector");
	ioapic_write(LOW(GSI_SERIAL), (IRQ_VECTOR + 1) | MASKED);
	check_eq(raise_once(1), 0, "nothing when masked again");
}

/* Vectors, modes and destinations that no LAPIC takes. */
static void hostile(void)
{
	static const uint32_t entries[] = {
		0, 0x0f, 0x0503, 0x0600, 0x0740, 0xffff | LEVEL, 0x0241
	};

	for (unsigned int i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		ioapic_write(LOW(GSI_SERIAL) + 1, i & 1 ? 0xff000000 : 0x7f000000);
		ioapic_write(LOW(GSI_SERIAL), entries[i]);
		outb(IER, THRI);
		irq_settle();
		outb(IER, 0);
		(void)inb(IIR);
	}
	ioapic_write(LOW(GSI_SERIAL), MASKED);
	print("lives\n");
}

void guest_main(const struct pvh_info *info)
{
	(void)info;
	registers();
	irq_init();
	outb(IER, 0);
	(void)inb(IIR);
	masked_pin();
	edges();
	hostile();
}
