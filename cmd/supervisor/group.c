/* SPDX-License-Identifier: Apache-2.0 */
/* What the host gives to the VM, and its control group; see group.h. */
#include "cmd/supervisor/group.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A limit that was asked for by name must hold. */
static int refuse_limits(const struct vm_config *c, const struct cgroup_place *place,
			 const char *why, struct open_error *e)
{
	const struct {
		const char *key;
		bool asked;
		unsigned int controller;
		const char *name;
	} rows[] = {
		{ "--limit-memory", c->limits.memory && c->limits.memory != CONFIG_LIMIT_NONE,
		  CGROUP_MEMORY, "memory" },
		{ "--limit-tasks", c->limits.tasks && c->limits.tasks != CONFIG_LIMIT_NONE,
		  CGROUP_PIDS, "pids" },
		{ "--limit-cpu", c->limits.cpu_percent != CONFIG_LIMIT_NONE, CGROUP_CPU, "cpu" },
		{ "--limit-io", config_limits_io(&c->limits), CGROUP_IO, "io" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!rows[i].asked)
			continue;
		if (!place)
			return open_complain(e, -ENOTSUP, "%s: %s", rows[i].key, why);
		if (!(place->controllers & rows[i].controller))
			return open_complain(e, -ENOTSUP, "%s: %s has no controller '%s'",
					     rows[i].key, place->path, rows[i].name);
	}
	return 0;
}

static void say(const struct vm *vm, const struct guarantee_report *report,
		enum guarantee_need need, enum log_level level)
{
	char list[300], line[340];

	if (guarantees_say(report, need, list, sizeof(list)) == 0)
		return;
	snprintf(line, sizeof(line), "this host does not give: %s", list);
	tell(vm, NULL, level, line);
}

/* What is so at every start is said short. */
static void say_short(const struct vm *vm, const struct guarantee_report *report)
{
	char list[120], line[200];

	if (guarantees_name(report, NEED_STRICT, list, sizeof(list)) == 0)
		return;
	snprintf(line, sizeof(line), "this host does not give: %s (bulkhead explain says why)",
		 list);
	tell(vm, NULL, LOG_LEVEL_WARNING, line);
}

void group_tell(const struct vm *vm, const struct guarantee_report *report)
{
	if (vm->config->verbose)
		say(vm, report, NEED_STRICT, LOG_LEVEL_WARNING);
	else
		say_short(vm, report);
	if (vm->config->strict || vm->config->verbose)
		say(vm, report, NEED_FURTHER, LOG_LEVEL_INFO);
}

static int refuse_host(const struct vm_config *c, const struct guarantee_report *report,
		       struct open_error *e)
{
	char list[300];

	if (!c->strict || guarantees_say(report, NEED_STRICT, list, sizeof(list)) == 0)
		return 0;
	return open_complain(e, -ENOTSUP, "--strict: this host does not give: %s", list);
}

int group_refuse_kvm(const struct vm_config *c, const char *lacks, struct guarantee_report *report,
		     struct open_error *e)
{
	report->missing[GUARANTEE_KVM] = lacks;
	return refuse_host(c, report, e);
}

static int split(struct vm *vm, struct cgroup *g, struct open_error *e)
{
	pid_t keeper = getpid(), child = cgroup_fork(g->supervisor);
	int r = errno;

	if (child < 0) {
		(void)!cgroup_remove(g);
		return open_complain(e, -r, "the VM's control group: a process in it: %s",
				     strerror(r));
	}
	if (child > 0)
		_exit(keeper_run(g, child));
	vm->pid = getpid();
	vm->keeper = (int)syscall(SYS_pidfd_open, keeper, 0);
	if (vm->keeper < 0 || getppid() != keeper)
		return open_complain(e, -ESRCH, "the VM's control group: its keeper is gone");
	return 0;
}

int group_enter(struct vm *vm, const char *why_no_ids, struct cgroup *ret,
		struct guarantee_report *report, struct open_error *e)
{
	static struct cgroup_place place;
	struct cgroup g = CGROUP_NONE;
	struct cgroup_limits limits;
	const char *why = "?";
	int r = cgroup_find(vm->config->cgroup, &place, &why);
	bool found = r == 0;

	if (!found && vm->config->cgroup)
		return open_complain(e, r, "--cgroup: %s: %s", vm->config->cgroup, why);
	guarantees_look(found ? &place : NULL, why, why_no_ids, report);
	r = refuse_limits(vm->config, found ? &place : NULL, why, e);
	if (r == 0)
		r = refuse_host(vm->config, report, e);
	if (r == 0)
		r = limits_plan(vm->config, &limits, e);
	*ret = g;
	if (r < 0 || !found)
		return r;
	r = cgroup_make(&place, vm->config->name, &limits, &g, &why);
	if (r < 0)
		return open_complain(e, r, "the VM's control group below %s: %s: %s", place.path,
				     why, strerror(-r));
	*ret = g;
	return split(vm, ret, e);
}
