/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SELinux labels, held against those of the module: each process in the domain of its kind, all of a
 * machine with one pair of categories; see lib/sandbox/selinux.h.
 */
#include "cmd/bulkhead/audit/judge.h"

#include "lib/sandbox/selinux.h"

#include <stdio.h>
#include <string.h>

/* The type of a label "user:role:type:level", and what is behind it; false: it is none. */
static bool split(const char *label, const char **ret_type, size_t *ret_len, const char **ret_level)
{
	const char *role = strchr(label, ':');
	const char *type = role ? strchr(role + 1, ':') : NULL;
	const char *level = type ? strchr(type + 1, ':') : NULL;

	if (!level)
		return false;
	*ret_type = type + 1;
	*ret_len = (size_t)(level - type - 1);
	*ret_level = level + 1;
	return true;
}

static const char *domain_of(const struct subject_process *p)
{
	return p->declared ? p->declared->domain : NULL;
}

static bool in_domain(const struct subject_process *p, const char *domain, const char **ret_level)
{
	const char *type;
	size_t len;

	return split(p->facts.label, &type, &len, ret_level) && strlen(domain) == len &&
	       strncmp(type, domain, len) == 0;
}

/* The level of the first process that is in its domain, or NULL: the machine has no labels. */
static const char *level_of(const struct subject *s)
{
	const char *level;

	for (size_t i = 0; i < s->n_processes; i++) {
		const char *domain = domain_of(&s->process[i]);

		if (domain && in_domain(&s->process[i], domain, &level))
			return level;
	}
	return NULL;
}

bool judge_is_labelled(const struct subject *s, const struct facts *n, const char *domain)
{
	const char *machine = level_of(s), *type, *level;
	size_t len;

	if (!machine)
		return true;
	return split(n->label, &type, &len, &level) && strlen(domain) == len &&
	       strncmp(type, domain, len) == 0 && strcmp(level, machine) == 0;
}

static bool is_pair(const char *level)
{
	unsigned int low, high;
	int end = 0;

	return sscanf(level, "s0:c%u,c%u%n", &low, &high, &end) == 2 && low < high && !level[end];
}

void judge_labels(const struct subject *s, struct subject_process *p, struct findings *f)
{
	const char *domain = domain_of(p), *machine = level_of(s), *level;

	if (!domain || !machine)
		return;
	if (!in_domain(p, domain, &level))
		findings_add(f, GRADE_WEAK, p, 0, "label", domain, "%s", p->facts.label);
	else if (!is_pair(level))
		findings_add(f, GRADE_WEAK, p, 0, "label", "a pair of categories", "%s", level);
	else if (strcmp(level, machine) != 0)
		findings_add(f, GRADE_WEAK, p, 0, "label", machine, "%s", level);
}

/* "LEVEL: PROCESS DOMAIN, …", as far as there is room. */
static void note_all(const struct subject *s, const char *machine, struct findings *f)
{
	char text[300];
	size_t at = (size_t)snprintf(text, sizeof(text), "SELinux, %s", machine);
	const char *type, *level;
	size_t len;

	for (size_t i = 0; i < s->n_processes && at < sizeof(text); i++)
		if (split(s->process[i].facts.label, &type, &len, &level))
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s %s %.*s",
					       i == 0 ? ":" : ",", s->process[i].facts.name,
					       (int)len, type);
	findings_add(f, GRADE_NOTE, NULL, 0, "label", "", "%s", text);
}

void note_labels(const struct subject *s, struct findings *f)
{
	/* the last is a process, the first may be its user's command */
	const char *label = s->process[s->n_processes - 1].facts.label, *level, *type;
	const char *machine = level_of(s);
	size_t len;

	if (machine)
		note_all(s, machine, f);
	else if (!*label)
		findings_add(f, GRADE_NOTE, NULL, 0, "label", "",
			     "none: neither SELinux nor AppArmor is at work");
	else if (strcmp(label, "unconfined") == 0)
		findings_add(f, GRADE_NOTE, NULL, 0, "label", "",
			     "unconfined: AppArmor confines nothing here");
	else if (split(label, &type, &len, &level))
		findings_add(f, GRADE_NOTE, NULL, 0, "label", "",
			     "%.*s: not one of Bulkhead's SELinux module", (int)len, type);
}
