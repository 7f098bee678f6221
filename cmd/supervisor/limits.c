/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of a VM's control group; see group.h. */
#include "cmd/supervisor/group.h"

#include "lib/base/cleanup.h"
#include "lib/base/units.h"
#include "lib/passt/passt.h"
#include "lib/swtpm/swtpm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static uint64_t memory_of(const struct config_device *d)
{
	const struct device_kind *behind = config_behind(d);

	if (d->off || d->foreign)
		return 0;
	return config_server(d)->memory + (behind ? behind->memory : 0) +
	       (d->made ? CONFIG_SEED_DISK_MAX : 0);
}

/* What the greediest of the devices that may be attached later takes, for each of them; one with a storage process
 * takes two places. */
static uint64_t spares(const struct vm_config *c,
		       uint64_t (*of)(const struct device_kind *kind, uint64_t nodes),
		       uint64_t nodes)
{
	const unsigned int n = config_spares(c);
	uint64_t most = 0, behind = 0;

	for (size_t i = 0; i < n_kinds_all; i++) {
		const struct device_kind *kind = kinds_all[i];

		if (kind->attachable && of(kind, nodes) > most)
			most = of(kind, nodes);
		else if (!kind->attachable && kind_may_come(kind) && of(kind, nodes) > behind)
			behind = of(kind, nodes);
	}
	return most * n + (behind > most ? behind - most : 0) * (n / 2);
}

static uint64_t kind_memory(const struct device_kind *kind, uint64_t nodes)
{
	(void)nodes;
	return kind->memory;
}

/*
 * What running a guest takes beside its RAM: the kernel's tables for it (in each process that maps
 * it, and KVM's own), the processes, and pages of the images that the kernel can take back.
 */
static uint64_t overhead(const struct vm_config *c)
{
	uint64_t sum = c->memory / 16 + MIB(128) + c->cpus * MIB(8);

	for (size_t i = 0; i < c->n_devices; i++)
		sum += memory_of(&c->devices[i]);
	return sum + spares(c, kind_memory, 0);
}

/* The kernel counts a ring's threads by NUMA node. "0" or "0-3". */
static uint64_t count_nodes(void)
{
	_cleanup_(closep) int fd = open("/sys/devices/system/node/online", O_RDONLY | O_CLOEXEC);
	char text[64] = "";
	const char *last;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 1;
	last = strpbrk(text, "-,") ? text + strcspn(text, "-,") + 1 : text;
	while (strpbrk(last, "-,"))
		last += strcspn(last, "-,") + 1;
	return strtoul(last, NULL, 10) + 1;
}

/* kind: NULL: none */
static uint64_t tasks_of(const struct device_kind *kind, uint64_t nodes)
{
	return kind ? 1 + kind->threads + kind->tasks_each_node * nodes : 0;
}

/* One per process and one per vCPU; KVM's own thread in the vmm's name; the devices' own threads, and
 * the kernel's in their names. */
static uint64_t count_tasks(const struct vm_config *c, uint64_t nodes)
{
	uint64_t sum = 1 + c->cpus + (c->accel != ACCEL_SOFT) + config_dials(c);

	for (size_t i = 0; i < c->n_devices; i++) {
		const struct config_device *d = &c->devices[i];

		if (!d->off && !d->foreign)
			sum += tasks_of(config_server(d), nodes) +
			       tasks_of(config_behind(d), nodes);
	}
	return sum;
}

static int refuse_tasks(uint64_t said, uint64_t needed, struct open_error *e)
{
	return open_complain(e, -EINVAL, "--limit-tasks: this VM has up to %llu tasks, not %llu",
			     (unsigned long long)needed, (unsigned long long)said);
}

_Static_assert(CGROUP_UNLIMITED == CONFIG_LIMIT_NONE, "handed through");

/* That of the start, and that of cards which are attached: each takes two places, as it has a relay. A TPM's process is
 * there, too. */
static void limit_network(const struct vm_config *c, struct cgroup_limits *l)
{
	const uint64_t n = config_count_opened(c, KIND_OPENS_PASST) + config_spares(c) / 2;
	const uint64_t tpms = config_count_opened(c, KIND_OPENS_SWTPM);

	l->network_memory = l->memory == CGROUP_UNLIMITED ? CGROUP_UNLIMITED :
							    n * PASST_MEMORY + tpms * SWTPM_MEMORY;
	l->network_tasks = l->tasks == CGROUP_UNLIMITED ? CGROUP_UNLIMITED :
							  n * PASST_TASKS + tpms * SWTPM_TASKS;
}

int limits_plan(const struct vm_config *c, struct cgroup_limits *ret, struct open_error *e)
{
	struct cgroup_limits l = { .memory = c->limits.memory,
				   .tasks = c->limits.tasks,
				   .cpu_percent = c->limits.cpu_percent };
	const uint64_t nodes = count_nodes(), needed = count_tasks(c, nodes);

	if (l.memory == CONFIG_LIMIT_DEFAULT)
		l.memory = c->memory + overhead(c);
	if (l.tasks == CONFIG_LIMIT_DEFAULT)
		l.tasks = needed + spares(c, tasks_of, nodes);
	if (l.tasks < needed)
		return refuse_tasks(l.tasks, needed, e);
	limit_network(c, &l);
	*ret = l;
	return 0;
}

/* ---- disks ---- */

/* By the descriptor that its device is to have: a name can be another file's by then. */
static int limit_file(const struct config_file *file, int fd, const struct config_limits *c,
		      const struct cgroup *g, struct open_error *e)
{
	struct cgroup_device d = {
		.rbps = c->rbps, .wbps = c->wbps, .riops = c->riops, .wiops = c->wiops
	};
	int r = cgroup_device_of(fd, &d.major, &d.minor);

	if (r == -ENODEV)
		return open_complain(e, r, "--limit-io: %.*s is not on a disk that can be limited",
				     (int)file->path_len, file->path);
	if (r == 0)
		r = cgroup_limit_device(g, &d);
	if (r < 0)
		return open_complain(e, r, "--limit-io: the disk that %.*s is on: %s",
				     (int)file->path_len, file->path, strerror(-r));
	return 0;
}

int limits_set_io(const struct vm_config *c, const struct opened *o, const struct cgroup *g,
		  struct open_error *e)
{
	int r = 0;

	/* what a server has is on no disk of this host, nor what is in memory */
	for (size_t i = 0; i < c->n_devices && config_limits_io(&c->limits); i++)
		for (unsigned int k = 0; k < KIND_FILES_MAX && r == 0; k++) {
			const struct config_file file = config_device_file(&c->devices[i], k);
			int fd = k ? o->more[i][k - 1] : o->files[i];

			if (fd >= 0 && !c->devices[i].remote && !c->devices[i].made)
				r = limit_file(&file, fd, &c->limits, g, e);
		}
	return r;
}
