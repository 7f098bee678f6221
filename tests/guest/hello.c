/* SPDX-License-Identifier: Apache-2.0 */
/* Says what it was started with. */
#include "tests/guest/lib/guest.h"

void guest_main(const struct pvh_info *info)
{
	const struct pvh_module *modules = (const void *)info->modlist;
	const char *rsdp = (const void *)info->rsdp;

	print("hello\n");
	say_hex("magic", info->magic);
	say_dec("version", info->version);
	print("cmdline: ");
	print((const char *)info->cmdline);
	print("\n");
	check(memcmp(rsdp, "RSD PTR ", 8) == 0, "rsdp");
	say_dec("modules", info->nr_modules);
	if (info->nr_modules == 1) {
		say_dec("module size", modules->size);
		say_hex("first byte", *(const uint8_t *)modules->addr);
	}
}
