/* SPDX-License-Identifier: Apache-2.0 */
/* A fault without an IDT. */
#include "tests/guest/lib/guest.h"

void guest_main(const struct pvh_info *info)
{
	const struct [[gnu::packed]] {
		uint16_t limit;
		uint64_t base;
	} nothing = { 0, 0 };

	(void)info;
	print("fault\n");
	__asm__ volatile("lidt %0; ud2" : : "m"(nothing));
	print("lived\n");
}
