/* SPDX-License-Identifier: Apache-2.0 */
/* Values and widths that the power registers must not take. ACPI 6.4, 4.8.3.6 and 4.8.3.7. */
#include "tests/guest/lib/guest.h"

#define SLP_EN 0x20

void guest_main(const struct pvh_info *info)
{
	(void)info;
	for (unsigned int v = 0; v < 256; v++)
		if (v != RESET_VALUE)
			outb(PORT_RESET, (uint8_t)v);
	print("no reset\n");
	for (unsigned int v = 0; v < 256; v++)
		if (!(v & SLP_EN) || (v >> 2 & 7) != SLEEP_TYPE_S5)
			outb(PORT_SLEEP_CONTROL, (uint8_t)v);
	print("no sleep\n");
	outw(PORT_RESET, RESET_VALUE);
	outl(PORT_RESET, RESET_VALUE);
	outw(PORT_SLEEP_CONTROL, SLEEP_TYPE_S5 << 2 | SLP_EN);
	outl(PORT_SLEEP_CONTROL, SLEEP_TYPE_S5 << 2 | SLP_EN);
	outb(PORT_SLEEP_STATUS, SLEEP_TYPE_S5 << 2 | SLP_EN);
	outb(PORT_GED, 0xff);
	print("no wide ones\n");
	check_eq(inb(PORT_GED), 0, "no event");
	check_eq(inb(PORT_SLEEP_STATUS), 0, "no wake");
}
