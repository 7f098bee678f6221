/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the tables of docs/threat-model.md from the processes' own data: what whoever takes one over
 * gains, and the system calls of each thread, counted.
 */
#include "lib/base/cleanup.h"
#include "lib/declared/declared.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static void print_gains(const struct declared_process *d)
{
	for (size_t i = 0; i < d->n_gains; i++) {
		const struct declared_gain *g = &d->gains[i];

		printf("| %s | %s | %s%s | %s |\n", d->name, g->holds,
		       g->guest_had ? "yes: " : "no", g->guest_had ? g->guest_had : "",
		       g->reason ? g->reason : "–");
	}
	printf("| %s | its list of system calls | no | counted below |\n", d->name);
}

static bool seen_before(const struct sandbox_policy *p, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (p->rules[i].nr == p->rules[at].nr)
			return true;
	return false;
}

static bool names(const struct sandbox_policy *p, int nr)
{
	for (size_t i = 0; i < p->n_rules; i++)
		if (p->rules[i].nr == nr)
			return true;
	return false;
}

static size_t count_rules(const struct sandbox_policy *p, int nr)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_rules; i++)
		n += p->rules[i].nr == nr;
	return n;
}

static void print_arg(const struct sandbox_arg *a)
{
	printf("%u: ", a->index);
	if (a->cmp == SB_OWN_PID)
		printf("its own id");
	else if (a->cmp == SB_NO_BITS)
		printf("without %#llx", (unsigned long long)a->value);
	else if (a->cmp == SB_MASKED_EQ)
		printf("%#llx of %#llx", (unsigned long long)a->value, (unsigned long long)a->mask);
	else
		printf("%#llx", (unsigned long long)a->value);
}

static void print_form(const struct sandbox_rule *r)
{
	for (size_t i = 0; i < SANDBOX_MAX_ARGS && r->args[i].cmp != SB_NONE; i++) {
		printf("%s", i ? " " : "");
		print_arg(&r->args[i]);
	}
}

/* With the forms that are allowed, where the arguments count; of requests so many. */
static void print_call(const struct sandbox_policy *p, size_t at)
{
	const struct sandbox_rule *r = &p->rules[at];
	const char *before = " (";
	char name[32];

	sandbox_call_name(r->nr, name, sizeof(name));
	printf(" %s", name);
	if (r->nr == __NR_ioctl) {
		printf(" (%zu of argument 1)", count_rules(p, r->nr));
		return;
	}
	if (r->args[0].cmp == SB_NONE)
		return;
	for (size_t i = at; i < p->n_rules; i++) {
		if (p->rules[i].nr != r->nr)
			continue;
		printf("%s", before);
		print_form(&p->rules[i]);
		before = ", ";
	}
	printf(")");
}

static void print_calls(const struct declared_process *d, const char *thread,
			const struct sandbox_policy *p)
{
	/* who lives in no jail has nobody to report to */
	bool reports = d->place == DECLARED_JAIL && !names(p, __NR_sendmsg);
	size_t uncounted = d->place != DECLARED_JAIL && !names(p, __NR_sendmsg);

	printf("| %s%s%s | %zu |", d->name, *thread ? ", " : "", thread,
	       sandbox_count_calls(p) - uncounted);
	for (size_t i = 0; i < p->n_rules; i++)
		if (!seen_before(p, i))
			print_call(p, i);
	if (reports)
		printf(" sendmsg (0: its control channel 2: %#x)", MSG_NOSIGNAL);
	if (!names(p, __NR_restart_syscall))
		printf(" restart_syscall");
	printf(" |\n");
}

static void print_threads(const struct declared_process *d)
{
	char name[48];

	print_calls(d, "", d->policy);
	for (size_t i = 0; i < d->n_threads; i++) {
		const struct declared_thread *t = &d->threads[i];

		snprintf(name, sizeof(name), t->accel ? "%s (%s)" : "%s", t->name, t->accel);
		print_calls(d, name, t->policy);
		snprintf(name, sizeof(name), "%s, before it is ready", t->name);
		if (t->at_first)
			print_calls(d, name, t->at_first);
	}
}

int main(void)
{
	printf("| process taken | holds | the guest had it | why it must be, what bounds it |\n"
	       "|---|---|---|---|\n");
	for (size_t i = 0; i < n_declared_all; i++)
		print_gains(declared_all[i]);
	for (size_t i = 0; i < n_declared_tools; i++)
		print_gains(declared_tools[i]);
	printf("\n| thread | calls | which |\n|---|---|---|\n");
	for (size_t i = 0; i < n_declared_all; i++)
		print_threads(declared_all[i]);
	for (size_t i = 0; i < n_declared_tools; i++)
		print_threads(declared_tools[i]);
	return 0;
}
