/* SPDX-License-Identifier: Apache-2.0 */
/* What a control group may use; see cgroup.h. */
#include "lib/sandbox/cgroup.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define CPU_PERIOD_US 100000

int cgroup_put(int dir, const char *name, const char *fmt, ...)
{
	_cleanup_(closep) int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	char text[160];
	va_list ap;
	int len;

	if (fd < 0)
		return -errno;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return write(fd, text, (size_t)len) == len ? 0 : -errno;
}

int cgroup_limit_device(const struct cgroup *g, const struct cgroup_device *d)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = { { "rbps", d->rbps },
		     { "wbps", d->wbps },
		     { "riops", d->riops },
		     { "wiops", d->wiops } };
	char text[128] = "";
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].value != CGROUP_UNLIMITED)
			at += (size_t)snprintf(text + at, sizeof(text) - at, " %s=%llu",
					       rows[i].name, (unsigned long long)rows[i].value);
	return cgroup_put(g->guest, "io.max", "%u:%u%s", d->major, d->minor, text);
}

/* What is swapped out does not count as memory: without a limit of its own there would be none for both.
 * A kernel without swap has no such file. */
static int limit_memory(int guest, uint64_t bytes)
{
	int r = cgroup_put(guest, "memory.max", "%llu", (unsigned long long)bytes);

	if (r < 0)
		return r;
	r = cgroup_put(guest, "memory.swap.max", "0");
	return r == -ENOENT ? 0 : r;
}

int cgroup_limit_group(int dir, unsigned int have, uint64_t memory, uint64_t tasks,
		       uint64_t cpu_percent)
{
	int r = 0;

	if (have & CGROUP_MEMORY && memory != CGROUP_UNLIMITED)
		r = limit_memory(dir, memory);
	if (r == 0 && have & CGROUP_PIDS && tasks != CGROUP_UNLIMITED)
		r = cgroup_put(dir, "pids.max", "%llu", (unsigned long long)tasks);
	if (r == 0 && have & CGROUP_CPU && cpu_percent != CGROUP_UNLIMITED)
		r = cgroup_put(dir, "cpu.max", "%llu %u",
			       (unsigned long long)cpu_percent * CPU_PERIOD_US / 100,
			       CPU_PERIOD_US);
	return r;
}
