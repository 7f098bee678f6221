/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead explain: the walls of a VM and what is behind each, before anything is started. */
#include "cmd/bulkhead/explain.h"

#include "cmd/bulkhead/help.h"
#include "cmd/bulkhead/paragraph.h"
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/words.h"
#include "lib/sandbox/cgroup.h"
#include "lib/sandbox/ids.h"

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
	const size_t n_disks = config_count(c, NULL);

	printf("%s: its processes distrust what each stands against, and one another\n", c->name);
	paragraph("machine", "%u virtual CPU%s, %llu MiB of RAM, %zu disk%s", c->cpus,
		  c->cpus > 1 ? "s" : "", (unsigned long long)(c->memory >> 20), n_disks,
		  n_disks == 1 ? "" : "s");
	paragraph("runs on", "%s", accel_text(c->accel));
	paragraph("started by", "%s", x->root ? "root" : "an ordinary user");
}

static void explain_attach(const struct explained *x)
{
	char kinds[200];

	kinds_attachable(", ", kinds, sizeof(kinds));
	if (config_spares(x->config))
		paragraph("may get", "%u devices more while it runs: %s", config_spares(x->config),
			  kinds);
	else
		paragraph("may get", "no device more while it runs: --on-crash stop");
}

static void explain_group(const struct explained *x)
{
	const struct config_limits *l = &x->config->limits;
	struct list text = { .len = 0 };

	if (l->memory == CONFIG_LIMIT_DEFAULT)
		list_add(&text, "memory for guest RAM and what running it takes");
	else if (l->memory != CONFIG_LIMIT_NONE)
		list_add(&text, "%llu MiB of memory", (unsigned long long)(l->memory >> 20));
	if (l->tasks == CONFIG_LIMIT_DEFAULT)
		list_add(&text, "as many tasks as they have");
	else if (l->tasks != CONFIG_LIMIT_NONE)
		list_add(&text, "%llu tasks", (unsigned long long)l->tasks);
	if (l->cpu_percent != CONFIG_LIMIT_NONE)
		list_add(&text, "%llu%% of a CPU", (unsigned long long)l->cpu_percent);
	if (config_limits_io(l))
		list_add(&text, "disk traffic as --limit-io says");
	if (x->grouped && text.len)
		paragraph("limits", "vmm and devices together: %s", text.text);
}

/* Whether there are ids is known only by taking some. Without any, not even root's, no VM starts. */
static void look_at_host(struct explained *x)
{
	static struct cgroup_place place;
	static struct jail_ids ids;
	const char *why = NULL;

	(void)!jail_ids_take(config_processes(x->config), &ids, NULL);
	jail_ids_close(&ids);
	x->grouped = cgroup_find(x->config->cgroup, &place, &why) == 0;
	guarantees_look(x->grouped ? &place : NULL, why, ids.why, &x->missing);
}

/* Whether the host's kernel is to hold any of its devices to rules. */
static bool is_ruled(const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++) {
		const struct kind_link *l = &c->devices[i].kind->link;

		if (l->ruled && config_is_linked(&c->devices[i]) && l->ruled(c->devices[i].options))
			return true;
	}
	return false;
}

static bool is_there(const struct explained *x, const struct declared_process *d)
{
	const struct vm_config *c = x->config;

	if (d == &relay_declared)
		return !c->detach;
	if (d == &keeper_declared)
		return x->grouped;
	if (d == &net_keeper_declared)
		return x->root && is_ruled(c);
	if (d == &dialer_declared)
		return config_dials(c);
	if (d == &launcher_declared)
		return c->on_crash != CRASH_STOP;
	return !kind_whose(d) || config_count(c, kind_whose(d)) > 0;
}

int verb_explain(int argc, char **argv)
{
	static struct vm_config config;
	struct explained x = { .config = &config, .root = geteuid() == 0 };
	int r;

	if (argc == 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
		help_run();
		return 0;
	}
	r = words_to_config(argc, argv, &config);
	if (r)
		return r;
	look_at_host(&x);
	explain_machine(&x);
	explain_attach(&x);
	explain_group(&x);
	for (size_t i = 0; i < n_declared_all; i++)
		if (is_there(&x, declared_all[i]))
			explain_process(&x, declared_all[i]);
	explain_choices(&x);
	if (fflush(stdout) != 0 || ferror(stdout))
		return complain(EXIT_START, "explain: standard output failed");
	return 0;
}
