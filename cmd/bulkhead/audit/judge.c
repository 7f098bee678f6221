/* SPDX-License-Identifier: Apache-2.0 */
/* Processes held against what they are declared to be; see judge.h. */
#include "cmd/bulkhead/audit/judge.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/ids.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- namespaces and root ---- */

/* Which must not be those of this command, or of any other process of the machine. */
static unsigned int own_namespaces(enum declared_place place)
{
	unsigned int all = 1U << NS_USER | 1U << NS_MNT | 1U << NS_IPC | 1U << NS_UTS |
			   1U << NS_CGROUP;

	switch (place) {
	case DECLARED_USER:
		return 0;
	case DECLARED_SUPERVISOR:
	case DECLARED_LAUNCHER:
		return all;
	case DECLARED_JAIL:
		return all | 1U << NS_PID | 1U << NS_NET;
	}
	return 0;
}

/* The launcher is a part of its supervisor that is kept apart: in the same namespaces, with the same id. */
static bool is_pair(const struct subject_process *a, const struct subject_process *b)
{
	return (a->declared == &supervisor_declared && b->declared == &launcher_declared) ||
	       (a->declared == &launcher_declared && b->declared == &supervisor_declared);
}

/* Each attached disk of a server has one, and all of a host have one id. */
static bool are_dialers(const struct subject_process *a, const struct subject_process *b)
{
	return a->declared == &dialer_declared && b->declared == &dialer_declared;
}

/* Who else is in the namespace: a name, or NULL. */
static const char *shares(const struct subject *s, const struct subject_process *p, int ns)
{
	uint64_t inode = p->facts.ns[ns];

	if (inode == s->own_ns[ns])
		return "this command";
	for (size_t i = 0; i < s->n_processes; i++)
		if (&s->process[i] != p && s->process[i].facts.ns[ns] == inode &&
		    !is_pair(&s->process[i], p))
			return s->process[i].facts.name;
	return NULL;
}

static void judge_namespaces(const struct subject *s, struct subject_process *p, struct findings *f)
{
	unsigned int own = own_namespaces(p->declared->place);

	if (p->facts.unseen & UNSEEN_NAMESPACES)
		return;
	for (int i = 0; i < N_NAMESPACES; i++) {
		const char *other = own & 1U << i ? shares(s, p, i) : NULL;

		if (other)
			findings_add(f, GRADE_WEAK, p, 0, "namespace", "its own",
				     "%s shared with %s", facts_ns_names[i], other);
	}
}

static void judge_root(struct subject_process *p, struct findings *f)
{
	const struct facts_root *r = &p->facts.root;

	if (p->declared->place == DECLARED_USER || p->facts.unseen & UNSEEN_ROOT)
		return;
	if (r->mine)
		findings_add(f, GRADE_WEAK, p, 0, "root", "empty", "the root of this command");
	else if (!r->empty)
		findings_add(f, GRADE_WEAK, p, 0, "root", "empty", "not empty");
	if (!r->read_only)
		findings_add(f, GRADE_WEAK, p, 0, "root", "read-only", "writable");
	if (r->n_mounts > 1)
		findings_add(f, GRADE_WEAK, p, 0, "root", "one mount", "%u mounts", r->n_mounts);
}

/* ---- ids ---- */

static bool uids_differ(const uint32_t id[4])
{
	return id[0] != id[1] || id[0] != id[2] || id[0] != id[3];
}

/* A keeper has another id for files: that of the groups' owner, to remove them; so has a dialer, for sockets with a
 * path. */
static bool has_one_uid(const struct subject_process *p)
{
	const uint32_t *id = p->facts.threads[0].status.uid;

	if (p->declared == &keeper_declared || p->declared == &dialer_declared)
		return id[0] == id[1] && id[0] == id[2];
	return !uids_differ(id);
}

/* A user's command and keeper run as that user, and so does all where there are no ids to be had. */
static bool has_own_id(const struct subject *s, const struct subject_process *p)
{
	uint32_t uid = p->facts.threads[0].status.uid[0];

	return s->uid == 0 ? uid >= JAIL_MANY_FIRST : uid != s->uid;
}

static bool any_has_own_id(const struct subject *s)
{
	for (size_t i = 0; i < s->n_processes; i++)
		if (has_own_id(s, &s->process[i]))
			return true;
	return false;
}

/* All of a machine's own processes have ids of their own, or none has. */
static void judge_own_id(const struct subject *s, struct subject_process *p, struct findings *f)
{
	const struct proc_status *st = &p->facts.threads[0].status;

	if (!has_own_id(s, p)) {
		if (p->declared->place != DECLARED_USER && st->uid[0] != 0 && any_has_own_id(s))
			findings_add(f, GRADE_WEAK, p, 0, "user id", "its own", "%u", st->uid[0]);
		return;
	}
	if (st->n_groups)
		findings_add(f, GRADE_WEAK, p, 0, "groups", "none", "%u", st->n_groups);
	for (size_t i = 0; i < s->n_processes; i++)
		if (&s->process[i] != p && !is_pair(&s->process[i], p) &&
		    !are_dialers(&s->process[i], p) &&
		    s->process[i].facts.threads[0].status.uid[0] == st->uid[0])
			findings_add(f, GRADE_WEAK, p, 0, "user id", "its own", "%u, as %s",
				     st->uid[0], s->process[i].facts.name);
}

static void judge_ids(const struct subject *s, struct subject_process *p, struct findings *f)
{
	const struct proc_status *st = &p->facts.threads[0].status;

	if (st->uid[0] == 0 || !has_one_uid(p))
		findings_add(f, GRADE_WEAK, p, 0, "user id", "one, not root", "%u, %u, %u, %u",
			     st->uid[0], st->uid[1], st->uid[2], st->uid[3]);
	if (st->gid[0] == 0 || uids_differ(st->gid))
		findings_add(f, GRADE_WEAK, p, 0, "group id", "one, not root", "%u, %u, %u, %u",
			     st->gid[0], st->gid[1], st->gid[2], st->gid[3]);
	judge_own_id(s, p, f);
}

/* ---- limits ---- */

static void judge_limit(struct subject_process *p, struct findings *f, int number, const char *name,
			uint64_t most)
{
	const struct proc_limit *l = &p->facts.limits[number];
	char declared[64];

	if (most == SB_UNSET || (l->hard <= most && l->soft <= most))
		return;
	snprintf(declared, sizeof(declared), "%" PRIu64, most);
	if (l->hard == UINT64_MAX)
		findings_add(f, GRADE_WEAK, p, 0, name, declared, "unlimited");
	else
		findings_add(f, GRADE_WEAK, p, 0, name, declared, "%" PRIu64, l->hard);
}

static bool has_kvm(const struct facts *f)
{
	for (size_t i = 0; i < f->n_fds; i++)
		if (strncmp(f->fds[i].link, "anon_inode:kvm-vm", strlen("anon_inode:kvm-vm")) == 0)
			return true;
	return false;
}

static uint64_t address_space(const struct subject *s, const struct subject_process *p)
{
	const struct declared_machine m = { .memory = s->memory,
					    .vcpus = s->cpus,
					    .channels = s->channels + s->foreign,
					    .soft = !has_kvm(&p->facts) };

	return s->memory ? declared_address_space(p->declared, &m) : p->declared->policy->limits.as;
}

static void judge_limits(const struct subject *s, struct subject_process *p, struct findings *f)
{
	const struct declared_process *d = p->declared;
	const struct sandbox_limits *l = &d->policy->limits;

	judge_limit(p, f, RLIMIT_CORE, "core size limit", 0);
	judge_limit(p, f, RLIMIT_NOFILE, "descriptor limit",
		    declared_descriptors(d, s->channels + s->foreign));
	judge_limit(p, f, RLIMIT_NPROC, "task limit", l->nproc);
	judge_limit(p, f, RLIMIT_AS, "address space limit", address_space(s, p));
	judge_limit(p, f, RLIMIT_MEMLOCK, "locked memory limit", l->memlock);
	if (!d->fsize_of_image)
		judge_limit(p, f, RLIMIT_FSIZE, "file size limit", l->fsize);
	else if (p->facts.limits[RLIMIT_FSIZE].hard == UINT64_MAX)
		findings_add(f, GRADE_WEAK, p, 0, "file size limit", "the image's size",
			     "unlimited");
}

/* ---- control group ---- */

/* All processes of a VM are in one: its limits are the VM's. A dialer is with the supervisor. */
static void judge_cgroup(const struct subject *s, struct subject_process *p, struct findings *f)
{
	const enum declared_place place = p->declared == &dialer_declared ? DECLARED_SUPERVISOR :
									    DECLARED_JAIL;

	for (size_t i = 0; i < s->n_processes; i++) {
		const struct subject_process *first = &s->process[i];

		if (!first->declared || first->declared->place != place)
			continue;
		if (strcmp(first->facts.cgroup.v2, p->facts.cgroup.v2) != 0 ||
		    strcmp(first->facts.cgroup.v1, p->facts.cgroup.v1) != 0)
			findings_add(f, GRADE_WEAK, p, 0, "control group",
				     place == DECLARED_JAIL ? "that of all processes of the VM" :
							      "that of the VM's supervisor",
				     "%s %s", p->facts.cgroup.v2, p->facts.cgroup.v1);
		return;
	}
}

/* ---- the whole ---- */

static void judge_process(const struct subject *s, struct subject_process *p, struct findings *f)
{
	judge_ids(s, p, f);
	judge_threads(s, p, f);
	judge_namespaces(s, p, f);
	judge_root(p, f);
	judge_limits(s, p, f);
	judge_fds(s, p, f);
	judge_maps(p, f);
	judge_labels(s, p, f);
	if (p->declared->place == DECLARED_JAIL || p->declared == &dialer_declared)
		judge_cgroup(s, p, f);
	if (p->facts.dumpable)
		findings_add(f, GRADE_WEAK, p, 0, "dumpable", "no", "yes");
}

static const char *or_max(const char *limit)
{
	return *limit ? limit : "max";
}

static void note_cgroup(const struct facts_cgroup *c, struct findings *f)
{
	bool limited = strcmp(or_max(c->memory), "max") != 0 && strcmp(or_max(c->pids), "max") != 0;

	findings_add(f, GRADE_NOTE, NULL, 0, "control group", "",
		     "%s: memory %s, tasks %s, cpu %s, io %s%s",
		     *c->v2 && strcmp(c->v2, "/") != 0 ? c->v2 :
		     *c->v1			       ? c->v1 :
							 "/",
		     or_max(c->memory), or_max(c->pids), or_max(c->cpu), or_max(c->io),
		     limited ? "" : ": no limit of its own");
}

/* The first may be its user's command, and the last its launcher. */
static const struct subject_process *process_of(const struct subject *s)
{
	for (size_t i = s->n_processes; i-- > 0;)
		if (s->process[i].declared && s->process[i].declared->place == DECLARED_JAIL)
			return &s->process[i];
	return &s->process[s->n_processes - 1];
}

static void note_host(const struct subject *s, struct findings *f)
{
	const struct facts *one = &process_of(s)->facts;
	const struct facts_cgroup *c = &one->cgroup;

	if (!one->has_core_sched)
		findings_add(f, GRADE_NOTE, NULL, 0, "core scheduling", "",
			     "not in this kernel: VMs may share a core's siblings");
	else if (!one->core_cookie)
		findings_add(f, GRADE_NOTE, NULL, 0, "core scheduling", "", "no cookie");
	note_cgroup(c, f);
	if (s->name && s->uid != 0 && !any_has_own_id(s))
		findings_add(f, GRADE_NOTE, NULL, 0, "user id", "",
			     "all are their user's: no subordinate ids are given to the VM");
	note_labels(s, f);
	findings_add(f, GRADE_NOTE, NULL, 0, "Landlock", "",
		     "no kernel tells of another process whether it is in force");
}

/* What was chosen. */
static void note_process(struct subject_process *p, struct findings *f)
{
	if (p->declared->note)
		findings_add(f, GRADE_NOTE, p, 0, "choice", "", "%s", p->declared->note);
}

void judge(struct subject *s, struct findings *ret)
{
	*ret = (struct findings){ 0 };
	count_channels(s);
	for (size_t i = 0; i < s->n_processes; i++)
		if (s->process[i].declared) {
			judge_process(s, &s->process[i], ret);
			note_process(&s->process[i], ret);
		}
	judge_network(s, ret);
	if (s->n_processes)
		note_host(s, ret);
}
