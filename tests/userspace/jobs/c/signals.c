/* SPDX-License-Identifier: Apache-2.0 */
/* Every exception that a program can cause: signal, code, address and registers as it is told. */
#include "next.h"

#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf back;
static unsigned char *page, *code_page;

/* The alignment check stays on in a handler, and the C library is not written for it. */
static inline void no_alignment_check(void)
{
	asm volatile("pushf; andl $~0x40000, (%%rsp); popf" : : : "memory", "cc");
}

static void tell(int sig, const siginfo_t *info, const void *context)
{
	const ucontext_t *u = context;
	uintptr_t at = (uintptr_t)info->si_addr, rip = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];

	printf(" signal %d code %d trap %lld error %llx cr2 %s at %s\n", sig, info->si_code,
	       u->uc_mcontext.gregs[REG_TRAPNO], u->uc_mcontext.gregs[REG_ERR],
	       at - (uintptr_t)page < 8192 ? "page" :
	       at == rip		   ? "rip" :
	       at			   ? "other" :
					     "0",
	       rip - (uintptr_t)code_page < 4096 ? "code" : "program");
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	no_alignment_check();
	tell(sig, info, context);
	siglongjmp(back, 1);
}

#define TRY(name, ...)                        \
	do {                                  \
		printf("%s", name);           \
		fflush(stdout);               \
		if (!sigsetjmp(back, 1)) {    \
			__VA_ARGS__;          \
			printf(" nothing\n"); \
		}                             \
	} while (0)

static volatile int zero;

static void integer_faults(void)
{
	TRY("divide", zero = 7 / zero);
	TRY("divide overflow", asm volatile("idivl %%ecx" : : "a"(0), "d"(0x40000000), "c"(1)));
	TRY("int3", asm volatile("int3"));
	TRY("int1", asm volatile(".byte 0xf1"));
	TRY("ud2", asm volatile("ud2"));
	TRY("ud0", asm volatile(".byte 0x0f, 0xff, 0xc0"));
	TRY("into", asm volatile(".byte 0xce"));
	TRY("hlt", asm volatile("hlt"));
	TRY("cli", asm volatile("cli"));
	TRY("in", asm volatile("inb $0x80" : : : "eax"));
	TRY("wrmsr", asm volatile("wrmsr" : : "a"(0), "c"(0), "d"(0)));
	TRY("mov cr3", asm volatile("mov %%cr3, %%rax" : : : "rax"));
	TRY("int 80h vector 81h", asm volatile("int $0x81"));
	TRY("lock nop", asm volatile(".byte 0xf0, 0x90"));
	TRY("load of ds", asm volatile("mov %0, %%ds" : : "r"(0x1234)));
	TRY("15 bytes", asm volatile(".fill 15, 1, 0x66; nop"));
	TRY("single step", asm volatile("pushf; orl $0x100, (%%rsp); popf; nop; nop"
					:
					:
					: "memory"));
}

static void memory_faults(void)
{
	volatile unsigned char *p = page;
	volatile unsigned char *odd = (void *)0x8000000000000000;
	volatile unsigned char *volatile low = (void *)8;

	TRY("read of page 0", (void)*low);
	TRY("write of read-only", p[0] = 1);
	TRY("read of nothing", (void)p[4096]);
	TRY("read across the end", (void)*(volatile uint64_t *)(page + 4092));
	TRY("string across the end", asm volatile("rep movsb"
						  :
						  : "S"(page + 4090), "D"(page - 64), "c"(20)
						  : "memory"));
	TRY("not canonical", (void)*odd);
	TRY("not canonical stack",
	    asm volatile("mov %%rsp, %%rbx; mov %0, %%rsp; pop %%rcx; mov %%rbx, %%rsp"
			 :
			 : "r"(odd)
			 : "rbx", "rcx"));
	TRY("kernel's memory", (void)*(volatile char *)0xffffffff81000000);
	TRY("run of data", ((void (*)(void))(uintptr_t)page)());
	TRY("SSE not aligned", asm volatile("movaps %%xmm0, 1(%0)" : : "r"(code_page)));
	TRY("alignment check", asm volatile("pushf; orl $0x40000, (%%rsp); popf; movl 1(%0), %%eax"
					    :
					    : "r"(page)
					    : "eax", "memory"));
	no_alignment_check();
}

/* A handler begins with all exceptions masked, and what it leaves by a jump stays so. */
#define TRY_FLOAT(name, exceptions, ...)    \
	do {                                \
		fesetenv(FE_DFL_ENV);       \
		feenableexcept(exceptions); \
		TRY(name, __VA_ARGS__);     \
		fesetenv(FE_DFL_ENV);       \
	} while (0)

static void float_faults(void)
{
	const int all = FE_ALL_EXCEPT & ~FE_INEXACT;

	TRY_FLOAT("SSE divide", all, asm volatile("divsd %1, %0" : : "x"(1.0), "x"(0.0)));
	TRY_FLOAT("SSE overflow", all, asm volatile("mulsd %0, %0" : : "x"(1e308)));
	TRY_FLOAT("SSE underflow", all, asm volatile("mulsd %0, %0" : : "x"(1e-308)));
	TRY_FLOAT("SSE invalid", all, asm volatile("sqrtsd %0, %0" : : "x"(-1.0)));
	TRY_FLOAT("SSE inexact", FE_INEXACT, asm volatile("divsd %1, %0" : : "x"(1.0), "x"(3.0)));
	TRY_FLOAT("x87 divide", all, asm volatile("fld1; fldz; fdivrp; fwait" : : : "st"));
	TRY_FLOAT("x87 invalid", all, asm volatile("fld1; fchs; fsqrt; fwait" : : : "st"));
	TRY_FLOAT("x87 stack", all, asm volatile("fstp %%st(0); fwait" : :));
	TRY_FLOAT("x87 inexact at the next", FE_INEXACT,
		  asm volatile("fldpi; fsin; nop; fld1"
			       :
			       :
			       : "st"));
}

static volatile sig_atomic_t ticks;

static void on_tick(int sig)
{
	static volatile double x = 2;

	(void)sig;
	x = x * 1.5 + ticks; /* the handler has floats of its own */
	ticks++;
}

/* A computation in every kind of register goes on as if no signal had come. */
static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, off = { { 0, 0 }, { 0, 0 } };
	long double l = 1;
	double d = 1;
	uint64_t n = 1, rounds = 0;

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (ticks < 20 || rounds < 20000) {
		if (rounds < 20000) {
			l = l * 1.0000001L + 1 / l;
			d = d * 1.0000001 + 1 / d;
			n = n * 6364136223846793005U + 1442695040888963407U;
		}
		rounds++;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	printf("interrupted %.20Lg %.17g %016llx\n", l, d, (unsigned long long)n);
}

static void contexts(void)
{
	static ucontext_t main_context, other;
	static char stack[65536];

	getcontext(&other);
	other.uc_stack.ss_sp = stack;
	other.uc_stack.ss_size = sizeof(stack);
	other.uc_link = &main_context;
	makecontext(&other, (void (*)(void))puts, 1, "in another context");
	swapcontext(&main_context, &other);
	printf("back\n");
}

int main(void)
{
	static char alternative[65536];
	stack_t stack = { .ss_sp = alternative, .ss_size = sizeof(alternative) };
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	static const int signals[] = { SIGFPE, SIGSEGV, SIGBUS, SIGILL, SIGTRAP };

	setvbuf(stdout, NULL, _IOLBF, 0);
	page = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	code_page = page;
	page += 4096;
	mprotect(page, 4096, PROT_READ);
	munmap(page + 4096, 4096);
	sigaltstack(&stack, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &sa, NULL);
	integer_faults();
	memory_faults();
	float_faults();
	interrupted();
	contexts();
	return 0;
}
