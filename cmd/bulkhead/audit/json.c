/* SPDX-License-Identifier: Apache-2.0 */
/* An audit as JSON; see show.h. All texts are printable ASCII by now. */
#include "cmd/bulkhead/audit/deep.h"
#include "cmd/bulkhead/audit/show.h"
#include "lib/base/cleanup.h"
#include "lib/surface/calls.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

static void put(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static void put_number(json_t *object, const char *key, uint64_t n)
{
	put(object, key, n > INT64_MAX ? json_null() : json_integer((json_int_t)n));
}

static json_t *ids(const uint32_t id[4])
{
	return json_pack("[i,i,i,i]", (int)id[0], (int)id[1], (int)id[2], (int)id[3]);
}

/* ---- surfaces ---- */

static json_t *arg_json(const struct surface_arg *a, size_t i)
{
	json_t *o = json_object(), *values = json_array();

	put_number(o, "index", i);
	for (size_t k = 0; k < a->n_values; k++) {
		char hex[24];

		snprintf(hex, sizeof(hex), "%#llx", (unsigned long long)a->value[k]);
		(void)json_array_append_new(values, json_string(hex));
	}
	put(o, "values", values);
	put(o, "more", json_boolean(a->more));
	put(o, "others", json_boolean(a->others));
	put_number(o, "without_bits", a->no_bits);
	return o;
}

static json_t *takes_json(unsigned int takes)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} rows[] = {
		{ CALL_PATH, "path" },	  { CALL_PROCESS, "process" }, { CALL_ADDRESS, "address" },
		{ CALL_OPENS, "object" }, { CALL_CODE, "code" },
	};
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (takes & rows[i].bit)
			(void)json_array_append_new(list, json_string(rows[i].name));
	return list;
}

static json_t *call_json(const struct facts_call *c)
{
	static const char *const tables[] = { "x86_64", "x32", "i386" };
	json_t *o = json_object(), *args = json_array();
	char name[48];

	deep_call_name(c->table, c->nr, name, sizeof(name));
	put(o, "name", *name == '#' ? json_null() : json_string(name));
	put_number(o, "number", c->nr);
	put(o, "table", json_string(tables[c->table]));
	put(o, "always", json_boolean(c->call.verdict == SURFACE_ALWAYS));
	for (size_t i = 0; i < 6; i++)
		if (c->call.arg[i].matters)
			(void)json_array_append_new(args, arg_json(&c->call.arg[i], i));
	put(o, "arguments", args);
	put(o, "takes", takes_json(c->takes));
	return o;
}

static json_t *surface_json(const struct facts_surface *s)
{
	json_t *o = json_object(), *calls = json_array();
	struct surface_counts n;

	count_surface(s, &n);
	put_number(o, "filters", s->filters.n);
	put_number(o, "calls", n.calls);
	put_number(o, "unnamed", n.unnamed);
	put_number(o, "paths", n.paths);
	put_number(o, "processes", n.processes);
	put_number(o, "addresses", n.addresses);
	put_number(o, "objects", n.opens);
	put_number(o, "code", n.code);
	put_number(o, "x32", n.x32);
	put_number(o, "i386", n.i386);
	put(o, "whole", json_boolean(!s->bounded));
	for (size_t i = 0; i < s->n_calls; i++)
		(void)json_array_append_new(calls, call_json(&s->calls[i]));
	put(o, "list", calls);
	return o;
}

/* ---- threads ---- */

static json_t *thread_json(const struct subject_process *p, const struct facts_thread *t)
{
	static const char *const sets[N_CAPS] = { "inheritable", "permitted", "effective",
						  "bounding", "ambient" };
	const struct proc_status *s = &t->status;
	json_t *o = json_object(), *caps = json_object();

	put_number(o, "tid", (uint64_t)t->tid);
	put(o, "name", json_string(s->name));
	put(o, "role", json_string(thread_role(p, t)));
	put(o, "kernel_worker", json_boolean(t->worker));
	put(o, "uid", ids(s->uid));
	put(o, "gid", ids(s->gid));
	put_number(o, "groups", s->n_groups);
	for (size_t i = 0; i < N_CAPS; i++) {
		char text[640];

		caps_text(s->caps[i], text, sizeof(text));
		put(caps, sets[i], json_string(text));
	}
	put(o, "capabilities", caps);
	put(o, "no_new_privs", json_boolean(s->no_new_privs));
	put_number(o, "seccomp_mode", (uint64_t)s->seccomp);
	put(o, "seccomp_filters", s->n_filters < 0 ? json_null() : json_integer(s->n_filters));
	if (t->surface)
		put(o, "surface", surface_json(t->surface));
	return o;
}

/* ---- processes ---- */

static const char *kind_of(const struct facts_fd *fd)
{
	switch (fd->type) {
	case S_IFSOCK:
		return "socket";
	case S_IFREG:
		return "file";
	case S_IFBLK:
		return "block device";
	case S_IFCHR:
		return "character device";
	case S_IFDIR:
		return "directory";
	case S_IFIFO:
		return "pipe";
	}
	return "anonymous";
}

static json_t *fds_json(const struct facts *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->n_fds; i++) {
		const struct facts_fd *fd = &f->fds[i];

		(void)json_array_append_new(list, json_pack("{s:i,s:s,s:s?,s:s}", "fd", fd->fd,
							    "kind", kind_of(fd), "family",
							    fd->family, "link", fd->link));
	}
	return list;
}

static json_t *maps_json(const struct facts *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->n_maps; i++) {
		const struct proc_map *m = &f->maps[i];

		(void)json_array_append_new(list,
					    json_pack("{s:b,s:b,s:b,s:b,s:s}", "read", m->read,
						      "write", m->write, "execute", m->execute,
						      "shared", m->shared, "name", m->name));
	}
	return list;
}

static json_t *namespaces_json(const struct subject *s, const struct facts *f)
{
	json_t *o = json_object();

	for (size_t i = 0; i < N_NAMESPACES; i++)
		if (f->ns[i])
			put(o, facts_ns_names[i],
			    json_pack("{s:I,s:b}", "inode", (json_int_t)f->ns[i], "auditors",
				      f->ns[i] == s->own_ns[i]));
	return o;
}

static json_t *limits_json(const struct facts *f)
{
	static const struct {
		int number;
		const char *name;
	} rows[] = {
		{ RLIMIT_CORE, "core" },   { RLIMIT_NOFILE, "nofile" },
		{ RLIMIT_NPROC, "nproc" }, { RLIMIT_AS, "as" },
		{ RLIMIT_FSIZE, "fsize" }, { RLIMIT_MEMLOCK, "memlock" },
		{ RLIMIT_STACK, "stack" }, { RLIMIT_MSGQUEUE, "msgqueue" },
	};
	json_t *o = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		put_number(o, rows[i].name, f->limits[rows[i].number].hard);
	return o;
}

static json_t *cgroup_json(const struct facts_cgroup *c)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "v1", c->v1, "v2", c->v2, "memory",
			 c->memory, "used", c->used, "cpu", c->cpu, "pids", c->pids, "io", c->io);
}

static json_t *unseen_json(unsigned int unseen)
{
	json_t *list = json_array();

	for (unsigned int bit = 1; bit <= UNSEEN_FILTERS; bit <<= 1)
		if (unseen & bit)
			(void)json_array_append_new(list, json_string(unseen_text(bit)));
	return list;
}

/* What was not seen is left out. */
static json_t *process_json(const struct subject *s, const struct subject_process *p)
{
	const struct facts *f = &p->facts;
	json_t *o = json_object(), *threads = json_array();

	put(o, "name", json_string(f->name));
	put_number(o, "pid", (uint64_t)f->pid);
	put(o, "declared", p->declared ? json_string(p->declared->name) : json_null());
	put_number(o, "weaker", p->n_weak);
	for (size_t i = 0; i < f->n_threads; i++)
		(void)json_array_append_new(threads, thread_json(p, &f->threads[i]));
	put(o, "threads", threads);
	if (!(f->unseen & UNSEEN_NAMESPACES))
		put(o, "namespaces", namespaces_json(s, f));
	if (!(f->unseen & UNSEEN_ROOT))
		put(o, "root",
		    json_pack("{s:b,s:b,s:b,s:i}", "empty", f->root.empty, "auditors", f->root.mine,
			      "read_only", f->root.read_only, "mounts", (int)f->root.n_mounts));
	if (!(f->unseen & UNSEEN_FDS))
		put(o, "descriptors", fds_json(f));
	if (!(f->unseen & UNSEEN_MAPS))
		put(o, "mappings", maps_json(f));
	if (!(f->unseen & UNSEEN_DUMPABLE))
		put(o, "dumpable", json_boolean(f->dumpable));
	put(o, "limits", limits_json(f));
	put(o, "cgroup", cgroup_json(&f->cgroup));
	put(o, "label", *f->label ? json_string(f->label) : json_null());
	put(o, "core_cookie", f->has_core_sched ? json_boolean(f->core_cookie != 0) : json_null());
	put(o, "unseen", unseen_json(f->unseen));
	return o;
}

static json_t *finding_json(const struct finding *f)
{
	json_t *o = json_object();

	put(o, "grade", json_string(f->grade == GRADE_WEAK ? "weaker" : "note"));
	put(o, "process", f->process ? json_string(f->process->facts.name) : json_null());
	put(o, "pid", f->process ? json_integer(f->process->facts.pid) : json_null());
	put(o, "tid", f->tid ? json_integer(f->tid) : json_null());
	put(o, "aspect", json_string(f->aspect));
	put(o, "declared", *f->declared ? json_string(f->declared) : json_null());
	put(o, "is", json_string(f->is));
	return o;
}

/* ---- the whole ---- */

struct json_t *json_begin(void)
{
	return json_pack("{s:i,s:[]}", "version", 1, "audits");
}

int json_add(struct json_t *all, const struct subject *s, const struct findings *f)
{
	json_t *o = json_object(), *processes = json_array(), *findings = json_array();

	put(o, "name", s->name ? json_string(s->name) : json_null());
	put_number(o, "weaker", f->n_weak);
	put(o, "deep", json_boolean(s->deep));
	for (size_t i = 0; i < s->n_processes; i++)
		(void)json_array_append_new(processes, process_json(s, &s->process[i]));
	for (size_t i = 0; i < f->n; i++)
		(void)json_array_append_new(findings, finding_json(&f->list[i]));
	put(o, "processes", processes);
	put(o, "findings", findings);
	return json_array_append_new(json_object_get(all, "audits"), o) < 0 ? -ENOMEM : 0;
}

int json_end(struct json_t *all)
{
	int r = json_dumpf(all, stdout, JSON_INDENT(1));

	printf("\n");
	json_decref(all);
	return r < 0 ? -ENOMEM : 0;
}
