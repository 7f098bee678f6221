/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Linux guest's command line says of a panic. Documentation/admin-guide/kernel-parameters.txt:
 * panic=, reboot=.
 */
#ifndef BULKHEAD_BASE_CMDLINE_H
#define BULKHEAD_BASE_CMDLINE_H

#include <stdbool.h>

/* Whether it says what the kernel does when it has panicked, with a word panic=. */
bool cmdline_says_panic(const char *cmdline);

/*
 * Whether a reboot by panic is told from others: "reboot=panic_warm" has such a reboot be a warm one, which
 * the kernel leaves word of in the PC's reset flag, at the physical address 0x472. Not where all are warm.
 */
bool cmdline_tells_panic(const char *cmdline);

#endif
