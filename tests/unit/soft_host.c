/* SPDX-License-Identifier: Apache-2.0 */
/* Native runs of random instructions; see soft_host.h. */
#include "tests/unit/soft_host.h"

#include <asm/prctl.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE32_SELECTOR 0x23
#define DATA_SELECTOR 0x2b
#define STACK_BYTES (256UL * 1024) /* of the test itself */
#define FLAGS_TAKEN 0xcd5U	   /* the arithmetic flags and DF */

uint8_t *soft_host_code, *soft_host_data;

static const int greg_of[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8,	 REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static enum { IDLE, ENTER, RUNNING } phase;
static struct soft_state *state;
static struct soft_end *end;
static bool in_code32;
static gregset_t own_gregs;
static uint8_t own_fx[512];

/*
 * Code may have any value in RSP: only its use as an address faults (SDM volume 1, 3.3.7.1). But a
 * host that is a guest itself need not be able to return from a signal to such code: where its
 * hypervisor emulates the return, that ends with #GP. So an instruction puts such an RSP in place.
 */
extern const char soft_host_stub[];
extern uint64_t soft_host_stub_rsp, soft_host_stub_rip;
uint64_t soft_host_stub_rsp, soft_host_stub_rip;

__asm__(".pushsection .text\n"
	"soft_host_stub:\n\t"
	"mov soft_host_stub_rsp(%rip), %rsp\n\t"
	"jmp *soft_host_stub_rip(%rip)\n"
	".popsection");

static void take_the_stub(mcontext_t *m)
{
	uint64_t rsp = (uint64_t)m->gregs[REG_RSP];

	if ((uint64_t)((int64_t)(rsp << 16) >> 16) == rsp)
		return;
	soft_host_stub_rsp = rsp;
	soft_host_stub_rip = (uint64_t)m->gregs[REG_RIP];
	m->gregs[REG_RIP] = (greg_t)(uintptr_t)soft_host_stub;
	m->gregs[REG_RSP] = own_gregs[REG_RSP];
}

static void enter(mcontext_t *m)
{
	memcpy(own_gregs, m->gregs, sizeof(own_gregs));
	memcpy(own_fx, m->fpregs, sizeof(own_fx));
	for (int r = 0; r < 16; r++)
		m->gregs[greg_of[r]] = (greg_t)state->gpr[r];
	m->gregs[REG_RIP] = (greg_t)state->rip;
	m->gregs[REG_EFL] = (greg_t)((own_gregs[REG_EFL] & ~(greg_t)FLAGS_TAKEN) |
				     (greg_t)(state->rflags & FLAGS_TAKEN));
	if (in_code32)
		m->gregs[REG_CSGSFS] = (m->gregs[REG_CSGSFS] & ~0xffffLL) | CODE32_SELECTOR;
	memcpy(m->fpregs, state->fx, 416); /* what follows is the kernel's */
	take_the_stub(m);
	phase = RUNNING;
}

static void leave(mcontext_t *m)
{
	for (int r = 0; r < 16; r++)
		state->gpr[r] = (uint64_t)m->gregs[greg_of[r]];
	state->rip = (uint64_t)m->gregs[REG_RIP];
	state->rflags = (uint64_t)m->gregs[REG_EFL] & FLAGS_TAKEN;
	memcpy(state->fx, m->fpregs, 416);
	end->vector = (unsigned int)m->gregs[REG_TRAPNO];
	end->error = (uint32_t)m->gregs[REG_ERR];
	end->cr2 = end->vector == 14 ? (uint64_t)m->gregs[REG_CR2] : 0;
	if (end->vector == 3)
		state->rip--;
	memcpy(m->gregs, own_gregs, sizeof(own_gregs));
	memcpy(m->fpregs, own_fx, 416);
	phase = IDLE;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;

	(void)info;
	if (phase == ENTER && sig == SIGTRAP)
		enter(m);
	else if (phase == RUNNING)
		leave(m);
	else
		_exit(99); /* a bug of the test */
}

static void map_pages(void)
{
	int fd = memfd_create("soft-host", MFD_CLOEXEC);
	uint8_t *all;

	if (fd < 0 || ftruncate(fd, 4 * 4096) < 0)
		err(1, "memfd");
	all = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	soft_host_code = all;
	soft_host_data = all + 4096;
	if (all == MAP_FAILED ||
	    mmap((void *)SOFT_CODE, 4096, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE,
		 fd, 0) == MAP_FAILED ||
	    mmap((void *)SOFT_DATA, SOFT_DATA_WRITABLE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 4096) == MAP_FAILED ||
	    mmap((void *)(SOFT_DATA + SOFT_DATA_WRITABLE), 4096, PROT_READ,
		 MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 3 * 4096) == MAP_FAILED)
		err(1, "mmap");
	for (size_t i = 0; i < 4; i++) /* no page is to be missing later */
		((volatile uint8_t *)all)[i * 4096] = 0;
	for (uint64_t a = 0; a < SOFT_DATA_SIZE; a += 4096)
		(void)*(volatile uint8_t *)(SOFT_DATA + a);
	(void)*(volatile uint8_t *)SOFT_CODE;
}

/* No case is to make the stack grow into an address that it reaches for: it has what the test needs, and grows no more. */
static void hold_the_stack(void)
{
	volatile uint8_t needed[STACK_BYTES];
	unsigned long begin = 0, top = 0;
	struct rlimit r;
	char line[256];
	FILE *maps;

	for (size_t i = 0; i < sizeof(needed); i += 4096)
		needed[i] = 0;
	maps = fopen("/proc/self/maps", "re");
	if (!maps || getrlimit(RLIMIT_STACK, &r) < 0)
		err(1, "the stack");
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "[stack]") && sscanf(line, "%lx-%lx", &begin, &top) != 2)
			errx(1, "/proc/self/maps: %s", line);
	fclose(maps);
	if (top == begin)
		errx(1, "/proc/self/maps has no stack");
	r.rlim_cur = top - begin;
	if (setrlimit(RLIMIT_STACK, &r) < 0)
		err(1, "setrlimit");
}

bool soft_host_has(uint64_t address)
{
	unsigned char present;
	uint64_t page = address & ~0xfffULL;
	bool case_has = page == SOFT_CODE || page - SOFT_DATA < SOFT_DATA_SIZE;

	return !case_has && mincore((void *)(uintptr_t)page, 4096, &present) == 0;
}

void soft_host_init(void)
{
	static uint8_t stack[64 * 1024];
	static const int signals[] = { SIGTRAP, SIGSEGV, SIGFPE, SIGILL, SIGBUS };
	const stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = { .sa_sigaction = on_signal,
				.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	hold_the_stack();
	map_pages();
	if (sigaltstack(&alt, NULL) < 0)
		err(1, "sigaltstack");
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], &sa, NULL) < 0)
			err(1, "sigaction");
	/* null segments do in 64-bit code, but not in 32-bit code */
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(DATA_SELECTOR));
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, SOFT_GS_BASE) < 0)
		err(1, "arch_prctl");
}

void native_run(struct soft_state *s, bool code32, struct soft_end *ret)
{
	state = s;
	end = ret;
	in_code32 = code32;
	phase = ENTER;
	__asm__ volatile("int3" ::: "memory");
}

bool soft_host_has_32(void)
{
	struct soft_state s = { .rip = SOFT_CODE };
	struct soft_end e;

	memset(soft_host_code, 0xcc, 64);
	memcpy(soft_host_code, "\x40\x90", 2); /* INC EAX there, a prefix in 64-bit code */
	s.fx[0] = 0x7f;
	s.fx[1] = 3;
	s.fx[24] = 0x80;
	s.fx[25] = 0x1f;
	native_run(&s, true, &e);
	return e.vector == 3 && s.gpr[0] == 1;
}
