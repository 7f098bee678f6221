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
 *     what all its rows compare alike, else refuse
 *     for each row: its other comparisons, else the next row; ALLOW
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

/* ---- comparisons: of halves of arguments, which is what a filter can load ---- */

struct half {
	size_t offset;
	uint32_t mask, value; /* (half & mask) == value */
};

struct halves {
	struct half at[2 * SANDBOX_MAX_ARGS];
	size_t n;
};

static void add_half(struct halves *h, size_t offset, uint32_t mask, uint32_t value)
{
	if (mask || value)
		h->at[h->n++] = (struct half){ offset, mask, value };
}

static void add_test(struct halves *h, unsigned int index, uint64_t mask, uint64_t value)
{
	const size_t at = offsetof(struct seccomp_data, args) + index * sizeof(uint64_t);

	add_half(h, at + sizeof(uint32_t), (uint32_t)(mask >> 32), (uint32_t)(value >> 32));
	add_half(h, at, (uint32_t)mask, (uint32_t)value);
}

/* -EINVAL: a comparison or an argument that does not exist. */
static int add_arg(struct halves *h, const struct sandbox_arg *a)
{
	if (a->index > 5)
		return -EINVAL;
	switch (a->cmp) {
	case SB_EQ:
		add_test(h, a->index, UINT64_MAX, a->value);
		return 0;
	case SB_MASKED_EQ:
		add_test(h, a->index, a->mask, a->value);
		return 0;
	case SB_NO_BITS:
		add_test(h, a->index, a->value, 0);
		return 0;
	case SB_OWN_PID:
		add_test(h, a->index, UINT64_MAX, (uint64_t)getpid());
		return 0;
	case SB_NONE:
		break;
	}
	return -EINVAL;
}

static int halves_of(const struct sandbox_rule *rule, struct halves *ret)
{
	int r = 0;

	ret->n = 0;
	for (size_t i = 0; i < SANDBOX_MAX_ARGS && rule->args[i].cmp != SB_NONE && r == 0; i++)
		r = add_arg(ret, &rule->args[i]);
	return r;
}

static bool has_half(const struct halves *h, const struct half *x)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->at[i].offset == x->offset && h->at[i].mask == x->mask &&
		    h->at[i].value == x->value)
			return true;
	return false;
}

/* Keeps those that the other has, too. */
static void keep_shared(struct halves *h, const struct halves *other)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		if (has_half(other, &h->at[i]))
			h->at[n++] = h->at[i];
	h->n = n;
}

/* What all rows of a call compare alike, if there are several: mostly that upper halves are 0. */
static int find_shared(const struct sandbox_rule *rules, size_t n, int nr, struct halves *ret)
{
	struct halves row;
	size_t rows = 0;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (rules[i].nr != nr)
			continue;
		r = halves_of(&rules[i], &row);
		if (rows++ == 0)
			*ret = row;
		keep_shared(ret, &row);
	}
	if (rows < 2)
		ret->n = 0;
	return r;
}

/* jt, jf: how many instructions further it goes on. */
static void put_half(struct sandbox_filter *f, const struct half *h, uint8_t jt, uint8_t jf)
{
	put(f, LOAD, 0, 0, (uint32_t)h->offset);
	if (h->mask != UINT32_MAX)
		put(f, AND, 0, 0, h->mask);
	put(f, JUMP_EQ, jt, jf, h->value);
}

/* ---- rows and calls ---- */

/* The comparisons that are not shared; the first that fails goes on at the row's end. */
static void put_row(struct sandbox_filter *f, const struct halves *row, const struct halves *shared)
{
	unsigned short start = f->len;

	for (size_t i = 0; i < row->n; i++)
		if (!has_half(shared, &row->at[i]))
			put_half(f, &row->at[i], 0, 0);
	put(f, RETURN, 0, 0, SECCOMP_RET_ALLOW);
	for (unsigned short i = start; i < f->len; i++)
		if (f->code[i].code == JUMP_EQ)
			f->code[i].jf = (uint8_t)(f->len - i - 1);
}

static void put_shared(struct sandbox_filter *f, const struct halves *shared, uint32_t refuse)
{
	for (size_t i = 0; i < shared->n; i++) {
		put_half(f, &shared->at[i], 1, 0);
		put(f, RETURN, 0, 0, refuse);
	}
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
	struct halves shared, row;
	unsigned short start;
	int r;

	if (is_free(rules, n, nr)) {
		put(f, JUMP_EQ, 0, 1, (uint32_t)nr);
		put(f, RETURN, 0, 0, SECCOMP_RET_ALLOW);
		return 0;
	}
	r = find_shared(rules, n, nr, &shared);
	if (r < 0)
		return r;
	put(f, JUMP_EQ, 1, 0, (uint32_t)nr);
	put(f, JUMP, 0, 0, 0);
	start = f->len;
	put_shared(f, &shared, refuse);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (rules[i].nr != nr)
			continue;
		r = halves_of(&rules[i], &row);
		put_row(f, &row, &shared);
	}
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
