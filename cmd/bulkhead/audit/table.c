/* SPDX-License-Identifier: Apache-2.0 */
/* An audit as a table for people; see show.h. */
#include "cmd/bulkhead/audit/show.h"
#include "lib/base/cleanup.h"
#include "lib/surface/calls.h"

#include <stdio.h>
#include <string.h>

#define WIDTH 79
#define ALL_NAMES_UP_TO 40 /* calls; of more only those are named that take something */

/* ---- lines that wrap between words ---- */

struct wrapped {
	size_t at;
	size_t indent; /* of all lines but the first */
	bool begun;    /* there is a word on the line */
};

/* A first line that begins in column at. */
static struct wrapped wrap(size_t at, size_t indent)
{
	printf("%*s", (int)at, "");
	return (struct wrapped){ .at = at, .indent = indent };
}

static void put_word(struct wrapped *w, const char *word)
{
	if (w->begun && w->at + 1 + strlen(word) > WIDTH) {
		printf("\n");
		*w = wrap(w->indent, w->indent);
	}
	w->at += (size_t)printf("%s%s", w->begun ? " " : "", word);
	w->begun = true;
}

static void put_words(const char *text, size_t at, size_t indent)
{
	struct wrapped w = wrap(at, indent);
	char copy[640], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((word = strsep(&rest, " ")))
		put_word(&w, word);
	printf("\n");
}

/* ---- one row a process ---- */

static void say_namespaces(const struct subject *s, const struct facts *f, char *ret, size_t cap)
{
	unsigned int own = 0;

	if (f->unseen & UNSEEN_NAMESPACES) {
		snprintf(ret, cap, "?");
		return;
	}
	for (size_t i = 0; i < N_NAMESPACES; i++)
		own += f->ns[i] && f->ns[i] != s->own_ns[i];
	snprintf(ret, cap, "%u own", own);
}

static const char *say_root(const struct facts *f)
{
	if (f->unseen & UNSEEN_ROOT)
		return "?";
	return f->root.mine ? "host" : f->root.empty ? "empty" : "other";
}

/* Of the thread that has the most. */
static const char *say_caps(const struct facts *f)
{
	const char *worst = "none";

	for (size_t i = 0; i < f->n_threads; i++) {
		const uint64_t *caps = f->threads[i].status.caps;

		if (caps[CAPS_EFFECTIVE] || caps[CAPS_PERMITTED])
			return "SOME";
		if (caps[CAPS_INHERITABLE] || caps[CAPS_AMBIENT] || caps[CAPS_BOUNDING])
			worst = "bound";
	}
	return worst;
}

/* Threads with a filter, of all. */
static void say_filters(const struct facts *f, char *ret, size_t cap)
{
	size_t all = 0, with = 0;

	for (size_t i = 0; i < f->n_threads; i++) {
		all += !f->threads[i].worker;
		with += !f->threads[i].worker && f->threads[i].status.seccomp == 2;
	}
	snprintf(ret, cap, "%zu/%zu", with, all);
}

static void say_count(bool unseen, size_t n, char *ret, size_t cap)
{
	if (unseen)
		snprintf(ret, cap, "?");
	else
		snprintf(ret, cap, "%zu", n);
}

static size_t count_wx(const struct facts *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_maps; i++)
		n += f->maps[i].write && f->maps[i].execute;
	return n;
}

static const char *say_result(const struct subject_process *p)
{
	if (!p->declared)
		return "-";
	return p->n_weak ? "WEAKER" : "declared";
}

static void print_process(const struct subject *s, const struct subject_process *p)
{
	const struct facts *f = &p->facts;
	const struct proc_status *main = &f->threads[0].status;
	char ns[16], filters[24], fds[16], wx[16];

	say_namespaces(s, f, ns, sizeof(ns));
	say_filters(f, filters, sizeof(filters));
	say_count(f->unseen & UNSEEN_FDS, f->n_fds, fds, sizeof(fds));
	say_count(f->unseen & UNSEEN_MAPS, count_wx(f), wx, sizeof(wx));
	printf("%-12.12s %7d %10u %5s %3s %6s %6s %5s %4s %3s %8s\n", f->name, (int)f->pid,
	       main->uid[1], say_caps(f), main->no_new_privs ? "yes" : "NO", filters, ns,
	       say_root(f), fds, wx, say_result(p));
}

/* ---- findings ---- */

static void print_weak(const struct finding *f)
{
	char line[600], who[64] = "";

	if (f->process)
		snprintf(who, sizeof(who), "%s %d: ", f->process->facts.name,
			 (int)(f->tid ? f->tid : f->process->facts.pid));
	snprintf(line, sizeof(line), "%s%s: declared %s, is %s", who, f->aspect, f->declared,
		 f->is);
	put_words(line, 2, 6);
}

static void print_note(const struct finding *f)
{
	char line[600];

	snprintf(line, sizeof(line), "%s: %s", f->aspect, f->is);
	put_words(line, 2, 6);
}

static void print_findings(const struct findings *f)
{
	if (f->n_weak)
		printf("\nWEAKER THAN DECLARED\n");
	for (size_t i = 0; i < f->n; i++)
		if (f->list[i].grade == GRADE_WEAK)
			print_weak(&f->list[i]);
	if (f->n > f->n_weak)
		printf("\nnotes\n");
	for (size_t i = 0; i < f->n; i++)
		if (f->list[i].grade == GRADE_NOTE)
			print_note(&f->list[i]);
}

static void print_unseen(const struct subject *s)
{
	unsigned int unseen = all_unseen(s);
	char line[400] = "not visible to this user:";
	size_t at = strlen(line);

	if (!unseen)
		return;
	for (unsigned int bit = 1; bit <= UNSEEN_FILTERS; bit <<= 1)
		if (unseen & bit && unseen_text(bit))
			at += (size_t)snprintf(line + at, sizeof(line) - at, "%s %s",
					       line[at - 1] == ':' ? "" : ",", unseen_text(bit));
	printf("\n");
	put_words(line, 0, 2);
}

void show_table(const struct subject *s, const struct findings *f)
{
	if (s->name)
		printf("%s: %zu processes\n", s->name, s->n_processes);
	printf("%-12s %7s %10s %5s %3s %6s %6s %5s %4s %3s %8s\n", "PROCESS", "PID", "UID", "CAPS",
	       "NNP", "FILTER", "NAMESP", "ROOT", "FDS", "W+X", "RESULT");
	for (size_t i = 0; i < s->n_processes; i++)
		print_process(s, &s->process[i]);
	print_findings(f);
	print_unseen(s);
}

/* ---- surfaces ---- */

static bool same_surface(const struct facts_surface *a, const struct facts_surface *b)
{
	if (a->n_calls != b->n_calls)
		return false;
	for (size_t i = 0; i < a->n_calls; i++)
		if (a->calls[i].table != b->calls[i].table || a->calls[i].nr != b->calls[i].nr ||
		    a->calls[i].call.verdict != b->calls[i].call.verdict)
			return false;
	return true;
}

static void print_names(const struct facts_surface *s, bool all)
{
	struct wrapped w = wrap(4, 4);

	for (size_t i = 0; i < s->n_calls; i++) {
		const struct facts_call *c = &s->calls[i];
		char text[256];

		if (c->table != SURFACE_X86_64 || (!all && !c->takes))
			continue;
		call_text(c, text, sizeof(text));
		if (*text != '#')
			put_word(&w, text);
	}
	printf("\n");
}

static void print_surface(const struct subject_process *p, const struct facts_thread *t,
			  unsigned int times)
{
	const struct facts_surface *s = t->surface;
	struct surface_counts n;
	char name[48];

	count_surface(s, &n);
	snprintf(name, sizeof(name), "%.15s %.12s", p->facts.name, thread_role(p, t));
	printf("%-27s %4u %5u %5u %5u %5u %5u %5u %4u %4u\n", name, times, n.calls, n.paths,
	       n.processes, n.addresses, n.opens, n.code, n.x32, n.i386);
	if (n.calls <= ALL_NAMES_UP_TO)
		print_names(s, true);
	else if (n.paths + n.processes + n.addresses + n.opens + n.code)
		print_names(s, false);
	if (s->bounded)
		printf("    intricate: not every combination was tried, there may be more\n");
}

/* Threads of a process that have the same surface are one row, at the first of them. */
static void print_surfaces(const struct subject_process *p)
{
	const struct facts *f = &p->facts;

	for (size_t i = 0; i < f->n_threads; i++) {
		const struct facts_surface *s = f->threads[i].surface;
		unsigned int times = 0;
		bool first = true;

		for (size_t k = 0; s && k < f->n_threads; k++) {
			if (!f->threads[k].surface || !same_surface(s, f->threads[k].surface))
				continue;
			first = first && k >= i;
			times++;
		}
		if (s && first)
			print_surface(p, &f->threads[i], times);
	}
}

void show_surfaces(const struct subject *s)
{
	uint64_t stopped = 0;

	printf("\nsystem calls that the filters let through, and what they can take\n");
	printf("%-27s %4s %5s %5s %5s %5s %5s %5s %4s %4s\n", "THREADS", "", "CALLS", "PATH",
	       "PROC", "ADDR", "OPEN", "CODE", "X32", "I386");
	for (size_t i = 0; i < s->n_processes; i++) {
		print_surfaces(&s->process[i]);
		if (s->process[i].facts.stopped_ns > stopped)
			stopped = s->process[i].facts.stopped_ns;
	}
	printf("each thread was stopped for %.2f ms at most\n", (double)stopped / 1e6);
}
