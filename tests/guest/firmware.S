/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firmware: what a CPU and memory are at power-on, and that the image below 4 GiB stays as it is. Each check
 * prints a line. At last it has changed whatever it can and restarts: all must hold again, so it never ends
 * by itself. SDM volume 3, table 10-1 and 10.9.
 */
#define HIGH       0xffff0000	/* the image */
#define LOW        0xf0000	/* and its copy */
#define SERIAL     0x3f8
#define CR0_RESET  0x60000010	/* CD, NW, ET */
#define ICR        0xfee00300
#define SVR        0xfee000f0
#define INIT       0x000c4500	/* to all others */
#define SIPI       0x000c46f1	/* the same: at F1000 */
#define MARK       0x5a5a5a5a
#define PLACE      0x7000	/* in RAM */
#define CAME       0x7100	/* the other CPU's word */
#define STACK      0x6000
#define FLAT       8

	/* Says `ok name` or, unless that condition holds, `FAILED name`. All but flags and BP stays. */
	.macro check condition, name
	j\condition 91f
	movw $90f, %bp
	jmp 92f
90:	.asciz "FAILED \name\n"
93:	.asciz "ok \name\n"
91:	movw $93b, %bp
92:	call say
	.endm

	.section .text
	.code16
first:
	movl %cr0, %ebx
	movl %edx, %edi
	movw %cs, %ax
	movl $STACK, %esp	/* SS is 0 */
	cmpw $0xf000, %ax
	check e, "CS"
	cmpl $CR0_RESET, %ebx
	check e, "CR0"
	pushfl
	popl %eax
	andl $~0x8d5, %eax	/* what this code has computed */
	cmpl $2, %eax
	check e, "flags"
	movl %cr4, %eax
	testl %eax, %eax
	check z, "CR4"
	testl %edi, %edi
	check nz, "signature in EDX"
	xorw %ax, %ax
	movw %ax, %ds
	cmpl $0, PLACE
	check e, "RAM is zero"

	/* unreal mode: 4 GiB by DS and ES */
	lgdtl %cs:gdt_pointer
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	movw $FLAT, %cx
	movw %cx, %ds
	movw %cx, %es
	andb $~1, %al
	movl %eax, %cr0
	xorw %cx, %cx
	movw %cx, %ds
	movw %cx, %es

	movl $LOW, %esi
	movl $HIGH, %edi
	movl $0x10000 / 4, %ecx
	repe cmpsl (%edi), (%esi)
	check e, "the copy below 1 MiB"
	ljmp $0xf000, $low

low:	/* from RAM now; the image itself is not to change, by no kind of write */
	movl $HIGH + place, %edi
	movl (%edi), %ebx
	movl $MARK, (%edi)
	cmpl %ebx, (%edi)
	check e, "mov"
	movl $MARK, %eax
	lock xaddl %eax, (%edi)
	cmpl %ebx, %eax
	check e, "xadd reads"
	cmpl %ebx, (%edi)
	check e, "xadd"
	lock incl (%edi)
	cmpl %ebx, (%edi)
	check e, "inc"
	movl %ebx, %eax
	movl $MARK, %ecx
	lock cmpxchgl %ecx, (%edi)
	check z, "cmpxchg compares"
	cmpl %ebx, (%edi)
	check e, "cmpxchg"
	movl $MARK, %eax
	movl $8, %ecx
	rep stosl %eax, (%edi)
	subl $32, %edi
	cmpl %ebx, (%edi)
	check e, "stos"
	movl $PLACE, %esi
	movl $8, %ecx
	rep movsl (%esi), (%edi)
	subl $32, %edi
	cmpl %ebx, (%edi)
	check e, "movs"
	movl $HIGH + 0x2ffe, %edi	/* over the end of a page */
	movl (%edi), %ebx
	movl $MARK, (%edi)
	cmpl %ebx, (%edi)
	check e, "mov across pages"

	/* RAM is RAM, the copy too */
	movl $MARK, PLACE
	cmpl $MARK, PLACE
	check e, "RAM"
	movl $LOW + place, %edi
	movl $MARK, (%edi)
	cmpl $MARK, (%edi)
	check e, "the copy is RAM"

	/* the other CPU, if there is one: CPUID tells how many */
	movl $1, %eax
	cpuid
	shrl $16, %ebx
	cmpb $1, %bl
	jbe 3f
	movl $SVR, %edi
	movl $0x1ff, (%edi)
	movl $ICR, %edi
	movl $INIT, (%edi)
	movl $SIPI, (%edi)
1:	pause
	cmpl $MARK, CAME
	jne 1b
	check e, "the other CPU"
3:	movw $again, %bp
	call say
	movw $0x600, %dx
	movb $1, %al
	outb %al, %dx
4:	hlt
	jmp 4b

/* Prints what CS:BP points to. */
say:	pushal
	movw $SERIAL, %dx
	movw %bp, %si
5:	movb %cs:(%si), %al
	incw %si
	testb %al, %al
	jz 6f
	outb %al, %dx
	jmp 5b
6:	popal
	ret

again:	.asciz "again\n"
	.balign 8
gdt:	.quad 0
	.quad 0x00cf93000000ffff
gdt_pointer:
	.word . - gdt - 1
	.long HIGH + gdt
place:	.long 0x12345678, 0, 0, 0, 0, 0, 0, 0, 0

	. = 0x1000
other:	xorw %ax, %ax
	movw %ax, %ds
	movl $MARK, CAME
7:	hlt
	jmp 7b

	.section .vector, "ax"
	.code16
	jmp first

	.section .note.GNU-stack, "", @progbits
