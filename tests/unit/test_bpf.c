/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evaluator of seccomp programs against the kernel: which programs it takes, and what they
 * answer, for random ones too. The kernel's answer is the errno of a call that the program refuses
 * with its result.
 */
#include "tests/unit/unit.h"

#include "lib/surface/bpf.h"

#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define TRIED_NR 499 /* no kernel has it */
#define N_RANDOM 400
#define N_CALLS 8

static uint64_t seed = 20261126;

static uint32_t random32(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16);
}

/* ---- which programs are taken ---- */

static bool kernel_takes(const struct sock_filter *code, size_t n)
{
	struct sock_fprog prog = { .len = (unsigned short)n, .filter = (struct sock_filter *)code };
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGILL, SIG_DFL); /* cmocka's */
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			_exit(2);
		/* the answer comes before the filter is in force: it may forbid exit */
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
			_exit(1);
		__builtin_trap();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 1);
	return WIFSIGNALED(status);
}

#define RET BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static const struct sock_filter odd[][4] = {
	{ RET },
	{ BPF_STMT(BPF_RET | BPF_A, 0) },
	{ BPF_STMT(BPF_RET | BPF_X, 0) },
	{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 60), RET },
	{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RET },
	{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), RET },
	{ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0xfffffffc), RET },
	{ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), RET },
	{ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), RET },
	{ BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), RET },
	{ BPF_STMT(BPF_LDX | BPF_W | BPF_ABS, 0), RET },
	{ BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), RET },
	{ BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), RET },
	{ BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0), RET },
	{ BPF_STMT(BPF_LD | BPF_IMM, 7), RET },
	{ BPF_STMT(BPF_LDX | BPF_IMM, 7), RET },
	{ BPF_STMT(BPF_ST, 15), BPF_STMT(BPF_LD | BPF_MEM, 15), RET },
	{ BPF_STMT(BPF_ST, 16), RET },
	{ BPF_STMT(BPF_LD | BPF_MEM, 0), RET },
	{ BPF_STMT(BPF_STX, 3), BPF_STMT(BPF_LDX | BPF_MEM, 3), RET },
	{ BPF_STMT(BPF_STX, 3), BPF_STMT(BPF_LDX | BPF_MEM, 4), RET },
	{ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), BPF_STMT(BPF_ST, 0),
	  BPF_STMT(BPF_LD | BPF_MEM, 0), RET },
	{ BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RET },
	{ BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), RET },
	{ BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), RET },
	{ BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 31), RET },
	{ BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), RET },
	{ BPF_STMT(BPF_ALU | BPF_RSH | BPF_X, 32), RET },
	{ BPF_STMT(BPF_ALU | BPF_NEG, 0), RET },
	{ BPF_STMT(BPF_ALU | BPF_NEG | BPF_X, 0), RET },
	{ BPF_STMT(BPF_ALU | 0xb0, 0), RET },
	{ BPF_STMT(BPF_JMP | BPF_JA, 0), RET },
	{ BPF_STMT(BPF_JMP | BPF_JA, 1), RET },
	{ BPF_STMT(BPF_JMP | BPF_JA | BPF_X, 0), RET },
	{ BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), RET },
	{ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0), RET },
	{ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), RET },
	{ BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 0, 1), RET },
	{ BPF_JUMP(BPF_JMP | 0x50, 0, 0, 0), RET },
	{ BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0), RET },
	{ BPF_STMT(BPF_MISC | 0x40, 0), RET },
	{ BPF_STMT(0x100 | BPF_LD | BPF_IMM, 0), RET },
	{ BPF_STMT(BPF_LD | BPF_IMM, 0) },
};

/* Up to and with the last instruction that is not empty. */
static size_t length(const struct sock_filter *code)
{
	size_t n = 4;

	while (n > 1 && code[n - 1].code == 0 && code[n - 1].k == 0)
		n--;
	return n;
}

static void test_takes_what_the_kernel_takes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		const struct bpf_program p = { odd[i], length(odd[i]) };

		if (bpf_check(&p) != kernel_takes(p.code, p.n))
			fail_msg("program %zu (%#x): ours says %d", i, odd[i][0].code,
				 bpf_check(&p));
	}
}

static void test_lengths(void **state)
{
	static struct sock_filter code[BPF_PROGRAM_MAX + 1];
	struct bpf_program p = { code, 0 };

	(void)state;
	for (size_t i = 0; i <= BPF_PROGRAM_MAX; i++)
		code[i] = (struct sock_filter)RET;
	assert_false(bpf_check(&p));
	p.n = BPF_PROGRAM_MAX;
	assert_true(bpf_check(&p));
	p.n = BPF_PROGRAM_MAX + 1;
	assert_false(bpf_check(&p));
}

/* ---- what they answer ---- */

static struct sock_filter random_step(size_t left)
{
	static const uint16_t ops[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR,
					BPF_AND, BPF_XOR, BPF_LSH, BPF_RSH, BPF_NEG };
	static const uint16_t jumps[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET };
	uint16_t src = random32() % 2 ? BPF_X : BPF_K;
	uint16_t op = ops[random32() % ARRAY_SIZE(ops)];
	uint32_t k = random32() % 3 ? random32() % 40 : random32();

	switch (random32() % 8) {
	case 0:
	case 1: /* not where the call is made from, which is not ours to foretell */
		return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						    16 + 4 * (random32() % 12));
	case 2:
		return (struct sock_filter)BPF_STMT(BPF_MISC | (random32() % 2 ? BPF_TAX : BPF_TXA),
						    0);
	case 3:
		return (struct sock_filter)BPF_STMT(random32() % 2 ? BPF_ST : BPF_STX,
						    random32() % 16);
	case 4:
		return (struct sock_filter)BPF_STMT((random32() % 2 ? BPF_LD : BPF_LDX) | BPF_MEM,
						    random32() % 16);
	case 5:
		return (struct sock_filter)BPF_JUMP(BPF_JMP | jumps[random32() % 4] | src, k,
						    (uint8_t)(random32() % (left + 1)),
						    (uint8_t)(random32() % (left + 1)));
	}
	if (op == BPF_NEG)
		src = BPF_K;
	return (struct sock_filter)BPF_STMT(BPF_ALU | op | src, k);
}

/* Other calls are allowed; the tried one is refused with the low bits of what was computed. */
static size_t random_program(struct sock_filter *code)
{
	size_t body = 4 + random32() % 24, n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TRIED_NR, 1, 0);
	code[n++] = (struct sock_filter)RET;
	for (size_t i = 0; i < body; i++)
		code[n++] = random_step(body - i - 1);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7ff);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	return n;
}

/* In a child: the kernel's errno of each call, or -1 where it kills. */
static void kernel_answers(const struct sock_filter *code, size_t n, uint64_t args[N_CALLS][6],
			   int *shared)
{
	struct sock_fprog prog = { .len = (unsigned short)n, .filter = (struct sock_filter *)code };
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid > 0) {
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		return;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		_exit(1);
	for (int i = 0; i < N_CALLS; i++) {
		const uint64_t *a = args[i];

		errno = 0;
		(void)syscall(TRIED_NR, a[0], a[1], a[2], a[3], a[4], a[5]);
		shared[i] = errno;
	}
	_exit(0);
}

static void test_answers_what_the_kernel_answers(void **state)
{
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size_t tried = 0;

	(void)state;
	assert_ptr_not_equal(shared, MAP_FAILED);
	while (tried < N_RANDOM) {
		struct sock_filter code[64];
		const struct bpf_program p = { code, random_program(code) };
		uint64_t args[N_CALLS][6];

		if (!bpf_check(&p))
			continue;
		tried++;
		for (int i = 0; i < N_CALLS; i++) {
			for (int k = 0; k < 6; k++)
				args[i][k] = random32() % 4 ?
						     random32() % 40 :
						     (uint64_t)random32() << 32 | random32();
			shared[i] = -1;
		}
		kernel_answers(code, p.n, args, shared);
		for (int i = 0; i < N_CALLS; i++) {
			struct seccomp_data d = { .nr = TRIED_NR, .arch = AUDIT_ARCH_X86_64 };
			uint32_t action;

			memcpy(d.args, args[i], sizeof(d.args));
			action = bpf_run(&p, &d, NULL, NULL);
			/* a division by zero kills */
			if ((action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_KILL_THREAD) {
				assert_int_equal(shared[i], -1);
				break;
			}
			if (shared[i] != (int)(action & 0x7ff))
				fail_msg("program %zu, call %d: kernel %d, ours %d", tried, i,
					 shared[i], action & 0x7ff);
		}
	}
	munmap(shared, 4096);
}

/* ---- what a run says that it looked at ---- */

struct seen {
	struct bpf_test test[8];
	size_t n;
};

static void see(void *owner, const struct bpf_test *t)
{
	struct seen *s = owner;

	assert_true(s->n < ARRAY_SIZE(s->test));
	s->test[s->n++] = *t;
}

static void test_tells_what_it_compares(void **state)
{
	static const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 24), /* argument 1, low half */
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x30, 0, 0),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_IMM, 5),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 0, 0),
		RET,
	};
	const struct bpf_program p = { code, ARRAY_SIZE(code) };
	const struct seccomp_data d = { .args = { 0, 0x35 } };
	struct seen s = { .n = 0 };

	(void)state;
	assert_true(bpf_check(&p));
	assert_int_equal(bpf_run(&p, &d, see, &s), SECCOMP_RET_ALLOW);
	assert_int_equal(s.n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(s.test[i].word, 6);
		assert_int_equal(s.test[i].mask, 0xf0);
	}
	assert_true(s.test[0].bits && s.test[0].value == 0xf0);
	assert_true(!s.test[1].bits && s.test[1].value == 0x30 && !s.test[1].inexact);
	assert_true(!s.test[2].bits && s.test[2].value == 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_what_the_kernel_takes),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_answers_what_the_kernel_answers),
		cmocka_unit_test(test_tells_what_it_compares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
