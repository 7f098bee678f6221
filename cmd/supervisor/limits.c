/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of a VM's control group; see group.h. */
#include "cmd/supervisor/group.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define MIB(n) ((uint64_t)(n) << 20)

/*
 * What running a guest takes beside its RAM: the kernel's tables for it (in each process that maps
 * it, and KVM's own), the processes, and pages of the images that the kernel can take back.
 */
static uint64_t overhead(const struct vm_config *c)
{
	return c->memory / 16 + MIB(128) + (c->cpus + c->n_disks) * MIB(8);
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

#define RING_THREADS 9 /* lib/image/uring.c: 8 and 1 */

/* One a process and one a vCPU; KVM's own thread in the vmm's name; those of the disks' rings. */
static uint64_t count_tasks(const struct vm_config *c)
{
	uint64_t vmm = 1 + c->cpus + (c->accel != ACCEL_SOFT);
	uint64_t disks = c->n_disks * (1 + RING_THREADS * count_nodes());

	return vmm + disks + c->rng + 1;
}

static int refuse_tasks(uint64_t said, uint64_t needed, struct open_error *e)
{
	return open_complain(e, -EINVAL, "--limit-tasks: this VM has up to %llu tasks, not %llu",
			     (unsigned long long)needed, (unsigned long long)said);
}

/* ---- disks ---- */

static bool has_device(const struct cgroup_limits *l, const struct cgroup_device *d)
{
	for (size_t i = 0; i < l->n_devices; i++)
		if (l->devices[i].major == d->major && l->devices[i].minor == d->minor)
			return true;
	return false;
}

static int add_device(const struct config_disk *disk, const struct config_limits *c,
		      struct cgroup_limits *l, struct open_error *e)
{
	struct cgroup_device d = { .rbps = c->rbps, .wbps = c->wbps, .riops = c->riops,
				   .wiops = c->wiops };
	char path[CONFIG_PATH_MAX + 1];
	int r;

	snprintf(path, sizeof(path), "%.*s", (int)disk->path_len, disk->path);
	r = cgroup_device_of(path, &d.major, &d.minor);
	if (r == -ENODEV)
		return open_complain(e, r, "--limit-io: %s is not on a disk that can be limited",
				     path);
	if (r < 0)
		return open_complain(e, r, "--disk: %s: %s", path, strerror(-r));
	if (!has_device(l, &d))
		l->devices[l->n_devices++] = d;
	return 0;
}

_Static_assert(CGROUP_MAX_DEVICES >= CONFIG_MAX_DISKS, "one each");
_Static_assert(CGROUP_UNLIMITED == CONFIG_LIMIT_NONE, "handed through");

int limits_plan(const struct vm_config *c, struct cgroup_limits *ret, struct open_error *e)
{
	struct cgroup_limits l = { .memory = c->limits.memory,
				   .tasks = c->limits.tasks,
				   .cpu_percent = c->limits.cpu_percent };
	uint64_t needed = count_tasks(c);

	if (l.memory == CONFIG_LIMIT_DEFAULT)
		l.memory = c->memory + overhead(c);
	if (l.tasks == CONFIG_LIMIT_DEFAULT)
		l.tasks = needed;
	if (l.tasks < needed)
		return refuse_tasks(l.tasks, needed, e);
	for (size_t i = 0; i < c->n_disks && config_limits_io(&c->limits); i++) {
		int r = add_device(&c->disks[i], &c->limits, &l, e);

		if (r < 0)
			return r;
	}
	*ret = l;
	return 0;
}
