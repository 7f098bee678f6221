/* SPDX-License-Identifier: Apache-2.0 */
/* The alignment check: which accesses of which kinds are refused at each of 16 addresses. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

#define CHECK_ON "pushf; orl $0x40000, (%%rsp); popf\n"
#define CHECK_OFF "\npushf; andl $~0x40000, (%%rsp); popf"

static sigjmp_buf back;
static _Alignas(64) unsigned char memory[1024];

static void on_signal(int sig)
{
	__asm__ volatile("pushf; andl $~0x40000, (%%rsp); popf" : : : "memory", "cc");
	siglongjmp(back, sig);
}

#define TRY(name, ...)                                                                         \
	do {                                                                                   \
		printf("%s:", name);                                                           \
		for (int at = 0; at < 16; at++) {                                              \
			int sig = sigsetjmp(back, 1);                                          \
                                                                                               \
			if (!sig)                                                              \
				__asm__ volatile(CHECK_ON __VA_ARGS__ CHECK_OFF                \
						 :                                             \
						 : "r"(memory + 64 + at)                       \
						 : "memory", "cc", "rax", "rcx", "rdx", "rsi", \
						   "rdi", "r12", "xmm0");                      \
			printf(" %d", sig);                                                    \
		}                                                                              \
		printf("\n");                                                                  \
	} while (0)

#define ON_STACK_AT(where, what) \
	"mov %%rsp, %%r12; lea " where ", %%rsp; " what "; mov %%r12, %%rsp"

static void whole_numbers(void)
{
	TRY("movb", "movb (%0), %%al");
	TRY("movw", "movw (%0), %%ax");
	TRY("movl", "movl (%0), %%eax");
	TRY("movq store", "movq %%rax, (%0)");
	TRY("addl", "addl $1, (%0)");
	TRY("lock addq", "lock addq $1, (%0)");
	TRY("cmpxchg8b", "cmpxchg8b (%0)");
	TRY("bt", "mov $100, %%eax; bt %%eax, (%0)");
	TRY("push", ON_STACK_AT("(%0)", "push %%rax"));
	TRY("pop", ON_STACK_AT("(%0)", "pop %%rax"));
	TRY("call", ON_STACK_AT("256(%0)", "call 1f; 1:"));
	TRY("rep movsb", "mov $40, %%ecx; mov %0, %%rsi; mov %0, %%rdi; rep movsb");
	TRY("rep movsq", "mov $2, %%ecx; mov %0, %%rsi; mov %0, %%rdi; rep movsq");
	TRY("rep stosl", "mov $9, %%ecx; mov %0, %%rdi; rep stosl");
	TRY("repe cmpsw", "mov $5, %%ecx; mov %0, %%rsi; mov %0, %%rdi; repe cmpsw");
}

static void floats(void)
{
	TRY("movss", "movss (%0), %%xmm0");
	TRY("movsd", "movsd (%0), %%xmm0");
	TRY("movups", "movups (%0), %%xmm0");
	TRY("movdqu store", "movdqu %%xmm0, (%0)");
	TRY("lddqu", "lddqu (%0), %%xmm0");
	TRY("pinsrw", "pinsrw $1, (%0), %%xmm0");
	TRY("flds", "flds (%0); fstp %%st(0)");
	TRY("fldl", "fldl (%0); fstp %%st(0)");
	TRY("fldt", "fldt (%0); fstp %%st(0)");
	TRY("fstpt", "fld1; fstpt (%0)");
	TRY("fildll", "fildll (%0); fstp %%st(0)");
	TRY("fnstcw", "fnstcw (%0)");
	TRY("fnstenv", "fnstenv (%0); fninit");
	TRY("fnsave", "fnsave (%0)");
}

int main(void)
{
	static char alternative[65536];
	const stack_t stack = { .ss_sp = alternative, .ss_size = sizeof(alternative) };
	const struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };

	sigaltstack(&stack, NULL);
	sigaction(SIGBUS, &sa, NULL);
	whole_numbers();
	floats();
	return 0;
}
