/* SPDX-License-Identifier: Apache-2.0 */
/* Memory accesses where nothing is, at every width, and across the ends of what is. */
#include "tests/guest/lib/guest.h"

#define NOWHERE 0xd8000000ULL /* in the window for BARs, at its end */

void guest_main(const struct pvh_info *info)
{
	(void)info;
	check_eq(read8(NOWHERE), 0xff, "byte");
	check_eq(read16(NOWHERE), 0xffff, "word");
	check_eq(read32(NOWHERE), UINT32_MAX, "long");
	check_eq(read64(NOWHERE), UINT64_MAX, "quad");
	check_eq(read64(NOWHERE + 3), UINT64_MAX, "unaligned");
	check_eq(read32(NOWHERE + 0xffe), UINT32_MAX, "across pages");
	write8(NOWHERE, 1);
	write64(NOWHERE, 1);
	check_eq(read64(NOWHERE), UINT64_MAX, "keeps nothing");
	check_eq(read32(ECAM_START + ECAM_SIZE), UINT32_MAX, "behind ECAM");
	check_eq(read32(ECAM_START + ECAM_SIZE - 2), UINT32_MAX, "across the end of ECAM");
	write32(ECAM_START + ECAM_SIZE - 2, 0);
	/* hardware splits these at the page: one half is the IOAPIC's */
	check_eq(read32(IOAPIC_START - 2) & 0xffff, 0xffff, "into the IOAPIC");
	write64(IOAPIC_START + IOAPIC_SIZE - 4, 0);
	check_eq(read32(0xffff0000), UINT32_MAX, "no firmware");
	check_eq(read64(GIB(5)), UINT64_MAX, "past RAM");
	check_eq(read32(0xc0000000 - 4), UINT32_MAX, "past low RAM");
}
