/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead explain: the walls of a VM and what is behind each, before anything is started. */
#include "cmd/bulkhead/explain.h"

#include "cmd/bulkhead/help.h"
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/words.h"
#include "lib/sandbox/cgroup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *accel_text(enum config_accel accel)
{
	switch (accel) {
	case ACCEL_KVM:
		return "KVM";
	case ACCEL_SOFT:
		return "the software CPU";
	case ACCEL_AUTO:
		break;
	}
	return "KVM, or the software CPU where no real KVM is measured at the start";
}

static void explain_machine(const struct explained *x)
{
	const struct vm_config *c = x->config;

	printf("%s: %u virtual CPU%s on %s, %llu MiB of RAM, %zu disk%s; started by %s\n", c->name,
	       c->cpus, c->cpus > 1 ? "s" : "", accel_text(c->accel),
	       (unsigned long long)(c->memory >> 20), c->n_disks, c->n_disks == 1 ? "" : "s",
	       x->root ? "root" : "an ordinary user");
	printf("Each process below distrusts what it stands against, and the others distrust it.\n");
}

/* Whether there can be a control group, and so a keeper. */
static bool has_group(const struct vm_config *c)
{
	static struct cgroup_place place;
	const char *why;

	return cgroup_find(c->cgroup, &place, &why) == 0;
}

static bool is_there(const struct vm_config *c, const struct declared_process *d)
{
	if (d == &relay_declared)
		return !c->detach;
	if (d == &blk_declared)
		return c->n_disks > 0;
	if (d == &keeper_declared)
		return has_group(c);
	return d != &rng_declared || c->rng;
}

int verb_explain(int argc, char **argv)
{
	static struct vm_config config;
	const struct explained x = { .config = &config, .root = geteuid() == 0 };
	int r;

	if (argc == 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
		help_run();
		return 0;
	}
	r = words_to_config(argc, argv, &config);
	if (r)
		return r;
	explain_machine(&x);
	for (size_t i = 0; i < n_declared_all; i++)
		if (is_there(&config, declared_all[i]))
			explain_process(&x, declared_all[i]);
	explain_choices(&x);
	if (fflush(stdout) != 0 || ferror(stdout))
		return complain(EXIT_START, "explain: standard output failed");
	return 0;
}
