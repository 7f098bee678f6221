/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every test guest has: output on the UART, ports, memory, interrupts, and ways to end. A guest
 * is one file with guest_main; it runs alone, in ring 0, with the first 8 GiB mapped one to one, and
 * is powered off when guest_main returns. Instructions are dear where KVM emulates ring 0: stay below
 * a few million.
 */
#ifndef BULKHEAD_TESTS_GUEST_GUEST_H
#define BULKHEAD_TESTS_GUEST_GUEST_H

#include "cmd/vmm/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pvh_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct pvh_memmap {
	uint64_t addr, size;
	uint32_t type, reserved;
};

struct pvh_module {
	uint64_t addr, size, cmdline, reserved;
};

void guest_main(const struct pvh_info *info);
/* Whether a word is on the command line. */
bool guest_word(const struct pvh_info *info, const char *word);

/* ---- output; no guest prints what changes from run to run ---- */

void print(const char *s);
void print_dec(uint64_t v);
void print_hex(uint64_t v);
/* "NAME: VALUE" */
void say_dec(const char *name, uint64_t v);
void say_hex(const char *name, uint64_t v);
/* "ok WHAT" or "FAILED WHAT" */
bool check(bool ok, const char *what);
/* As check(got == want), with both values when they differ. */
bool check_eq(uint64_t got, uint64_t want, const char *what);

/* ---- ends ---- */

__attribute__((noreturn)) void power_off(void);
__attribute__((noreturn)) void halt(void);

/* ---- ports and memory ---- */

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

/* One access of exactly this width each, as the instruction decoders of KVM like them. */
#define MMIO_FUNCTIONS(bits, suffix)                                                       \
	static inline uint##bits##_t read##bits(uint64_t at)                               \
	{                                                                                  \
		uint##bits##_t v;                                                          \
                                                                                           \
		__asm__ volatile("mov" suffix " (%1), %0" : "=a"(v) : "r"(at) : "memory"); \
		return v;                                                                  \
	}                                                                                  \
	static inline void write##bits(uint64_t at, uint##bits##_t v)                      \
	{                                                                                  \
		__asm__ volatile("mov" suffix " %0, (%1)" : : "a"(v), "r"(at) : "memory"); \
	}

MMIO_FUNCTIONS(8, "b")
MMIO_FUNCTIONS(16, "w")
MMIO_FUNCTIONS(32, "l")
MMIO_FUNCTIONS(64, "q")

static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(sub));
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return low | (uint64_t)high << 32;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return low | (uint64_t)high << 32;
}

static inline void barrier(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

void *memset(void *to, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

/* ---- interrupts (irq.c) ---- */

#define IRQ_VECTOR 0x40 /* and the IRQ_VECTORS - 1 that follow */
#define IRQ_VECTORS 4

/* Loads an IDT: an exception says so and powers off. */
void idt_init(void);
/* What a vector does instead: a function with __attribute__((interrupt)). */
struct interrupt_frame;
void idt_gate(unsigned int vector, void (*handler)(struct interrupt_frame *f));
/* Loads it on another CPU. */
void idt_load(void);
/* Enables the LAPIC and interrupts. */
void irq_init(void);
/* How many came on IRQ_VECTOR + i so far. */
uint32_t irq_count(unsigned int i);
/* Halts until irq_count(i) is at least n. */
void irq_wait(unsigned int i, uint32_t n);
/* Runs on for a few milliseconds, halting never: for interrupts that should not come. */
void irq_settle(void);
/* Whether irq_count(i) becomes n, in some 400 times that; whether it is n still after four. */
bool irq_comes(unsigned int i, uint32_t n);
bool irq_stays(unsigned int i, uint32_t n);
uint32_t lapic_read(uint32_t reg);
void lapic_write(uint32_t reg, uint32_t v);

uint32_t ioapic_read(uint8_t index);
void ioapic_write(uint8_t index, uint32_t v);

#endif
