/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions, the LAPIC (Intel SDM volume 3, chapter 11) and the IOAPIC; see guest.h. */
#include "tests/guest/lib/guest.h"

#define EXCEPTIONS 32
#define GATES (IRQ_VECTOR + IRQ_VECTORS)
#define GATE_INTERRUPT 0x8e00U
#define SPURIOUS 0xff

#define LAPIC_EOI 0xb0
#define LAPIC_TPR 0x80
#define LAPIC_SVR 0xf0
#define SVR_ENABLE 0x100

#define SETTLE_CYCLES 5000000 /* of the TSC: a few milliseconds */

struct gate {
	uint16_t low, selector, type, middle;
	uint32_t high, reserved;
};

static struct gate idt[256] __attribute__((aligned(16)));
static volatile uint32_t counts[IRQ_VECTORS];

/* Called by interrupt handlers: keeps every register. */
__attribute__((no_caller_saved_registers)) static void died(const char *what)
{
	print("FAILED: exception ");
	print(what);
	print("\n");
	power_off();
}

#define EXCEPTION(name, text)                                                  \
	__attribute__((interrupt)) static void name(struct interrupt_frame *f) \
	{                                                                      \
		(void)f;                                                       \
		died(text);                                                    \
	}

EXCEPTION(on_other, "")
EXCEPTION(on_ud, "#UD")
EXCEPTION(on_df, "#DF")
EXCEPTION(on_gp, "#GP")
EXCEPTION(on_pf, "#PF")

#define INTERRUPT(i)                                                                \
	__attribute__((interrupt)) static void on_irq##i(struct interrupt_frame *f) \
	{                                                                           \
		(void)f;                                                            \
		__asm__ volatile("lock incl %0" : "+m"(counts[i]));                 \
		*(volatile uint32_t *)(LAPIC_START + LAPIC_EOI) = 0;                \
	}

INTERRUPT(0)
INTERRUPT(1)
INTERRUPT(2)
INTERRUPT(3)

__attribute__((interrupt)) static void on_spurious(struct interrupt_frame *f)
{
	(void)f;
}

void idt_gate(unsigned int vector, void (*handler)(struct interrupt_frame *))
{
	uint64_t at = (uint64_t)handler;

	idt[vector] = (struct gate){ .low = (uint16_t)at,
				     .selector = 0x08,
				     .type = GATE_INTERRUPT,
				     .middle = (uint16_t)(at >> 16),
				     .high = (uint32_t)(at >> 32) };
}

void idt_load(void)
{
	const struct [[gnu::packed]] {
		uint16_t limit;
		uint64_t base;
	} pointer = { sizeof(idt) - 1, (uint64_t)idt };

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

void idt_init(void)
{
	for (unsigned int i = 0; i < EXCEPTIONS; i++)
		idt_gate(i, on_other);
	idt_gate(6, on_ud);
	idt_gate(8, on_df);
	idt_gate(13, on_gp);
	idt_gate(14, on_pf);
	idt_gate(IRQ_VECTOR, on_irq0);
	idt_gate(IRQ_VECTOR + 1, on_irq1);
	idt_gate(IRQ_VECTOR + 2, on_irq2);
	idt_gate(IRQ_VECTOR + 3, on_irq3);
	idt_gate(SPURIOUS, on_spurious);
	idt_load();
}

uint32_t lapic_read(uint32_t reg)
{
	return read32(LAPIC_START + reg);
}

void lapic_write(uint32_t reg, uint32_t v)
{
	write32(LAPIC_START + reg, v);
}

void irq_init(void)
{
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_SVR, SVR_ENABLE | SPURIOUS);
	__asm__ volatile("sti");
}

uint32_t irq_count(unsigned int i)
{
	return counts[i];
}

/* sti takes effect after hlt has begun, so that nothing is missed between check and hlt. */
void irq_wait(unsigned int i, uint32_t n)
{
	for (;;) {
		__asm__ volatile("cli");
		if (counts[i] >= n)
			break;
		__asm__ volatile("sti; hlt");
	}
	__asm__ volatile("sti");
}

void irq_settle(void)
{
	uint64_t start = rdtsc();

	while (rdtsc() - start < SETTLE_CYCLES)
		__asm__ volatile("pause");
}

bool irq_comes(unsigned int i, uint32_t n)
{
	for (unsigned int k = 0; k < 400 && irq_count(i) < n; k++)
		irq_settle();
	return irq_count(i) >= n;
}

bool irq_stays(unsigned int i, uint32_t n)
{
	for (unsigned int k = 0; k < 4; k++)
		irq_settle();
	return irq_count(i) == n;
}

uint32_t ioapic_read(uint8_t index)
{
	write32(IOAPIC_START, index);
	return read32(IOAPIC_START + 0x10);
}

void ioapic_write(uint8_t index, uint32_t v)
{
	write32(IOAPIC_START, index);
	write32(IOAPIC_START + 0x10, v);
}
