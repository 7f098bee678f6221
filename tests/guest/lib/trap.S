/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of all vectors, and the way back to where trap_enter was called; see trap.h. */
	.text
	.globl trap_enter, trap_stubs, trap_iret
trap_enter:
	movq (%rsp), %rax
	movq %rax, context
	leaq 8(%rsp), %rax
	movq %rax, context + 8
	movq %rbx, context + 16
	movq %rbp, context + 24
	movq %r12, context + 32
	movq %r13, context + 40
	movq %r14, context + 48
	movq %r15, context + 56
	xorl %eax, %eax
	ret

/* rdi: a frame for IRET */
trap_iret:
	movq %rdi, %rsp
	movl $0x23, %eax
	movl %eax, %ds
	movl %eax, %es
	iretq

	.balign 16
trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
	.else
	pushq $0
	.endif
	pushq $vector
	jmp common
	.set vector, vector + 1
	.endr

common:
	movq %rax, trap + 64
	movq %rcx, trap + 72
	popq trap
	popq trap + 8
	movq (%rsp), %rax
	movq %rax, trap + 16
	movq 8(%rsp), %rax
	movq %rax, trap + 24
	movq 16(%rsp), %rax
	movq %rax, trap + 32
	movq 24(%rsp), %rax
	movq %rax, trap + 40
	movq 32(%rsp), %rax
	movq %rax, trap + 48
	movq %cr2, %rax
	movq %rax, trap + 56
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	/* by IRET, which also ends an NMI */
	movq context + 8, %rcx
	movq %rcx, %rsp
	pushq $0x10
	pushq %rcx
	pushq $2
	pushq $0x08
	pushq context
	movq context + 16, %rbx
	movq context + 24, %rbp
	movq context + 32, %r12
	movq context + 40, %r13
	movq context + 48, %r14
	movq context + 56, %r15
	movl $1, %eax
	cld
	iretq

	.bss
	.balign 8
context:
	.skip 64

	.section .note.GNU-stack, "", @progbits
