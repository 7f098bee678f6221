/* SPDX-License-Identifier: Apache-2.0 */
/* A debugger's means: single steps, breakpoints in code, the debug registers' watchpoints. */
#include "next.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile uint64_t watched[4];

/* A loop, a string, a call and a system call, so that steps meet them all. */
extern char work_begin[], work_end[];
void work(void);
asm(".text\n"
    "work_begin:\n"
    "work:	mov $5, %ecx\n"
    "1:	lea 1(%rcx), %rax\n"
    "	loop 1b\n"
    "	lea -64(%rsp), %rdi\n"
    "	mov $7, %ecx\n"
    "	xor %eax, %eax\n"
    "	rep stosb\n"
    "	call 2f\n"
    "	mov $39, %eax\n" /* getpid */
    "	syscall\n"
    "	mov %ss, %eax\n"
    "	mov %eax, %ss\n" /* delays a trap by one instruction */
    "	nop\n"
    "	movups %xmm0, -32(%rsp)\n"
    "	fld1\n"
    "	fstp %st(0)\n"
    "	ret\n"
    "2:	cmc\n"
    "	ret\n"
    "work_end:\n");

static void child(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	work();
	raise(SIGSTOP);
	for (int i = 0; i < 6; i++) {
		watched[1] = (uint64_t)i;
		watched[3] += watched[2];
	}
	work();
	_exit(9);
}

static struct user_regs_struct registers(pid_t pid)
{
	struct user_regs_struct r;

	ptrace(PTRACE_GETREGS, pid, NULL, &r);
	return r;
}

/* Steps to the next stop that is not a step's; prints where in work() it came by. */
static void steps(pid_t pid)
{
	int status, n = 0;

	for (;;) {
		struct user_regs_struct r = registers(pid);

		if (r.rip - (uintptr_t)work_begin < (size_t)(work_end - work_begin)) {
			printf(" %llx:%llx", r.rip - (uintptr_t)work_begin, r.eflags & 0x8d5);
			n++;
		}
		ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
		waitpid(pid, &status, 0);
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
			break;
	}
	printf("\n%d steps, then status %x\n", n, status);
}

static void set_debug(pid_t pid, int n, uintptr_t v)
{
	if (ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg) + (size_t)n * 8, v))
		printf("debug register %d: %s\n", n, strerror(errno));
}

/* Lets it run from stop to stop; what stopped it is in DR6. */
static void watch(pid_t pid)
{
	int status;

	set_debug(pid, 0, (uintptr_t)&watched[1]);
	set_debug(pid, 1, (uintptr_t)&watched[3]);
	set_debug(pid, 2, (uintptr_t)work_begin);
	/* enable 0 to 2; 0: writes of 8 bytes, 1: reads and writes of 8, 2: execution */
	set_debug(pid, 7, 0x15 | 0x9UL << 16 | 0xbUL << 20);
	for (;;) {
		ptrace(PTRACE_CONT, pid, NULL, NULL);
		waitpid(pid, &status, 0);
		if (!WIFSTOPPED(status))
			break;
		printf("stop %d by %lx, values %lx %lx, at work %d\n", WSTOPSIG(status),
		       ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, u_debugreg) + 48, NULL) &
			       0xf,
		       ptrace(PTRACE_PEEKDATA, pid, &watched[1], NULL),
		       ptrace(PTRACE_PEEKDATA, pid, &watched[3], NULL),
		       registers(pid).rip == (uintptr_t)work_begin);
		set_debug(pid, 6, 0);
	}
	printf("status %x\n", status);
}

int main(void)
{
	pid_t pid;
	int status;

	watched[2] = 5;
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		child();
	waitpid(pid, &status, 0);
	steps(pid);
	watch(pid);
	return 0;
}
