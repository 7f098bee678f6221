/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of /proc, decoded; see procfs.h. */
#include "cmd/bulkhead/audit/procfs.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void procfs_printable(const char *text, char *ret, size_t cap)
{
	size_t n = 0;

	for (; text[n] && n + 1 < cap; n++)
		ret[n] = text[n] < ' ' || text[n] > '~' ? '?' : text[n];
	ret[n] = '\0';
}

/* The start of the value of a line "KEY:<tab>VALUE", or NULL. */
static const char *value_of(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " \t");
	}
	return NULL;
}

static bool get_number(const char *text, const char *key, long long *ret)
{
	const char *v = value_of(text, key);

	return v && sscanf(v, "%18lld", ret) == 1;
}

static bool get_ids(const char *text, const char *key, uint32_t ids[4])
{
	const char *v = value_of(text, key);

	return v && sscanf(v, "%10u %10u %10u %10u", &ids[0], &ids[1], &ids[2], &ids[3]) == 4;
}

/* Numbers up to the line's end: how many, and the last one. */
static unsigned int count_numbers(const char *v, long *ret_last)
{
	unsigned int n = 0;

	while (v && *v != '\n' && *v) {
		char *end;
		long number = strtol(v, &end, 10);

		if (end == v)
			break;
		*ret_last = number;
		n++;
		v = end + strspn(end, " \t");
	}
	return n;
}

static bool get_caps(const char *text, uint64_t caps[N_CAPS])
{
	static const char *const keys[N_CAPS] = { "CapInh", "CapPrm", "CapEff", "CapBnd",
						  "CapAmb" };

	for (size_t i = 0; i < N_CAPS; i++) {
		const char *v = value_of(text, keys[i]);
		unsigned long long set;

		if (!v || sscanf(v, "%16llx", &set) != 1)
			return false;
		caps[i] = set;
	}
	return true;
}

static void get_name(const char *text, char *ret, size_t cap)
{
	const char *v = value_of(text, "Name");
	char name[64];

	snprintf(name, sizeof(name), "%.*s", v ? (int)strcspn(v, "\n") : 0, v ? v : "");
	procfs_printable(name, ret, cap);
}

int procfs_status(const char *text, struct proc_status *ret)
{
	struct proc_status s = { .n_filters = -1 };
	long long tgid, ppid, nnp, seccomp, filters;
	long last = 0;

	get_name(text, s.name, sizeof(s.name));
	if (!get_number(text, "Tgid", &tgid) || !get_number(text, "PPid", &ppid) ||
	    !get_number(text, "NoNewPrivs", &nnp) || !get_number(text, "Seccomp", &seccomp) ||
	    !get_ids(text, "Uid", s.uid) || !get_ids(text, "Gid", s.gid) || !get_caps(text, s.caps))
		return -EBADMSG;
	s.tgid = (pid_t)tgid;
	s.ppid = (pid_t)ppid;
	s.no_new_privs = (int)nnp;
	s.seccomp = (int)seccomp;
	if (get_number(text, "Seccomp_filters", &filters))
		s.n_filters = (int)filters;
	s.n_groups = count_numbers(value_of(text, "Groups"), &last);
	s.pid_depth = count_numbers(value_of(text, "NSpid"), &last);
	s.inner_pid = (pid_t)last;
	*ret = s;
	return 0;
}

/* PID (NAME) STATE PPID PGRP SESSION TTY TPGID FLAGS …; NAME may have parentheses of its own. */
int procfs_flags(const char *text, uint32_t *ret)
{
	const char *after = strrchr(text, ')');

	return after && sscanf(after, ") %*c %*d %*d %*d %*d %*d %10u", ret) == 1 ? 0 : -EBADMSG;
}

static uint64_t limit_value(const char *text)
{
	unsigned long long n;

	return sscanf(text, "%20llu", &n) == 1 ? n : UINT64_MAX;
}

void procfs_limits(const char *text, struct proc_limit ret[RLIM_NLIMITS])
{
	static const struct {
		const char *key;
		int number;
	} rows[] = {
		{ "Max cpu time", RLIMIT_CPU },
		{ "Max file size", RLIMIT_FSIZE },
		{ "Max data size", RLIMIT_DATA },
		{ "Max stack size", RLIMIT_STACK },
		{ "Max core file size", RLIMIT_CORE },
		{ "Max resident set", RLIMIT_RSS },
		{ "Max processes", RLIMIT_NPROC },
		{ "Max open files", RLIMIT_NOFILE },
		{ "Max locked memory", RLIMIT_MEMLOCK },
		{ "Max address space", RLIMIT_AS },
		{ "Max pending signals", RLIMIT_SIGPENDING },
		{ "Max msgqueue size", RLIMIT_MSGQUEUE },
	};
	char soft[24], hard[24];

	for (int i = 0; i < RLIM_NLIMITS; i++)
		ret[i] = (struct proc_limit){ UINT64_MAX, UINT64_MAX };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *line = strstr(text, rows[i].key);

		if (line && sscanf(line + strlen(rows[i].key), "%23s %23s", soft, hard) == 2)
			ret[rows[i].number] =
				(struct proc_limit){ limit_value(soft), limit_value(hard) };
	}
}

/* START-END PERMS OFFSET DEVICE INODE  NAME */
int procfs_map(const char *line, struct proc_map *ret)
{
	struct proc_map m = { 0 };
	char perms[5];
	int name = 0;

	if (sscanf(line, "%*x-%*x %4s %*x %*s %*u%n", perms, &name) != 1 || name == 0 ||
	    strlen(perms) != 4)
		return -EBADMSG;
	m.read = perms[0] == 'r';
	m.write = perms[1] == 'w';
	m.execute = perms[2] == 'x';
	m.shared = perms[3] == 's';
	procfs_printable(line + name + strspn(line + name, " "), m.name, sizeof(m.name));
	*ret = m;
	return 0;
}

/* Whether one of the names with commas between is the wanted one. */
static bool lists(const char *names, size_t len, const char *wanted)
{
	size_t wanted_len = strlen(wanted);

	for (const char *at = names; at <= names + len;) {
		size_t n = strcspn(at, ",:\n");

		if (n == wanted_len && strncmp(at, wanted, n) == 0)
			return true;
		at += n + 1;
	}
	return false;
}

/* NUMBER:CONTROLLERS:PATH */
bool procfs_cgroup(const char *text, const char *controller, char *ret, size_t cap)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		const char *names, *path;

		line += *line == '\n';
		names = line + strcspn(line, ":\n");
		if (*names != ':')
			continue;
		names++;
		path = names + strcspn(names, ":\n");
		if (*path != ':' || !lists(names, (size_t)(path - names), controller))
			continue;
		path++;
		snprintf(ret, cap, "%.*s", (int)strcspn(path, "\n"), path);
		return true;
	}
	return false;
}

int procfs_column(const char *line, unsigned int column, uint64_t *ret)
{
	unsigned long long n;
	const char *at = line + strspn(line, " ");
	char *end;

	for (unsigned int i = 0; i < column; i++) {
		at += strcspn(at, " ");
		at += strspn(at, " ");
	}
	n = strtoull(at, &end, 10);
	if (end == at || (*end && *end != ' '))
		return -EBADMSG;
	*ret = n;
	return 0;
}
