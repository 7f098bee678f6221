/* SPDX-License-Identifier: Apache-2.0 */
/* What table and JSON share; see show.h. */
#include "cmd/bulkhead/audit/deep.h"
#include "cmd/bulkhead/audit/show.h"
#include "lib/base/cleanup.h"
#include "lib/surface/calls.h"

#include <stdio.h>
#include <string.h>

static bool has_name(const struct facts_call *c)
{
	char name[48];

	deep_call_name(c->table, c->nr, name, sizeof(name));
	return *name != '#';
}

static void count_native(const struct facts_call *c, struct surface_counts *ret)
{
	if (!has_name(c)) {
		ret->unnamed++;
		return;
	}
	ret->calls++;
	ret->paths += !!(c->takes & CALL_PATH);
	ret->processes += !!(c->takes & CALL_PROCESS);
	ret->addresses += !!(c->takes & CALL_ADDRESS);
	ret->opens += !!(c->takes & CALL_OPENS);
	ret->code += !!(c->takes & CALL_CODE);
}

void count_surface(const struct facts_surface *s, struct surface_counts *ret)
{
	*ret = (struct surface_counts){ 0 };
	for (size_t i = 0; i < s->n_calls; i++) {
		const struct facts_call *c = &s->calls[i];

		if (c->table == SURFACE_X86_64)
			count_native(c, ret);
		else if (c->table == SURFACE_X32)
			ret->x32 += has_name(c);
		else
			ret->i386 += has_name(c);
	}
}

const char *thread_role(const struct subject_process *p, const struct facts_thread *t)
{
	const struct declared_thread *own = declared_thread(p, t);

	if (t->worker)
		return "kernel's worker";
	if (own)
		return own->name;
	return t->tid == p->facts.pid ? "main" : t->status.name;
}

static void arg_text(const struct surface_arg *a, size_t i, char *ret, size_t cap)
{
	size_t at = 0;

	if (a->no_bits)
		snprintf(ret, cap, "#%zu no %#x", i, a->no_bits);
	else if (a->others)
		snprintf(ret, cap, "#%zu not all", i);
	else if (a->more)
		snprintf(ret, cap, "#%zu: more than %zu", i, a->n_values);
	else if (a->n_values > 4)
		snprintf(ret, cap, "#%zu: %zu values", i, a->n_values);
	else
		at = (size_t)snprintf(ret, cap, "#%zu=", i);
	for (size_t k = 0; at && k < a->n_values && at < cap; k++)
		at += (size_t)snprintf(ret + at, cap - at,
				       a->value[k] < 4096 ? "%s%llu" : "%s%#llx", k ? "|" : "",
				       (unsigned long long)a->value[k]);
}

void call_text(const struct facts_call *c, char *ret, size_t cap)
{
	size_t at, n = 0;

	deep_call_name(c->table, c->nr, ret, cap);
	at = strlen(ret);
	for (size_t i = 0; i < 6 && at < cap; i++) {
		char text[64] = "";

		if (!c->call.arg[i].matters)
			continue;
		arg_text(&c->call.arg[i], i, text, sizeof(text));
		at += (size_t)snprintf(ret + at, cap - at, "%s%s", n++ ? "," : "(", text);
	}
	if (n && at < cap)
		snprintf(ret + at, cap - at, ")");
}

const char *unseen_text(unsigned int bit)
{
	switch (bit) {
	case UNSEEN_EXE:
		return "executables";
	case UNSEEN_NAMESPACES:
		return "namespaces";
	case UNSEEN_ROOT:
		return "root directories";
	case UNSEEN_FDS:
		return "descriptors";
	case UNSEEN_MAPS:
		return "mappings";
	case UNSEEN_DUMPABLE:
		return "whether they can be traced";
	case UNSEEN_FILTERS:
		return "filters";
	}
	return NULL;
}

unsigned int all_unseen(const struct subject *s)
{
	unsigned int all = 0;

	for (size_t i = 0; i < s->n_processes; i++)
		all |= s->process[i].facts.unseen;
	return all;
}
