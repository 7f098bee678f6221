/* SPDX-License-Identifier: Apache-2.0 */
/* An opcode that no processor has, ten times: a #UD each, and the guest goes on. */
#include "tests/guest/lib/guest.h"

#define VECTOR_UD 6

struct gate {
	uint16_t offset_low, selector, type;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};

static struct gate gates[VECTOR_UD + 1];
static volatile uint32_t seen;

/* Skips the opcode's two bytes. */
void on_undefined(void);
__asm__(".text\n"
	"on_undefined:\n"
	"	addq $2, (%rsp)\n"
	"	incl seen(%rip)\n"
	"	iretq\n");

static void set_gate(void)
{
	const struct [[gnu::packed]] {
		uint16_t limit;
		uint64_t base;
	} idt = { sizeof(gates) - 1, (uintptr_t)gates };
	uintptr_t at = (uintptr_t)on_undefined;
	uint16_t cs;

	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	gates[VECTOR_UD] = (struct gate){ .offset_low = (uint16_t)at,
					  .selector = cs,
					  .type = 0x8e00,
					  .offset_mid = (uint16_t)(at >> 16),
					  .offset_high = (uint32_t)(at >> 32) };
	__asm__ volatile("lidt %0" : : "m"(idt) : "memory");
}

void guest_main(const struct pvh_info *info)
{
	(void)info;
	set_gate();
	for (unsigned int i = 0; i < 10; i++)
		__asm__ volatile(".byte 0x0f, 0x0a" : : : "memory", "cc");
	say_dec("undefined", seen);
	__asm__ volatile("ud2" : : : "memory", "cc"); /* which every processor has */
	say_dec("with ud2", seen);
}
