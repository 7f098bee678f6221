/* SPDX-License-Identifier: Apache-2.0 */
/* From a SIPI (real mode, CS:IP 1000:0) straight to long mode; see smp.c. SDM volume 3, 10.8.5. */
	.section .rodata
	.code16
	.globl smp_trampoline, smp_trampoline_end
smp_trampoline:
	cli
	movw %cs, %ax
	movw %ax, %ds
	movl $0x20, %eax	/* PAE */
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax	/* LME */
	wrmsr
	lgdtl gdt_here - smp_trampoline
	movl $0x80000011, %eax	/* PG, ET, PE */
	movl %eax, %cr0
	ljmpl $0x08, $smp_long
gdt_here:
	.word 23
	.long gdt
smp_trampoline_end:

	.text
	.code64
smp_long:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $1, %eax
	cpuid
	shrl $24, %ebx
	movl %ebx, %edi
	leal 1(%rbx), %eax
	shll $13, %eax
	addl $smp_stacks, %eax
	movl %eax, %esp
	call smp_main
1:	hlt
	jmp 1b

	.bss
	.balign 16
smp_stacks:
	.skip 4 * 8192

	.section .note.GNU-stack, "", @progbits
