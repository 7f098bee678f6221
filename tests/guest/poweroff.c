/* SPDX-License-Identifier: Apache-2.0 */
/* Powers off; whatever came after would be seen. */
#include "tests/guest/lib/guest.h"

void guest_main(const struct pvh_info *info)
{
	(void)info;
	print("off\n");
	outb(PORT_SLEEP_CONTROL, SLEEP_TYPE_S5 << 2 | 0x20);
	print("still on\n");
	halt();
}
