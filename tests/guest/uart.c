/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550's registers as a guest sees them. */
#include "tests/guest/lib/guest.h"

#define IER (PORT_SERIAL + 1)
#define IIR (PORT_SERIAL + 2)
#define FCR IIR
#define LCR (PORT_SERIAL + 3)
#define MCR (PORT_SERIAL + 4)
#define LSR (PORT_SERIAL + 5)
#define SCR (PORT_SERIAL + 7)
#define LOOP 0x10
#define DLAB 0x80

static bool received(void)
{
	for (unsigned int i = 0; i < 1000; i++)
		if (inb(LSR) & 1)
			return true;
	return false;
}

static void loop_back(void)
{
	uint8_t got = 0;
	bool there;

	outb(MCR, LOOP);
	outb(PORT_SERIAL, 0x5a);
	there = received();
	if (there)
		got = inb(PORT_SERIAL);
	outb(MCR, 0);
	check(there, "loops back");
	check_eq(got, 0x5a, "the same byte");
}

void guest_main(const struct pvh_info *info)
{
	uint8_t divisor;

	(void)info;
	outb(SCR, 0xa5);
	check_eq(inb(SCR), 0xa5, "scratch");
	outb(LCR, DLAB | 3);
	outb(PORT_SERIAL, 12);
	outb(IER, 0);
	divisor = inb(PORT_SERIAL);
	outb(LCR, 3);
	check_eq(divisor, 12, "divisor");
	check_eq(inb(LCR), 3, "line control");
	outb(IER, 0xff);
	check_eq(inb(IER), 0x0f, "four interrupts");
	outb(IER, 0);
	outb(FCR, 0x01);
	check_eq(inb(IIR) & 0xc0, 0xc0, "FIFOs on");
	check_eq(inb(IIR) & 0x01, 0x01, "no interrupt");
	loop_back();
	check_eq(inb(LSR) & 0x60, 0x60, "empty");
	/* wide ones are refused, not split */
	outw(SCR - 1, 0x1111);
	check_eq(inb(SCR), 0xa5, "a wide write changes nothing");
}
