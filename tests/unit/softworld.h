/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine of interpreted CPUs whose guest is hostile: RAM in two pieces with inaccessible pages
 * around each, a device that answers everything and writes to RAM by itself, a clock that only moves
 * when it is looked at. Whatever the guest does, the interpreter must reach nothing but RAM and its
 * own state: the rest is for the sanitizers, the guard pages and world_check.
 */
#ifndef BULKHEAD_TESTS_SOFTWORLD_H
#define BULKHEAD_TESTS_SOFTWORLD_H

#include "cmd/vmm/accel/soft/soft.h"

#define WORLD_LOW_SIZE KIB(128)
#define WORLD_HIGH_SIZE KIB(64) /* from HIGH_RAM_START on */
#define WORLD_CPUS 3

/* Where things are in low RAM. The first 2 MiB are mapped one to one, also at WORLD_UPPER; then
 * follow 2 MiB each of the LAPIC, the high RAM and a device. */
#define WORLD_TABLES 0x1000U /* PML4, PDPT, PD, PT; 32-bit PD and PT; PAE's PDPT */
#define WORLD_GDT 0x8000U
#define WORLD_IDT64 0x9000U
#define WORLD_IDT32 0xa000U
#define WORLD_TSS 0xb000U
#define WORLD_HANDLERS 0xc000U
#define WORLD_STACK 0xf000U
#define WORLD_CODE 0x10000U
#define WORLD_DATA 0x18000U
#define WORLD_LAPIC 0x200000U
#define WORLD_HIGH 0x400000U
#define WORLD_DEVICE 0x600000U
#define WORLD_UPPER 0xffff800000000000U

/* Selectors */
#define WORLD_CS64 0x08
#define WORLD_SS 0x10
#define WORLD_CS32 0x18
#define WORLD_CS16 0x20
#define WORLD_USER_CS32 0x2b
#define WORLD_USER_SS 0x33
#define WORLD_USER_CS64 0x3b
#define WORLD_TR 0x40

enum world_mode {
	WORLD_REAL,
	WORLD_PROTECTED, /* 32-bit, no paging */
	WORLD_PAGING,	 /* 32-bit, two levels */
	WORLD_PAE,
	WORLD_COMPAT, /* 32-bit code in long mode, ring 3 */
	WORLD_LONG,
	WORLD_LONG_USER,
	WORLD_LONG_STRICT, /* with SMEP and SMAP */
};

struct world {
	struct accel vm;
	struct soft_cpu *cpu[WORLD_CPUS];
	uint64_t random; /* what the device answers with */
};

/* The one world; made at the first call, fresh after each. */
struct world *world_new(unsigned int n_cpus);
void world_start(struct soft_cpu *c, enum world_mode mode);
/* Host memory of RAM at gpa, len bytes; NULL when that is not all RAM. */
uint8_t *world_ram(uint64_t gpa, size_t len);
/* Runs until the guest sleeps without a timer, shuts down, or microseconds have passed. */
void world_run(struct soft_cpu *c, unsigned int microseconds);
/* What must hold of a CPU's state whatever has run. Aborts. */
void world_check(const struct soft_cpu *c);

#endif
