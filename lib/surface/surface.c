/* SPDX-License-Identifier: Apache-2.0 */
/* What seccomp filters let through; see surface.h. */
#include "lib/surface/surface.h"

#include "lib/base/cleanup.h"

#include <linux/audit.h>
#include <string.h>

#define N_ARG_WORDS 12
#define X32_BIT 0x40000000U

/* The values of one word of the arguments that are worth trying. */
struct word {
	uint32_t value[SURFACE_MAX_VALUES];
	bool named[SURFACE_MAX_VALUES]; /* a filter compares with just this */
	size_t n;
	uint32_t bits; /* looked at one by one */
};

struct search {
	const struct surface_filters *f;
	const struct surface_filters *declared; /* or NULL */
	struct word word[N_ARG_WORDS];
	size_t at[N_ARG_WORDS]; /* the combination that is tried: indices into word[].value */
	struct seccomp_data data;
	bool grown; /* a value was found */
	bool full;  /* there were more than fit */
	uint64_t runs, max_runs;
};

static bool add(struct word *w, uint32_t value, bool named)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->value[i] != value)
			continue;
		w->named[i] |= named;
		return false;
	}
	if (w->n == SURFACE_MAX_VALUES)
		return false;
	w->value[w->n] = value;
	w->named[w->n++] = named;
	return true;
}

static bool add_bits(struct word *w, uint32_t bits)
{
	bool new = add(w, bits, false);

	new |= add(w, ~bits, false);
	if (__builtin_popcount(bits) > 8)
		return new;
	w->bits |= bits;
	for (uint32_t bit = 1; bit; bit <<= 1)
		if (bits & bit)
			new |= add(w, bit, false);
	return new;
}

static void on_test(void *owner, const struct bpf_test *t)
{
	struct search *s = owner;
	struct word *w;

	if (t->word < BPF_WORD_ARGS)
		return;
	w = &s->word[t->word - BPF_WORD_ARGS];
	s->grown |= add(w, UINT32_MAX, false);
	if (t->bits) {
		s->grown |= add_bits(w, t->value);
	} else {
		s->grown |= add(w, t->value, !t->inexact);
		s->grown |= add(w, t->value - 1, false);
		s->grown |= add(w, t->value + 1, false);
		s->grown |= add(w, t->value | ~t->mask, false);
	}
	s->full |= w->n == SURFACE_MAX_VALUES;
}

/* ---- one call ---- */

/* SECCOMP_RET_KILL_PROCESS is the least of all, as a signed number. */
static uint32_t ask(const struct surface_filters *f, const struct seccomp_data *d, bpf_test_fn test,
		    void *owner)
{
	uint32_t worst = SECCOMP_RET_ALLOW;

	for (size_t i = 0; i < f->n; i++) {
		uint32_t action = bpf_run(&f->program[i], d, test, owner);

		if ((int32_t)(action & SECCOMP_RET_ACTION_FULL) <
		    (int32_t)(worst & SECCOMP_RET_ACTION_FULL))
			worst = action;
	}
	return worst;
}

bool surface_check(const struct surface_filters *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (!bpf_check(&f->program[i]))
			return false;
	return f->n <= SURFACE_MAX_FILTERS;
}

uint32_t surface_action(const struct surface_filters *f, const struct seccomp_data *d)
{
	return ask(f, d, NULL, NULL);
}

bool surface_passes(uint32_t action)
{
	action &= SECCOMP_RET_ACTION_FULL;
	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

static bool is_asked(uint32_t action)
{
	action &= SECCOMP_RET_ACTION_FULL;
	return action == SECCOMP_RET_TRACE || action == SECCOMP_RET_USER_NOTIF;
}

/* ---- all combinations ---- */

static uint64_t max_runs(const struct surface_filters *f, const struct surface_filters *declared)
{
	uint64_t steps = 1;

	for (size_t i = 0; i < f->n; i++)
		steps += f->program[i].n;
	for (size_t i = 0; declared && i < declared->n; i++)
		steps += declared->program[i].n;
	steps = SURFACE_MAX_STEPS / steps + 1;
	return steps < SURFACE_MAX_RUNS ? steps : SURFACE_MAX_RUNS;
}

static void search_begin(struct search *s, const struct surface_filters *f,
			 const struct surface_filters *declared, enum surface_table table,
			 uint32_t nr)
{
	static const uint32_t arches[] = {
		[SURFACE_X86_64] = AUDIT_ARCH_X86_64,
		[SURFACE_X32] = AUDIT_ARCH_X86_64,
		[SURFACE_I386] = AUDIT_ARCH_I386,
	};

	memset(s, 0, sizeof(*s));
	s->f = f;
	s->declared = declared;
	s->max_runs = max_runs(f, declared);
	s->data.arch = arches[table];
	s->data.nr = (int)(table == SURFACE_X32 ? nr | X32_BIT : nr);
	for (size_t i = 0; i < N_ARG_WORDS; i++)
		(void)!add(&s->word[i], 0, false);
}

static void set_args(struct search *s)
{
	for (size_t i = 0; i < 6; i++) {
		uint64_t low = s->word[2 * i].value[s->at[2 * i]];
		uint64_t high = s->word[2 * i + 1].value[s->at[2 * i + 1]];

		s->data.args[i] = high << 32 | low;
	}
}

/* The next combination; false after the last. */
static bool advance(struct search *s)
{
	for (size_t i = 0; i < N_ARG_WORDS; i++) {
		if (++s->at[i] < s->word[i].n)
			return true;
		s->at[i] = 0;
	}
	return false;
}

static bool may_run(struct search *s)
{
	return s->runs++ < s->max_runs;
}

/* Runs all combinations until they show no new value. False if there are too many. */
static bool find_values(struct search *s)
{
	do {
		s->grown = false;
		memset(s->at, 0, sizeof(s->at));
		do {
			if (!may_run(s))
				return false;
			set_args(s);
			(void)!ask(s->f, &s->data, on_test, s);
			if (s->declared)
				(void)!ask(s->declared, &s->data, on_test, s);
		} while (advance(s));
	} while (s->grown);
	return !s->full;
}

/* ---- what passes ---- */

/* For each value of each word: whether it passes with some values of the others. */
struct passing {
	bool word[N_ARG_WORDS][SURFACE_MAX_VALUES];
	bool arg_no_pass[6];
};

static void note_pass(const struct search *s, struct surface_call *c, size_t arg)
{
	const struct word *low = &s->word[2 * arg], *high = &s->word[2 * arg + 1];
	struct surface_arg *a = &c->arg[arg];
	bool named = low->named[s->at[2 * arg]] &&
		     (high->n == 1 || high->named[s->at[2 * arg + 1]]);

	if (!named) {
		a->others = true;
		return;
	}
	for (size_t i = 0; i < a->n_values; i++)
		if (a->value[i] == s->data.args[arg])
			return;
	if (a->n_values < ARRAY_SIZE(a->value))
		a->value[a->n_values++] = s->data.args[arg];
	else
		a->more = true;
}

static void note(const struct search *s, struct surface_call *c, struct passing *p, uint32_t action,
		 uint64_t *passed, uint64_t *refused)
{
	c->asks |= is_asked(action);
	if (!surface_passes(action)) {
		++*refused;
		return;
	}
	++*passed;
	for (size_t i = 0; i < N_ARG_WORDS; i++)
		p->word[i][s->at[i]] = true;
	for (size_t i = 0; i < 6; i++)
		if (s->word[2 * i].n > 1 || s->word[2 * i + 1].n > 1)
			note_pass(s, c, i);
}

/* Bits that a filter looks at and that no passing value has. */
static uint32_t forbidden_bits(const struct word *w, const bool *passes)
{
	uint32_t seen = 0;

	for (size_t i = 0; i < w->n; i++)
		if (passes[i])
			seen |= w->value[i];
	return w->bits & ~seen;
}

/* Whether some value of the argument's words never passes. */
static bool restricts(const struct search *s, const struct passing *p, size_t arg)
{
	for (size_t i = 2 * arg; i < 2 * arg + 2; i++)
		for (size_t k = 0; k < s->word[i].n; k++)
			if (!p->word[i][k])
				return true;
	return false;
}

static void summarize(const struct search *s, const struct passing *p, struct surface_call *c)
{
	for (size_t i = 0; i < 6; i++) {
		struct surface_arg *a = &c->arg[i];

		a->matters = restricts(s, p, i);
		if (!a->matters)
			*a = (struct surface_arg){ 0 };
		else
			a->no_bits = forbidden_bits(&s->word[2 * i], p->word[2 * i]);
	}
}

void surface_call(const struct surface_filters *f, enum surface_table table, uint32_t nr,
		  struct surface_call *ret)
{
	struct search s;
	struct passing p = { 0 };
	uint64_t passed = 0, refused = 0;

	search_begin(&s, f, NULL, table, nr);
	*ret = (struct surface_call){ .bounded = !find_values(&s) };
	memset(s.at, 0, sizeof(s.at));
	s.runs = 0;
	do {
		set_args(&s);
		note(&s, ret, &p, surface_action(f, &s.data), &passed, &refused);
	} while (advance(&s) && may_run(&s));
	if (passed)
		ret->verdict = refused ? SURFACE_SOMETIMES : SURFACE_ALWAYS;
	if (ret->bounded && ret->verdict == SURFACE_ALWAYS)
		ret->verdict = SURFACE_SOMETIMES;
	if (ret->verdict == SURFACE_SOMETIMES)
		summarize(&s, &p, ret);
	else
		memset(ret->arg, 0, sizeof(ret->arg));
}

bool surface_exceeds(const struct surface_filters *f, const struct surface_filters *declared,
		     enum surface_table table, uint32_t nr, struct surface_point *ret)
{
	struct search s;

	search_begin(&s, f, declared, table, nr);
	(void)find_values(&s);
	memset(s.at, 0, sizeof(s.at));
	s.runs = 0;
	do {
		set_args(&s);
		if (!surface_passes(surface_action(f, &s.data)) ||
		    surface_passes(surface_action(declared, &s.data)))
			continue;
		if (ret) {
			ret->nr = (uint32_t)s.data.nr;
			memcpy(ret->args, s.data.args, sizeof(ret->args));
		}
		return true;
	} while (advance(&s) && may_run(&s));
	return false;
}
