/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a few instructions natively and says what became of registers and memory. The state is put
 * in place by a signal's return and taken from the signal that ends the run: the INT3 behind the
 * instructions, or their fault.
 *
 * Memory: one page of code (read and execute) and three of data (two writable, one read-only),
 * with nothing around them, all below 2 GiB.
 */
#ifndef BULKHEAD_TESTS_SOFT_HOST_H
#define BULKHEAD_TESTS_SOFT_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOFT_CODE 0x10000000ULL
#define SOFT_DATA 0x10100000ULL
#define SOFT_DATA_SIZE (3 * 4096U)
#define SOFT_DATA_WRITABLE (2 * 4096U)
#define SOFT_GS_BASE (SOFT_DATA + 512)

struct soft_state {
	uint64_t gpr[16]; /* in the order of their numbers */
	uint64_t rip, rflags;
	_Alignas(16) uint8_t fx[512]; /* FXSAVE image */
};

/* How a run ended: vector as the CPU numbers them; #BP: it came to its end. */
struct soft_end {
	unsigned int vector;
	uint32_t error;
	uint64_t cr2; /* #PF only */
};

/* Maps the pages and takes the signals over. */
void soft_host_init(void);
/* Whether the kernel has put something of the test itself (its stack, a library) where the guest
 * has nothing: a case that reaches for it faults in the guest alone, and must not run here. */
bool soft_host_has(uint64_t address);
/* Whether 32-bit code can be run here. */
bool soft_host_has_32(void);
/* The same pages, writable, for the test itself. */
extern uint8_t *soft_host_code, *soft_host_data;
/* Runs from s->rip; s becomes the state at the end. An interrupt on the way may spoil a run on a
 * host that is a guest itself: a hypervisor that emulates the return from it may emulate the
 * instruction there too, and both less than well where RSP is not canonical. So a difference counts
 * when the host has given no answer like the software CPU's in so many runs. */
#define SOFT_HOST_RUNS 4U
void native_run(struct soft_state *s, bool code32, struct soft_end *ret);

#endif
