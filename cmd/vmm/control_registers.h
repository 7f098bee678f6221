/* SPDX-License-Identifier: Apache-2.0 */
/* Bits of the control registers, EFER and RFLAGS (SDM volume 3, 2.2.1 and 2.5), and what they may hold
 * together. */
#ifndef BULKHEAD_VMM_CONTROL_REGISTERS_H
#define BULKHEAD_VMM_CONTROL_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CR0_PE (1ULL << 0)
#define CR0_MP (1ULL << 1)
#define CR0_EM (1ULL << 2)
#define CR0_TS (1ULL << 3)
#define CR0_ET (1ULL << 4)
#define CR0_NE (1ULL << 5)
#define CR0_WP (1ULL << 16)
#define CR0_AM (1ULL << 18)
#define CR0_NW (1ULL << 29)
#define CR0_CD (1ULL << 30)
#define CR0_PG (1ULL << 31)

#define CR4_TSD (1ULL << 2)
#define CR4_DE (1ULL << 3)
#define CR4_PSE (1ULL << 4)
#define CR4_PAE (1ULL << 5)
#define CR4_MCE (1ULL << 6)
#define CR4_PGE (1ULL << 7)
#define CR4_OSFXSR (1ULL << 9)
#define CR4_OSXMMEXCPT (1ULL << 10)
#define CR4_UMIP (1ULL << 11)
#define CR4_FSGSBASE (1ULL << 16)
#define CR4_PCIDE (1ULL << 17)
#define CR4_SMEP (1ULL << 20)
#define CR4_SMAP (1ULL << 21)

#define EFER_SCE (1ULL << 0)
#define EFER_LME (1ULL << 8)
#define EFER_LMA (1ULL << 10)
#define EFER_NXE (1ULL << 11)

#define RFLAGS_1 2U /* always set */

/* Why no vCPU can have these, or NULL. */
static inline const char *control_registers_refuse(uint64_t cr0, uint64_t cr3, uint64_t cr4,
						   uint64_t efer, uint64_t rflags)
{
	bool pe = cr0 & CR0_PE, pg = cr0 & CR0_PG, lma = efer & EFER_LMA;

	if (!(cr0 & CR0_ET) || (pg && !pe) || ((cr0 & CR0_NW) && !(cr0 & CR0_CD)))
		return "cr0 cannot be";
	if (lma != (pg && (efer & EFER_LME)) || (lma && !(cr4 & CR4_PAE)))
		return "efer does not go with cr0 and cr4";
	if (!lma && cr3 >> 32)
		return "cr3 has 64 bits outside of long mode";
	return rflags & RFLAGS_1 ? NULL : "rflags cannot be";
}

#endif
