/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeps until the power button is pressed, as an idle guest does. */
#include "tests/guest/lib/guest.h"

void guest_main(const struct pvh_info *info)
{
	(void)info;
	irq_init();
	ioapic_write(0x11 + 2 * GSI_GED, 0);
	ioapic_write(0x10 + 2 * GSI_GED, IRQ_VECTOR);
	print("waiting\n");
	irq_wait(0, 1);
	check_eq(inb(PORT_GED), GED_POWER_BUTTON, "power button");
	check_eq(inb(PORT_GED), 0, "once");
}
