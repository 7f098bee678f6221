/* SPDX-License-Identifier: Apache-2.0 */
/* Other CPUs, in long mode with the boot CPU's page tables, GDT and IDT; see guest.h. */
#ifndef BULKHEAD_TESTS_GUEST_SMP_H
#define BULKHEAD_TESTS_GUEST_SMP_H

#include "tests/guest/lib/guest.h"

#define SMP_MAX 4

/* Calls fn on CPUs 1 to n - 1; false: not all have come. They halt when it returns. */
bool smp_start(unsigned int n, void (*fn)(unsigned int cpu));
/* Waits until the count of those that have returned is n; false: they do not. */
bool smp_finish(unsigned int n);
/* The number at the start of a command line; 0: none. */
unsigned int smp_wanted(const struct pvh_info *info);

#endif
