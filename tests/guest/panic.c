/* SPDX-License-Identifier: Apache-2.0 */
/* Says panic by pvpanic; goes on if it is let. */
#include "tests/guest/lib/guest.h"

void guest_main(const struct pvh_info *info)
{
	(void)info;
	check_eq(inb(PORT_PVPANIC), 1, "pvpanic understands bit 0");
	outb(PORT_PVPANIC, 0xfe);   /* nothing that is understood */
	outw(PORT_PVPANIC, 0x0001); /* straddles: another device's */
	print("panic\n");
	outb(PORT_PVPANIC, 0x01);
	print("went on\n");
}
