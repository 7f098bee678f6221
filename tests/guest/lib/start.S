/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From PVH's entry (32-bit protected mode, no paging, EBX: the start info) to guest_start in long
 * mode with the first 8 GiB mapped one to one. Intel SDM volume 3, 10.8.5.
 */
#define DIRECTORIES 8
#define PTE 0x3     /* present, writable */
#define PTE_LARGE 0x83

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
	movl %ebx, %esi

	/* one PML4 entry, one page directory a GiB */
	movl $pdpt + PTE, pml4
	movl $pdpt, %edi
	movl $pds + PTE, %eax
	movl $DIRECTORIES, %ecx
1:	movl %eax, (%edi)
	addl $0x1000, %eax
	addl $8, %edi
	loop 1b

	/* 2 MiB pages; the upper half counts the 4 GiB */
	movl $pds, %edi
	movl $PTE_LARGE, %eax
	xorl %edx, %edx
	movl $DIRECTORIES * 512, %ecx
2:	movl %eax, (%edi)
	movl %edx, 4(%edi)
	addl $0x200000, %eax
	adcl $0, %edx
	addl $8, %edi
	loop 2b

	movl %cr4, %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80000001, %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $0x08, $long_mode

	.code64
long_mode:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movl $stack_top, %esp
	movl %esi, %edi
	call guest_start
3:	hlt
	jmp 3b

	.section .data
	.balign 8
	.globl gdt, pml4
gdt:
	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
gdt_pointer:
	.word . - gdt - 1
	.long gdt

	.section .bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pds:	.skip 4096 * DIRECTORIES
	.skip 32768
stack_top:

	.section .note.GNU-stack, "", @progbits
