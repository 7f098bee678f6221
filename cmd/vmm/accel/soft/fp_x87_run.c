/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How x87 instructions run: an instruction is one of the stubs below, called in one of two ways.
 *
 * The slow path: the guest's image is loaded with FXRSTOR, the stub runs with memory operands in a
 * buffer of ours, FXSAVE takes the result. It runs with the guest's own control word: an unmasked
 * exception only sets ES, which the FXSAVE (that does not wait) takes along, so that also what an
 * unmasked exception leaves is the host's. Nothing runs while an exception is pending: the guest
 * gets #MF before.
 *
 * The fast path, a sixth of its time: with all exceptions masked and no stack fault in sight, only
 * the one or two registers that the instruction touches.
 *
 * Between instructions the host's x87 is as at power-on: stack empty and TOP zero, FCW 37F, nothing
 * pending. Only exception flags may be left on the fast path (soft_cpu.x87_left): FNCLEX is slow, and
 * while the guest has the same flags set it makes no difference.
 */
#include "cmd/vmm/accel/soft/fp_x87.h"

/* D8 to DF: 64 register forms each, then eight memory forms each with the operand at RCX; the
 * memory forms again with an operand size of 16 bits. */
__asm__(".pushsection .text.soft_x87,\"ax\",@progbits\n"
	".balign 16\n"
	".globl soft_x87_reg, soft_x87_mem, soft_x87_mem16, soft_x87_call, soft_x87_short\n"
	".hidden soft_x87_reg, soft_x87_mem, soft_x87_mem16, soft_x87_call, soft_x87_short\n"
	"soft_x87_reg:\n"
	".set soft_x87_n, 0\n"
	".rept 512\n"
	".balign 8\n"
	"endbr64\n"
	".byte 0xd8 + (soft_x87_n >> 6), 0xc0 + (soft_x87_n & 63)\n"
	"ret\n"
	".set soft_x87_n, soft_x87_n + 1\n"
	".endr\n"
	".balign 8\n"
	"soft_x87_mem:\n"
	".set soft_x87_n, 0\n"
	".rept 64\n"
	".balign 8\n"
	"endbr64\n"
	".byte 0xd8 + (soft_x87_n >> 3), 1 + ((soft_x87_n & 7) << 3)\n"
	"ret\n"
	".set soft_x87_n, soft_x87_n + 1\n"
	".endr\n"
	".balign 8\n"
	"soft_x87_mem16:\n"
	".set soft_x87_n, 0\n"
	".rept 64\n"
	".balign 8\n"
	"endbr64\n"
	".byte 0x66, 0xd8 + (soft_x87_n >> 3), 1 + ((soft_x87_n & 7) << 3)\n"
	"ret\n"
	".set soft_x87_n, soft_x87_n + 1\n"
	".endr\n"
	/* rdi: image in, rsi: image out, rdx: stub, rcx: operand, r8d: flags; returns flags */
	".balign 16\n"
	".type soft_x87_call, @function\n"
	"soft_x87_call:\n"
	"endbr64\n"
	"sub $24, %rsp\n"
	"stmxcsr (%rsp)\n"
	"fxrstor64 (%rdi)\n"
	"mov %r8d, %eax\n"
	"shl $8, %eax\n"
	"sahf\n"
	"call *%rdx\n"
	"lahf\n"
	"fxsave64 (%rsi)\n"
	"testb $0xff, 2(%rsi)\n"
	"jz 1f\n"
	"fnclex\n"
	"1: emms\n"
	"movl $0x37f, 8(%rsp)\n"
	"fldcw 8(%rsp)\n"
	"ldmxcsr (%rsp)\n"
	"movzbl %ah, %eax\n"
	"add $24, %rsp\n"
	"ret\n"
	".size soft_x87_call, . - soft_x87_call\n"
	/* rdi: two registers of 16 bytes, rsi: stub, edx: how many of them go in, rcx: operand, r8d:
     * FCW, r9d: flags; returns FSW and the flags above it. What is on the stack at the end goes
     * to rdi. The control word is loaded only if it is another one: FLDCW is slow. */
	".balign 16\n"
	".type soft_x87_short, @function\n"
	"soft_x87_short:\n"
	"endbr64\n"
	"push %r8\n"
	"cmpl $0x37f, %r8d\n"
	"je 0f\n"
	"fldcw (%rsp)\n"
	"0: mov %r9d, %eax\n"
	"shl $8, %eax\n"
	"cmp $1, %edx\n"
	"jb 2f\n"
	"je 1f\n"
	"fldt 16(%rdi)\n"
	"1: fldt (%rdi)\n"
	"2: sahf\n"
	"call *%rsi\n"
	"lahf\n"
	"movzbl %ah, %edx\n"
	"mov %edx, %r9d\n"
	"fnstsw %ax\n"
	"movzwl %ax, %eax\n"
	"mov %eax, %edx\n"
	"shr $11, %edx\n"
	"neg %edx\n"
	"and $7, %edx\n"
	"jz 3f\n"
	"fstpt (%rdi)\n"
	"dec %edx\n"
	"jz 3f\n"
	"fstpt 16(%rdi)\n"
	"3: cmpl $0x37f, (%rsp)\n"
	"je 4f\n"
	"movl $0x37f, (%rsp)\n"
	"fldcw (%rsp)\n"
	"4: shl $16, %r9d\n"
	"or %r9d, %eax\n"
	"pop %r8\n"
	"ret\n"
	".size soft_x87_short, . - soft_x87_short\n"
	".popsection\n");
