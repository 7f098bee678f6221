/* SPDX-License-Identifier: Apache-2.0 */
/* Resets with the PC's reset flag as Linux leaves it at a warm reboot. */
#include "tests/guest/lib/guest.h"

void guest_main(const struct pvh_info *info)
{
	(void)info;
	*(volatile uint16_t *)0x472 = 0x1234;
	print("warm\n");
	outb(PORT_RESET, RESET_VALUE);
	halt();
}
