/* SPDX-License-Identifier: Apache-2.0 */
/* What is at the other ends of network links: nothing is declared of it, but of passt is known how it confines itself. */
#include "cmd/bulkhead/audit/judge.h"

#include "cmd/bulkhead/segment/keeper.h"
#include "lib/declared/declared.h"
#include "lib/sandbox/selinux.h"

#include <stdio.h>
#include <string.h>

#define PASST "passt"
#define NS_OF_PASST (1U << NS_USER | 1U << NS_MNT | 1U << NS_PID | 1U << NS_IPC | 1U << NS_UTS)

static bool is_passt(const struct facts *n)
{
	return strncmp(n->name, PASST, strlen(PASST)) == 0;
}

/* A copy of who started passt, by a name that it gave itself and nobody can change. */
static bool is_guard(const struct facts *n)
{
	return n->n_threads == 1 &&
	       strcmp(n->threads[0].status.name, passt_guard_declared.name) == 0;
}

/* What holds of both. */
static const char *weaker_process(const struct facts *n)
{
	const struct proc_status *st = &n->threads[0].status;

	if (st->uid[0] == 0 || st->uid[1] == 0)
		return "runs as root";
	if (st->seccomp != 2 || !st->no_new_privs)
		return "is in no seccomp filter";
	if (st->caps[CAPS_PERMITTED] || st->caps[CAPS_EFFECTIVE])
		return "has capabilities";
	return NULL;
}

/* What is not as passt leaves it, or NULL. */
static const char *weaker(const struct subject *s, const struct facts *n)
{
	const char *what = weaker_process(n);

	if (what)
		return what;
	for (size_t i = 0; i < N_NAMESPACES; i++)
		if (NS_OF_PASST >> i & 1 && n->ns[i] && n->ns[i] == s->own_ns[i])
			return "has not all namespaces of its own";
	if (!(n->unseen & UNSEEN_ROOT) && !n->root.empty)
		return "has files in its root";
	return NULL;
}

/* "/bulkhead/NAME.PID/guest" has "/bulkhead/NAME.PID/network" beside it. */
static bool is_of_machine(const struct subject *s, const struct facts *n)
{
	static const char own[] = "/guest", beside[] = "/network";

	for (size_t i = 0; i < s->n_processes; i++) {
		const char *at = s->process[i].facts.cgroup.v2;
		size_t len = strlen(at), most = sizeof(own) - 1;

		if (len > most && strcmp(at + len - most, own) == 0)
			return strncmp(n->cgroup.v2, at, len - most) == 0 &&
			       strcmp(n->cgroup.v2 + len - most, beside) == 0;
	}
	return false;
}

static bool is_switch(const struct facts *n)
{
	return strcmp(n->name, "net-switch") == 0;
}

static bool is_of_segment(const struct facts *n)
{
	const char *last = strrchr(n->cgroup.v2, '/');

	return last && strncmp(last + 1, SEGMENT_GROUP, strlen(SEGMENT_GROUP)) == 0;
}

/* Its memory is apart from that of the VM's processes. */
static void say_group(const struct subject *s, const struct facts *n, char *out, size_t cap)
{
	const struct facts_cgroup *g = &n->cgroup;
	const char *whose = is_of_machine(s, n) ? "the VM's control group for its network" :
			    is_of_segment(n)	? "its segment's control group" :
						  NULL;

	if (whose)
		snprintf(out, cap, ", in %s: %s bytes of memory now, %s at most, tasks %s", whose,
			 g->used, *g->memory ? g->memory : "max", *g->pids ? g->pids : "max");
	else
		snprintf(out, cap, ", in no control group of %s",
			 is_switch(n) ? "its segment's" : "the VM's");
}

/* What is known of it, or "". */
static const char *describe(const struct facts *n)
{
	if (is_guard(n))
		return ": it ends passt with that link";
	return is_passt(n) ? ": seccomp filter, no capability, namespaces of its own, "
			     "an empty root, the host's network" :
			     "";
}

static void judge_one(const struct subject *s, const struct facts *n, struct findings *f)
{
	const char *name = is_guard(n) ? passt_guard_declared.name : n->name;
	const char *domain = is_guard(n) ? SELINUX_PASST_GUARD : is_passt(n) ? SELINUX_PASST : NULL;
	const char *what = is_guard(n) ? weaker_process(n) : is_passt(n) ? weaker(s, n) : NULL;
	const int uid = (int)n->threads[0].status.uid[0];
	char group[200];

	if (!what && domain && !judge_is_labelled(s, n, domain))
		what = "is not in its SELinux domain with the VM's categories";
	say_group(s, n, group, sizeof(group));
	if (what)
		findings_add(f, GRADE_WEAK, NULL, 0, "network", "passt as it confines itself",
			     "%s, process %d, user id %d, %s", name, (int)n->pid, uid, what);
	else
		findings_add(
			f, GRADE_NOTE, NULL, 0, "network", "",
			"%s, process %d, user id %d, has the other end of a link and is not of the VM%s%s",
			name, (int)n->pid, uid, describe(n), group);
}

void judge_network(const struct subject *s, struct findings *f)
{
	for (size_t i = 0; i < s->n_network; i++)
		judge_one(s, &s->network[i], f);
}
