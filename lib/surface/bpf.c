/* SPDX-License-Identifier: Apache-2.0 */
/* Classic BPF as seccomp runs it; see bpf.h. */
#include "lib/surface/bpf.h"

#include "lib/base/cleanup.h"

#include <assert.h>
#include <string.h>

/* ---- check: seccomp_check_filter and bpf_check_classic of the kernel ---- */

static bool load_ok(const struct sock_filter *i)
{
	switch (BPF_MODE(i->code)) {
	case BPF_IMM:
		return true;
	case BPF_ABS:
		return BPF_CLASS(i->code) == BPF_LD && i->k % 4 == 0 &&
		       i->k < sizeof(struct seccomp_data);
	case BPF_MEM:
		return i->k < BPF_MEMWORDS;
	case BPF_LEN:
		return true;
	}
	return false;
}

static bool alu_ok(const struct sock_filter *i)
{
	bool constant = BPF_SRC(i->code) == BPF_K;

	switch (BPF_OP(i->code)) {
	case BPF_ADD:
	case BPF_SUB:
	case BPF_MUL:
	case BPF_OR:
	case BPF_AND:
	case BPF_XOR:
		return true;
	case BPF_NEG:
		return constant;
	case BPF_DIV:
		return !constant || i->k != 0;
	case BPF_LSH:
	case BPF_RSH:
		return !constant || i->k < 32;
	}
	return false;
}

/* left: instructions after this one. */
static bool jump_ok(const struct sock_filter *i, size_t left)
{
	switch (BPF_OP(i->code)) {
	case BPF_JA:
		return BPF_SRC(i->code) == BPF_K && i->k < left;
	case BPF_JEQ:
	case BPF_JGT:
	case BPF_JGE:
	case BPF_JSET:
		return i->jt < left && i->jf < left;
	}
	return false;
}

static bool instruction_ok(const struct sock_filter *i, size_t left)
{
	if (i->code > 0xff)
		return false;
	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
	case BPF_LDX:
		return BPF_SIZE(i->code) == BPF_W && load_ok(i);
	case BPF_ST:
	case BPF_STX:
		return (i->code & ~7) == 0 && i->k < BPF_MEMWORDS;
	case BPF_ALU:
		return alu_ok(i);
	case BPF_JMP:
		return jump_ok(i, left);
	case BPF_RET:
		return i->code == (BPF_RET | BPF_K) || i->code == (BPF_RET | BPF_A);
	case BPF_MISC:
		return i->code == (BPF_MISC | BPF_TAX) || i->code == (BPF_MISC | BPF_TXA);
	}
	return false;
}

/* A cell of the scratch memory is written before it is read, on every way to the reader. */
static bool memory_ok(const struct bpf_program *p)
{
	uint16_t known[BPF_PROGRAM_MAX];

	memset(known, 0xff, sizeof(known));
	known[0] = 0;
	for (size_t at = 0; at < p->n; at++) {
		const struct sock_filter *i = &p->code[at];
		uint16_t now = known[at];

		if (BPF_CLASS(i->code) == BPF_ST || BPF_CLASS(i->code) == BPF_STX)
			now |= (uint16_t)(1U << i->k);
		else if (BPF_CLASS(i->code) <= BPF_LDX && BPF_MODE(i->code) == BPF_MEM &&
			 !(now & 1U << i->k))
			return false;
		if (BPF_CLASS(i->code) == BPF_RET)
			continue;
		if (BPF_CLASS(i->code) != BPF_JMP) {
			known[at + 1] &= now;
		} else if (BPF_OP(i->code) == BPF_JA) {
			known[at + 1 + i->k] &= now;
		} else {
			known[at + 1 + i->jt] &= now;
			known[at + 1 + i->jf] &= now;
		}
	}
	return true;
}

bool bpf_check(const struct bpf_program *p)
{
	if (p->n == 0 || p->n > BPF_PROGRAM_MAX || BPF_CLASS(p->code[p->n - 1].code) != BPF_RET)
		return false;
	for (size_t at = 0; at < p->n; at++)
		if (!instruction_ok(&p->code[at], p->n - 1 - at))
			return false;
	return memory_ok(p);
}

/* ---- run ---- */

/* A register, and of which words its value is made. */
struct cell {
	uint32_t value;
	uint16_t words;	 /* bit i: word i */
	uint32_t mask;	 /* bits of them that are left */
	bool arithmetic; /* it is not those bits themselves */
};

struct machine {
	struct cell a, x, memory[BPF_MEMWORDS];
	uint32_t words[BPF_N_WORDS];
	bpf_test_fn test;
	void *owner;
};

static const struct cell nothing = { .mask = UINT32_MAX };

static struct cell constant(uint32_t k)
{
	struct cell c = nothing;

	c.value = k;
	return c;
}

static void tell(const struct machine *m, const struct cell *c, uint32_t value, bool bits)
{
	struct bpf_test t = {
		.mask = c->mask, .value = value, .bits = bits, .inexact = c->arithmetic
	};

	for (unsigned int word = 0; m->test && word < BPF_N_WORDS; word++) {
		if (!(c->words & 1U << word))
			continue;
		t.word = word;
		m->test(m->owner, &t);
	}
}

static struct cell load(const struct machine *m, const struct sock_filter *i)
{
	struct cell c = nothing;

	switch (BPF_MODE(i->code)) {
	case BPF_ABS:
		c.value = m->words[i->k / 4];
		c.words = (uint16_t)(1U << i->k / 4);
		return c;
	case BPF_MEM:
		return m->memory[i->k];
	case BPF_LEN:
		return constant(sizeof(struct seccomp_data));
	}
	return constant(i->k);
}

static uint32_t compute(uint16_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return b ? a / b : 0; /* 0 does not come here */
	case BPF_OR:
		return a | b;
	case BPF_AND:
		return a & b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH: /* by a register: the kernel's code takes the count modulo 32 */
		return a << (b & 31);
	case BPF_RSH:
		return a >> (b & 31);
	}
	return -a; /* BPF_NEG */
}

static void alu(struct machine *m, const struct sock_filter *i)
{
	struct cell b = BPF_SRC(i->code) == BPF_X ? m->x : constant(i->k);
	uint16_t op = BPF_OP(i->code);

	if (op == BPF_AND && b.words == 0) {
		m->a.mask &= b.value;
		tell(m, &m->a, b.value, true);
	} else {
		m->a.words |= b.words;
		m->a.arithmetic = true;
	}
	m->a.value = compute(op, m->a.value, b.value);
}

/* How far to go on. */
static uint32_t jump(const struct machine *m, const struct sock_filter *i)
{
	const struct cell b = BPF_SRC(i->code) == BPF_X ? m->x : constant(i->k);
	uint16_t op = BPF_OP(i->code);
	bool taken = false;

	if (op == BPF_JA)
		return i->k;
	tell(m, &m->a, b.value, op == BPF_JSET);
	if (b.words)
		tell(m, &b, m->a.value, op == BPF_JSET);
	switch (op) {
	case BPF_JEQ:
		taken = m->a.value == b.value;
		break;
	case BPF_JGT:
		taken = m->a.value > b.value;
		break;
	case BPF_JGE:
		taken = m->a.value >= b.value;
		break;
	case BPF_JSET:
		taken = m->a.value & b.value;
		break;
	}
	return taken ? i->jt : i->jf;
}

/* All but jumps and returns. */
static void step(struct machine *m, const struct sock_filter *i)
{
	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
		m->a = load(m, i);
		break;
	case BPF_LDX:
		m->x = load(m, i);
		break;
	case BPF_ST:
		m->memory[i->k] = m->a;
		break;
	case BPF_STX:
		m->memory[i->k] = m->x;
		break;
	case BPF_ALU:
		alu(m, i);
		break;
	case BPF_MISC:
		if (BPF_MISCOP(i->code) == BPF_TAX)
			m->x = m->a;
		else
			m->a = m->x;
		break;
	}
}

uint32_t bpf_run(const struct bpf_program *p, const struct seccomp_data *d, bpf_test_fn test,
		 void *owner)
{
	struct machine m = { .a = nothing, .x = nothing, .test = test, .owner = owner };
	size_t at = 0;

	static_assert(sizeof(m.words) == sizeof(*d));
	memcpy(m.words, d, sizeof(m.words));
	while (at < p->n) {
		const struct sock_filter *i = &p->code[at++];

		if (i->code == (BPF_RET | BPF_K))
			return i->k;
		if (i->code == (BPF_RET | BPF_A)) {
			tell(&m, &m.a, m.a.value, true);
			return m.a.value;
		}
		if (i->code == (BPF_ALU | BPF_DIV | BPF_X) && m.x.value == 0)
			return 0; /* as the kernel ends it */
		if (BPF_CLASS(i->code) == BPF_JMP)
			at += jump(&m, i);
		else
			step(&m, i);
	}
	return SECCOMP_RET_KILL_PROCESS; /* not reached: the last one returns */
}
