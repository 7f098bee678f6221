/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's control group: made, limited, removed; see cgroup.h. */
#include "lib/sandbox/cgroup.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/cgroup_internal.h"
#include "lib/sandbox/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALL "bulkhead"
#define OUTSIDE "bulkhead.outside" /* who was where VMs' groups go */
#define CPU_PERIOD_US 100000
#define ATTEMPTS 10

static int put(int dir, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int put(int dir, const char *name, const char *fmt, ...)
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

static int open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int make_dir(int at, const char *name)
{
	if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	return open_dir(at, name);
}

/* Only the owner of the place can remove what is in it; but no id that owns more than groups is one to
 * remove directories with unless Landlock keeps it to this place. */
uid_t cgroup_keeper_file_id(const struct cgroup *g)
{
	struct stat st;

	if (fstat(g->place, &st) < 0 || sandbox_landlock_abi() == 0)
		return CGROUP_KEEPER_ID;
	return st.st_uid;
}

static int give_to_keeper(const struct cgroup *g, int dir)
{
	if (geteuid() != 0)
		return 0;
	return fchown(dir, cgroup_keeper_file_id(g), CGROUP_KEEPER_ID) < 0 ? -errno : 0;
}

/* ---- the place ---- */

static int enable(int dir, unsigned int controllers)
{
	static const struct {
		unsigned int bit;
		const char *word;
	} words[] = { { CGROUP_CPU, "+cpu" },
		      { CGROUP_IO, "+io" },
		      { CGROUP_MEMORY, "+memory" },
		      { CGROUP_PIDS, "+pids" } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		int r = controllers & words[i].bit ?
				put(dir, "cgroup.subtree_control", "%s", words[i].word) :
				0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* One round: processes may start others meanwhile. 1 when there were any. */
static int move_some(int place)
{
	char text[4096];
	char *line, *at = text;
	_cleanup_(closep) int to = -1;
	int r = cgroup_text(place, "cgroup.procs", text, sizeof(text));

	if (r < 0 || !*text)
		return r;
	if (strlen(text) == sizeof(text) - 1)
		*strrchr(text, '\n') = '\0'; /* the rest is for the next round */
	to = make_dir(place, OUTSIDE);
	r = to < 0 ? to : 0;
	while (r >= 0 && (line = strsep(&at, "\n"))) {
		r = *line ? put(to, "cgroup.procs", "%s", line) : 0;
		if (r == -ESRCH)
			r = 0;
	}
	return r < 0 ? r : 1;
}

static int move_processes(int place)
{
	int r = 1;

	for (int i = 0; i < ATTEMPTS && r > 0; i++)
		r = move_some(place);
	return r > 0 ? -EBUSY : r;
}

/* ---- the VM's group ---- */

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
	return put(g->guest, "io.max", "%u:%u%s", d->major, d->minor, text);
}

/* What is swapped out does not count as memory: without a limit of its own there would be none for both.
 * A kernel without swap has no such file. */
static int limit_memory(int guest, uint64_t bytes)
{
	int r = put(guest, "memory.max", "%llu", (unsigned long long)bytes);

	if (r < 0)
		return r;
	r = put(guest, "memory.swap.max", "0");
	return r == -ENOENT ? 0 : r;
}

/* What a group may use, by the controllers that there are. */
static int limit_group(int dir, unsigned int have, uint64_t memory, uint64_t tasks,
		       uint64_t cpu_percent)
{
	int r = 0;

	if (have & CGROUP_MEMORY && memory != CGROUP_UNLIMITED)
		r = limit_memory(dir, memory);
	if (r == 0 && have & CGROUP_PIDS && tasks != CGROUP_UNLIMITED)
		r = put(dir, "pids.max", "%llu", (unsigned long long)tasks);
	if (r == 0 && have & CGROUP_CPU && cpu_percent != CGROUP_UNLIMITED)
		r = put(dir, "cpu.max", "%llu %u",
			(unsigned long long)cpu_percent * CPU_PERIOD_US / 100, CPU_PERIOD_US);
	return r;
}

static int limit_all(const struct cgroup *g, unsigned int have, const struct cgroup_limits *l)
{
	int r = limit_group(g->guest, have, l->memory, l->tasks, l->cpu_percent);

	if (r == 0 && have & CGROUP_MEMORY) /* all of the VM or nothing */
		r = put(g->guest, "memory.oom.group", "1");
	return r < 0 ? r :
		       limit_group(g->network, have, l->network_memory, l->network_tasks,
				   l->cpu_percent);
}

/* PLACE/bulkhead with a group in it: the last VM's keeper may just be removing it. */
static int make_vm(struct cgroup *g)
{
	int r = -ENOENT;

	for (int i = 0; i < ATTEMPTS && r == -ENOENT; i++) {
		closep(&g->all);
		r = g->all = make_dir(g->place, ALL);
		if (r >= 0)
			r = g->vm = make_dir(g->all, g->name);
	}
	return r < 0 ? r : 0;
}

static int make_leaves(struct cgroup *g, unsigned int controllers)
{
	int r = give_to_keeper(g, g->all);

	if (r == 0)
		r = give_to_keeper(g, g->vm);
	if (r == 0)
		r = enable(g->all, controllers);
	if (r == 0)
		r = enable(g->vm, controllers);
	if (r < 0)
		return r;
	g->supervisor = make_dir(g->vm, "supervisor");
	g->guest = make_dir(g->vm, "guest");
	g->network = make_dir(g->vm, "network");
	if (g->supervisor < 0 || g->guest < 0 || g->network < 0)
		return g->supervisor < 0 ? g->supervisor : g->guest < 0 ? g->guest : g->network;
	g->kill = openat(g->guest, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	g->kill_network = openat(g->network, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	g->events = openat(g->guest, "memory.events", O_RDONLY | O_CLOEXEC);
	return 0;
}

static int open_place(const struct cgroup_place *place, struct cgroup *g, const char **ret_what)
{
	int r = g->place = open_dir(AT_FDCWD, place->path);

	*ret_what = "moving processes out of the way";
	if (r >= 0)
		r = place->is_around ? move_processes(g->place) : 0;
	if (r < 0)
		return r;
	*ret_what = "its controllers";
	return enable(g->place, place->controllers);
}

static int make(const struct cgroup_place *place, const struct cgroup_limits *l, struct cgroup *g,
		const char **ret_what)
{
	int r = open_place(place, g, ret_what);

	if (r < 0)
		return r;
	*ret_what = "the VM's group";
	r = make_vm(g);
	if (r == 0)
		r = make_leaves(g, place->controllers);
	if (r < 0)
		return r;
	*ret_what = "a limit";
	return limit_all(g, place->controllers, l);
}

int cgroup_make(const struct cgroup_place *place, const char *vm_name,
		const struct cgroup_limits *l, struct cgroup *ret, const char **ret_what)
{
	struct cgroup g = CGROUP_NONE;
	int r;

	snprintf(g.name, sizeof(g.name), "%s.%d", vm_name, (int)getpid());
	r = make(place, l, &g, ret_what);
	if (r < 0) {
		(void)!cgroup_remove(&g);
		cgroup_close(&g);
		return r;
	}
	*ret = g;
	return 0;
}

static int make_alone(const struct cgroup_place *place, uint64_t memory, uint64_t tasks,
		      struct cgroup *g)
{
	const unsigned int have = place->controllers;
	const char *what;
	int r = open_place(place, g, &what);

	if (r == 0)
		r = make_vm(g);
	if (r == 0)
		r = give_to_keeper(g, g->all);
	if (r == 0)
		r = enable(g->all, have);
	if (r == 0)
		r = limit_group(g->vm, have, memory, tasks, CGROUP_UNLIMITED);
	if (r == 0 && have & CGROUP_MEMORY)
		r = put(g->vm, "memory.oom.group", "1");
	return r;
}

int cgroup_make_alone(const struct cgroup_place *place, const char *name, uint64_t memory,
		      uint64_t tasks)
{
	struct cgroup g = CGROUP_NONE;
	int r;

	snprintf(g.name, sizeof(g.name), "%s.%d", name, (int)getpid());
	r = make_alone(place, memory, tasks, &g);
	if (r == 0)
		cgroup_sweep(&g);
	else if (g.vm >= 0)
		(void)!cgroup_remove(&g);
	if (r == 0)
		r = take_fd(&g.vm);
	cgroup_close(&g);
	return r;
}

int cgroup_give(const struct cgroup *g, uid_t id)
{
	if (fchownat(g->vm, "cgroup.procs", id, id, 0) < 0 ||
	    fchownat(g->guest, "cgroup.procs", id, id, 0) < 0)
		return -errno;
	return 0;
}

/* ---- the end ---- */

static int remove_dir(int at, const char *name)
{
	return unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_vm(int all, int vm, const char *name)
{
	int r = remove_dir(vm, "guest");

	if (r == 0)
		r = remove_dir(vm, "network");
	if (r == 0)
		r = remove_dir(vm, "supervisor");
	return r < 0 ? r : remove_dir(all, name);
}

int cgroup_remove(const struct cgroup *g)
{
	int r = g->vm < 0 ? 0 : remove_vm(g->all, g->vm, g->name);

	if (r == 0)
		(void)!remove_dir(g->place, ALL);
	return r;
}

static bool keeper_is_gone(const char *name)
{
	const char *dot = strrchr(name, '.');
	long pid = dot ? strtol(dot + 1, NULL, 10) : 0;

	return pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

void cgroup_sweep(const struct cgroup *g)
{
	int fd = open_dir(g->all, ".");
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_(closep) int vm = -1;

		if (e->d_type != DT_DIR || !keeper_is_gone(e->d_name))
			continue;
		vm = open_dir(g->all, e->d_name);
		if (vm >= 0)
			(void)!remove_vm(g->all, vm, e->d_name);
	}
	if (d)
		closedir(d);
	else
		closep(&fd);
}

void cgroup_close(struct cgroup *g)
{
	closep(&g->place);
	closep(&g->all);
	closep(&g->vm);
	closep(&g->supervisor);
	closep(&g->guest);
	closep(&g->network);
	closep(&g->kill);
	closep(&g->kill_network);
	closep(&g->events);
}

static unsigned long count_of(const char *events, const char *name)
{
	const char *at = strstr(events, name);

	return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

/* "oom_kill" counts whoever killed, "oom" only what reached the group's own limit. */
enum cgroup_want cgroup_ran_out(int events)
{
	char text[512];
	ssize_t n = read(events, text, sizeof(text) - 1);

	if (n <= 0)
		return CGROUP_WANT_UNKNOWN;
	text[n] = '\0';
	if (count_of(text, "oom_kill ") == 0)
		return CGROUP_WANT_NONE;
	return count_of(text, "oom ") > 0 ? CGROUP_WANT_LIMIT : CGROUP_WANT_HOST;
}
