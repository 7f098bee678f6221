/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's control group, or one by itself, is made; see cgroup.h. */
#include "lib/sandbox/cgroup.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/cgroup_internal.h"
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUTSIDE "bulkhead.outside" /* who was where VMs' groups go */
#define ATTEMPTS 10

int cgroup_open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int make_dir(int at, const char *name)
{
	if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	return cgroup_open_dir(at, name);
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
				cgroup_put(dir, "cgroup.subtree_control", "%s", words[i].word) :
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
		r = *line ? cgroup_put(to, "cgroup.procs", "%s", line) : 0;
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

static int limit_all(const struct cgroup *g, unsigned int have, const struct cgroup_limits *l)
{
	int r = cgroup_limit_group(g->guest, have, l->memory, l->tasks, l->cpu_percent);

	if (r == 0 && have & CGROUP_MEMORY) /* all of the VM or nothing */
		r = cgroup_put(g->guest, "memory.oom.group", "1");
	return r < 0 ? r :
		       cgroup_limit_group(g->network, have, l->network_memory, l->network_tasks,
					  l->cpu_percent);
}

/* PLACE/bulkhead with a group in it: the last VM's keeper may just be removing it. */
static int make_vm(struct cgroup *g)
{
	int r = -ENOENT;

	for (int i = 0; i < ATTEMPTS && r == -ENOENT; i++) {
		closep(&g->all);
		r = g->all = make_dir(g->place, CGROUP_ALL);
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
	int r = g->place = cgroup_open_dir(AT_FDCWD, place->path);

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
		r = cgroup_limit_group(g->vm, have, memory, tasks, CGROUP_UNLIMITED);
	if (r == 0 && have & CGROUP_MEMORY)
		r = cgroup_put(g->vm, "memory.oom.group", "1");
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
