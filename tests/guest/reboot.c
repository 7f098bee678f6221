/* SPDX-License-Identifier: Apache-2.0 */
/* Resets at once, every time that it is started. */
#include "tests/guest/lib/guest.h"

void guest_main(const struct pvh_info *info)
{
	(void)info;
	print("again\n");
	outb(PORT_RESET, RESET_VALUE);
	halt();
}
