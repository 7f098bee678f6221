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
#include <sys/syscall.h>

static void print_gains(const struct declared_process *d)
{
	for (size_t i = 0; i < d->n_gains; i++) {
		const struct declared_gain *g = &d->gains[i];

		printf("| %s | %s | %s%s | %s |\n", d->name, g->holds, g->guest_had ? "yes: " : "no",
		       g->guest_had ? g->guest_had : "", g->reason ? g->reason : "–");
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

/* With how many forms are allowed, where the arguments count. */
static void print_call(const struct sandbox_policy *p, size_t at)
{
	const struct sandbox_rule *r = &p->rules[at];
	char name[32];

	sandbox_call_name(r->nr, name, sizeof(name));
	printf(" %s", name);
	if (r->args[0].cmp == SB_NO_BITS)
		printf(" (argument %u without %#llx)", r->args[0].index,
		       (unsigned long long)r->args[0].value);
	else if (r->args[0].cmp != SB_NONE)
		printf(" (%zu of argument %u)", count_rules(p, r->nr), r->args[0].index);
}

static void print_calls(const char *process, const char *thread, const struct sandbox_policy *p)
{
	printf("| %s%s%s | %zu |", process, *thread ? ", " : "", thread, sandbox_count_calls(p));
	for (size_t i = 0; i < p->n_rules; i++)
		if (!seen_before(p, i))
			print_call(p, i);
	if (!names(p, __NR_sendmsg))
		printf(" sendmsg (1 of argument 0)");
	if (!names(p, __NR_restart_syscall))
		printf(" restart_syscall");
	printf(" |\n");
}

static void print_threads(const struct declared_process *d)
{
	char name[48];

	print_calls(d->name, "", d->policy);
	for (size_t i = 0; i < d->n_threads; i++) {
		snprintf(name, sizeof(name), "%s (%s)", d->threads[i].name, d->threads[i].accel);
		print_calls(d->name, name, d->threads[i].policy);
	}
}

int main(void)
{
	printf("| process taken | holds | the guest had it | why it must be, what bounds it |\n"
	       "|---|---|---|---|\n");
	for (size_t i = 0; i < n_declared_all; i++)
		print_gains(declared_all[i]);
	printf("\n| thread | calls | which |\n|---|---|---|\n");
	for (size_t i = 0; i < n_declared_all; i++)
		print_threads(declared_all[i]);
	return 0;
}
