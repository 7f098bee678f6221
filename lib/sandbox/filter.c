/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a policy to a seccomp filter; see sandbox.h. It is made here and not by libseccomp, so that no process that
 * serves a guest has that library in it and no start waits for it; tests/unit/test_filter.c holds each filter
 * against what libseccomp makes of the same policy.
 *
 *   the architecture: another one kills
 *   the number: x32's kill (and -1, which is no call)
 *   for each call, in the order of the rows:
 *     its number, else the next call
 *     for each row: its comparisons, else the next row; ALLOW
 *     refuse
 *   refuse
 */
#include "lib/base/cleanup.h"
#include "lib/sandbox/forms.h"
#include "lib/sandbox/internal.h"

#include <errno.h>
#include <linux/audit.h>
#include <stddef.h>

#define X32_BIT 0x40000000U

#define LOAD (BPF_LD | BPF_W | BPF_ABS)
#define AND (BPF_ALU | BPF_AND | BPF_K)
#define JUMP (BPF_JMP | BPF_JA)
#define JUMP_EQ (BPF_JMP | BPF_JEQ | BPF_K)
#define JUMP_GE (BPF_JMP | BPF_JGE | BPF_K)
#define RETURN (BPF_RET | BPF_K)

static const struct sandbox_rule restart = SB_CALL(restart_syscall);

/* ---- which calls ---- */

static const int implicit_calls[] = { __NR_sendmsg, __NR_restart_syscall };

static bool names_call(const struct sandbox_rule *rules, size_t n, int nr)
{
	for (size_t i = 0; i < n; i++)
		if (rules[i].nr == nr)
			return true;
	return false;
}

size_t sandbox_count_calls(const struct sandbox_policy *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_rules; i++)
		n += !names_call(p->rules, i, p->rules[i].nr);
	for (size_t i = 0; i < ARRAY_SIZE(implicit_calls); i++)
		n += !names_call(p->rules, p->n_rules, implicit_calls[i]);
	return n;
}

/* Whether a policy allows what would take the trap handler's place, or its death. */
static bool defeats_trap(const struct sandbox_policy *p)
{
	return names_call(p->rules, p->n_rules, SANDBOX_DEATH_CALL) ||
	       names_call(p->rules, p->n_rules, __NR_rt_sigaction);
}

/* ---- instructions ---- */

/* One that does not fit is left out: a full filter is refused at the end. */
static void put(struct sandbox_filter *f, unsigned int code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (f->len < ARRAY_SIZE(f->code))
		f->code[f->len++] = (struct sock_filter){ (uint16_t)code, jt, jf, k };
}

/* (half an argument & mask) == value; a comparison that fails goes on at the row's end. */
static void put_half(struct sandbox_filter *f, size_t offset, uint32_t mask, uint32_t value)
{
	if (!mask && !value)
		return;
	put(f, LOAD, 0, 0, (uint32_t)offset);
	if (mask != UINT32_MAX)
		put(f, AND, 0, 0, mask);
	put(f, JUMP_EQ, 0, 0, value);
}

static void put_test(struct sandbox_filter *f, unsigned int index, uint64_t mask, uint64_t value)
{
	const size_t at = offsetof(struct seccomp_data, args) + index * sizeof(uint64_t);

	put_half(f, at + sizeof(uint32_t), (uint32_t)(mask >> 32), (uint32_t)(value >> 32));
	put_half(f, at, (uint32_t)mask, (uint32_t)value);
}

/* -EINVAL: a comparison or an argument that does not exist. */
static int put_arg(struct sandbox_filter *f, const struct sandbox_arg *a)
{
	if (a->index > 5)
		return -EINVAL;
	switch (a->cmp) {
	case SB_EQ:
		put_test(f, a->index, UINT64_MAX, a->value);
		return 0;
	case SB_MASKED_EQ:
		put_test(f, a->index, a->mask, a->value);
		return 0;
	case SB_NO_BITS:
		put_test(f, a->index, a->value, 0);
		return 0;
	case SB_OWN_PID:
		put_test(f, a->index, UINT64_MAX, (uint64_t)getpid());
		return 0;
	case SB_NONE:
		break;
	}
	return -EINVAL;
}

static int put_row(struct sandbox_filter *f, const struct sandbox_rule *rule)
{
	unsigned short start = f->len;

	for (size_t i = 0; i < SANDBOX_MAX_ARGS && rule->args[i].cmp != SB_NONE; i++) {
		int r = put_arg(f, &rule->args[i]);

		if (r < 0)
			return r;
	}
	put(f, RETURN, 0, 0, SECCOMP_RET_ALLOW);
	for (unsigned short i = start; i < f->len; i++)
		if (f->code[i].code == JUMP_EQ)
			f->code[i].jf = (uint8_t)(f->len - i - 1);
	return 0;
}

/* Whether a row allows the call whatever its arguments are. */
static bool is_free(const struct sandbox_rule *rules, size_t n, int nr)
{
	for (size_t i = 0; i < n; i++)
		if (rules[i].nr == nr && rules[i].args[0].cmp == SB_NONE)
			return true;
	return false;
}

/* All rows of one call. The way past them can be longer than a comparison's jump. */
static int put_call(struct sandbox_filter *f, const struct sandbox_rule *rules, size_t n, int nr,
		    uint32_t refuse)
{
	unsigned short start;
	int r = 0;

	if (is_free(rules, n, nr)) {
		put(f, JUMP_EQ, 0, 1, (uint32_t)nr);
		put(f, RETURN, 0, 0, SECCOMP_RET_ALLOW);
		return 0;
	}
	put(f, JUMP_EQ, 1, 0, (uint32_t)nr);
	put(f, JUMP, 0, 0, 0);
	start = f->len;
	for (size_t i = 0; i < n && r == 0; i++)
		if (rules[i].nr == nr)
			r = put_row(f, &rules[i]);
	put(f, RETURN, 0, 0, refuse);
	f->code[start - 1].k = (uint32_t)(f->len - start);
	return r;
}

/* ---- the whole ---- */

static void put_head(struct sandbox_filter *f)
{
	put(f, LOAD, 0, 0, offsetof(struct seccomp_data, arch));
	put(f, JUMP_EQ, 1, 0, AUDIT_ARCH_X86_64);
	put(f, RETURN, 0, 0, SECCOMP_RET_KILL_PROCESS);
	put(f, LOAD, 0, 0, offsetof(struct seccomp_data, nr));
	put(f, JUMP_GE, 0, 1, X32_BIT);
	put(f, RETURN, 0, 0, SECCOMP_RET_KILL_PROCESS);
}

static int put_calls(struct sandbox_filter *f, const struct sandbox_policy *p, uint32_t refuse)
{
	int r = 0;

	for (size_t i = 0; i < p->n_rules && r == 0; i++)
		if (!names_call(p->rules, i, p->rules[i].nr))
			r = put_call(f, p->rules + i, p->n_rules - i, p->rules[i].nr, refuse);
	return r;
}

static int put_implicit(struct sandbox_filter *f, const struct sandbox_policy *p, int control_fd,
			uint32_t refuse)
{
	const struct sandbox_rule report =
		SB_FORM(sendmsg, SB_IS(0, control_fd), SB_IS(2, MSG_NOSIGNAL));
	int r = 0;

	if (!names_call(p->rules, p->n_rules, restart.nr))
		r = put_call(f, &restart, 1, restart.nr, refuse);
	if (r == 0 && control_fd >= 0 && !names_call(p->rules, p->n_rules, report.nr))
		r = put_call(f, &report, 1, report.nr, refuse);
	if (control_fd >= 0) {
		put(f, JUMP_EQ, 0, 1, SANDBOX_DEATH_CALL);
		put(f, RETURN, 0, 0, SECCOMP_RET_KILL_PROCESS);
	}
	return r;
}

int sandbox_make_filter(const struct sandbox_policy *p, int control_fd, struct sandbox_filter *ret)
{
	const uint32_t refuse = control_fd >= 0 || p->inherited ? SECCOMP_RET_TRAP :
								  SECCOMP_RET_KILL_PROCESS;
	int r;

	if (control_fd >= 0 && defeats_trap(p))
		return -EINVAL;
	ret->len = 0;
	put_head(ret);
	r = put_calls(ret, p, refuse);
	if (r == 0)
		r = put_implicit(ret, p, control_fd, refuse);
	put(ret, RETURN, 0, 0, refuse);
	return r == 0 && ret->len == ARRAY_SIZE(ret->code) ? -E2BIG : r;
}
