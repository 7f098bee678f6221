/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: capabilities, no_new_privs, filters, and how many there are; see judge.h. */
#include "cmd/bulkhead/audit/judge.h"

#include "cmd/bulkhead/audit/deep.h"
#include "lib/base/cleanup.h"

#include <stdio.h>
#include <string.h>

static const char *const set_names[N_CAPS] = { "inheritable", "permitted", "effective", "bounding",
					       "ambient" };

static const char *const cap_names[] = {
	"chown",
	"dac_override",
	"dac_read_search",
	"fowner",
	"fsetid",
	"kill",
	"setgid",
	"setuid",
	"setpcap",
	"linux_immutable",
	"net_bind_service",
	"net_broadcast",
	"net_admin",
	"net_raw",
	"ipc_lock",
	"ipc_owner",
	"sys_module",
	"sys_rawio",
	"sys_chroot",
	"sys_ptrace",
	"sys_pacct",
	"sys_admin",
	"sys_boot",
	"sys_nice",
	"sys_resource",
	"sys_time",
	"sys_tty_config",
	"mknod",
	"lease",
	"audit_write",
	"audit_control",
	"setfcap",
	"mac_override",
	"mac_admin",
	"syslog",
	"wake_alarm",
	"block_suspend",
	"audit_read",
	"perfmon",
	"bpf",
	"checkpoint_restore",
};

void caps_text(uint64_t set, char *ret, size_t cap)
{
	size_t at = 0;

	if (set >= (UINT64_C(1) << ARRAY_SIZE(cap_names)) - 1) {
		snprintf(ret, cap, "all");
		return;
	}
	snprintf(ret, cap, "none");
	for (size_t i = 0; i < ARRAY_SIZE(cap_names) && at + 1 < cap; i++)
		if (set & UINT64_C(1) << i)
			at += (size_t)snprintf(ret + at, cap - at, "%scap_%s", at ? "," : "",
					       cap_names[i]);
}

/* An ordinary user's command cannot empty its bounding set; no_new_privs makes it void. */
static bool may_keep(const struct subject_process *p, const struct proc_status *s, size_t set)
{
	uint64_t declared = p->declared->policy->capabilities;

	if ((set == CAPS_PERMITTED || set == CAPS_EFFECTIVE) && (s->caps[set] & ~declared) == 0)
		return true;
	return set == CAPS_BOUNDING && p->declared->place == DECLARED_USER && s->no_new_privs;
}

static void judge_caps(struct subject_process *p, const struct facts_thread *t, struct findings *f)
{
	for (size_t i = 0; i < N_CAPS; i++) {
		char text[120];

		if (!t->status.caps[i] || may_keep(p, &t->status, i))
			continue;
		caps_text(t->status.caps[i], text, sizeof(text));
		findings_add(f, GRADE_WEAK, p, t->tid, "capabilities", "none in any set", "%s: %s",
			     set_names[i], text);
	}
}

static bool holds(const struct subject_process *p, const char *link)
{
	for (size_t i = 0; i < p->facts.n_fds; i++)
		if (strncmp(p->facts.fds[i].link, link, strlen(link)) == 0)
			return true;
	return false;
}

/* What a thread was in at first, and gave up, is a filter more than its process's main thread has. */
static bool had_another(const struct subject_process *p, const struct facts_thread *t)
{
	return t->status.n_filters > p->facts.threads[0].status.n_filters;
}

/* Rows of other accelerators, other hosts and other images stand for the same threads. t NULL: of any. */
static const struct declared_thread *row_of(const struct subject_process *p,
					    const struct facts_thread *t)
{
	const struct declared_process *d = p->declared;
	const char *accel = holds(p, "anon_inode:kvm-vm") ? "kvm" : "soft";

	for (size_t i = 0; i < d->n_threads; i++)
		if ((!d->threads[i].accel || strcmp(d->threads[i].accel, accel) == 0) &&
		    !(d->threads[i].no_ring && holds(p, "anon_inode:[io_uring]")) &&
		    (!t || (d->threads[i].at_first != NULL) == had_another(p, t)))
			return &d->threads[i];
	return NULL;
}

const struct declared_thread *declared_thread(const struct subject_process *p,
					      const struct facts_thread *t)
{
	return !p->declared || t->tid == p->facts.pid ? NULL : row_of(p, t);
}

const struct sandbox_policy *declared_policy(const struct subject_process *p,
					     const struct facts_thread *t)
{
	const struct declared_thread *own = declared_thread(p, t);

	return own ? own->policy : p->declared ? p->declared->policy : NULL;
}

/* ---- deep ---- */

/* "write" or "write (x32)". */
static void say_call(const struct surface_point *at, enum surface_table table, char *ret,
		     size_t cap)
{
	char name[40];

	deep_call_name(table, at->nr & 0x3fffffff, name, sizeof(name));
	snprintf(ret, cap, "%s(%#llx, %#llx, %#llx, %#llx, %#llx, %#llx)", name,
		 (unsigned long long)at->args[0], (unsigned long long)at->args[1],
		 (unsigned long long)at->args[2], (unsigned long long)at->args[3],
		 (unsigned long long)at->args[4], (unsigned long long)at->args[5]);
}

static void judge_surface(struct subject_process *p, const struct facts_thread *t,
			  struct findings *f)
{
	_cleanup_(deep_filters_free) struct surface_filters declared = { .n = 0 };
	const struct sandbox_policy *policy = declared_policy(p, t);
	struct surface_point at;
	char call[160];

	if (deep_declared(p, policy, &declared) < 0) {
		f->failed = true;
		return;
	}
	for (size_t i = 0; i < t->surface->n_calls; i++) {
		const struct facts_call *c = &t->surface->calls[i];

		if (!surface_exceeds(&t->surface->filters, &declared, c->table, c->nr, &at))
			continue;
		say_call(&at, c->table, call, sizeof(call));
		findings_add(f, GRADE_WEAK, p, t->tid, "filter", policy->name, "lets through %s",
			     call);
	}
}

/* ---- the whole ---- */

static void judge_filter(struct subject_process *p, const struct facts_thread *t,
			 struct findings *f)
{
	if (!t->status.no_new_privs)
		findings_add(f, GRADE_WEAK, p, t->tid, "no_new_privs", "set", "not set");
	if (t->status.seccomp != 2)
		findings_add(f, GRADE_WEAK, p, t->tid, "filter", "seccomp", "%s",
			     t->status.seccomp == 1 ? "strict mode" : "none");
	else if (t->status.n_filters == 0)
		findings_add(f, GRADE_WEAK, p, t->tid, "filter", "seccomp", "none");
	else if (t->surface)
		judge_surface(p, t, f);
}

static void judge_count(const struct subject *s, struct subject_process *p, struct findings *f)
{
	const struct declared_thread *row = row_of(p, NULL);
	size_t most = 1, is = 0;
	char declared[24];

	if (row && !s->cpus)
		return;
	if (row)
		most += row->each_vcpu ? s->cpus : row->n ? row->n : 1;
	for (size_t i = 0; i < p->facts.n_threads; i++)
		is += !p->facts.threads[i].worker;
	snprintf(declared, sizeof(declared), "%zu", most);
	if (is > most)
		findings_add(f, GRADE_WEAK, p, 0, "threads", declared, "%zu", is);
}

void judge_threads(const struct subject *s, struct subject_process *p, struct findings *f)
{
	const struct proc_status *main = &p->facts.threads[0].status;

	judge_count(s, p, f);
	if (p->declared->place == DECLARED_JAIL && (main->pid_depth < 2 || main->inner_pid != 1))
		findings_add(f, GRADE_WEAK, p, 0, "process id", "1 in a namespace of its own", "%d",
			     (int)main->inner_pid);
	for (size_t i = 0; i < p->facts.n_threads; i++) {
		const struct facts_thread *t = &p->facts.threads[i];

		if (t->worker)
			continue;
		judge_caps(p, t, f);
		judge_filter(p, t, f);
	}
}
