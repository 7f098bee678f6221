/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead audit: what the kernel says of a running machine's processes. */
#include "cmd/bulkhead/audit/deep.h"
#include "cmd/bulkhead/audit/dialers.h"
#include "cmd/bulkhead/audit/judge.h"
#include "cmd/bulkhead/audit/network.h"
#include "cmd/bulkhead/audit/show.h"
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/vmlink.h"
#include "lib/base/cleanup.h"
#include "lib/config/config.h"
#include "lib/sandbox/cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define EXIT_WEAKER 1
#define MAX_NAMES 256

struct options {
	const char *name;
	pid_t pid; /* 0: none was said */
	uid_t uid; /* whose machine */
	bool other_uid;
	bool deep;
	bool json;
};

/* What goes on over all that is audited. */
struct run {
	const struct options *options;
	struct json_t *json;
	size_t n; /* audited so far */
	int status;
};

/* ---- reading ---- */

static int read_process(struct subject *s, pid_t pid, const struct declared_process *declared)
{
	struct subject_process *p = &s->process[s->n_processes];
	int r;

	if (s->n_processes == SUBJECT_MAX_PROCESSES)
		return -E2BIG;
	r = facts_read(pid, &p->facts);
	if (r < 0)
		return r;
	s->n_processes++;
	p->declared = declared;
	if (s->deep)
		r = deep_read(&p->facts);
	return facts_still_true(&p->facts) ? r : -ESRCH;
}

/* It runs the supervisor's executable. */
static void rename_copy(struct subject_process *p, const struct declared_process *declared)
{
	p->declared = declared;
	snprintf(p->facts.name, sizeof(p->facts.name), "%s", declared->name);
}

/* A child of the supervisor is what its executable's name says; launcher and dialer are copies of it. */
static int read_part(struct subject *s, pid_t pid)
{
	int r = read_process(s, pid, NULL);
	struct subject_process *p = &s->process[s->n_processes - 1];

	if (r < 0)
		return r;
	if (strcmp(p->facts.name, supervisor_declared.name) == 0) {
		rename_copy(p, strcmp(p->facts.threads[0].status.name, dialer_declared.name) == 0 ?
				       &dialer_declared :
				       &launcher_declared);
		return 0;
	}
	p->declared = declared_find(p->facts.name);
	return p->declared && p->declared->place == DECLARED_JAIL ? 0 : -EBADMSG;
}

static int parent_of(pid_t pid)
{
	struct facts f;
	int r = facts_read(pid, &f);

	if (r < 0)
		return r;
	r = f.threads[0].status.ppid;
	facts_free(&f);
	return r;
}

static bool runs(pid_t pid, const char *program)
{
	struct facts f;
	bool same;

	if (pid <= 1 || facts_read(pid, &f) < 0)
		return false;
	same = strcmp(f.name, program) == 0;
	facts_free(&f);
	return same;
}

static int read_keeper(struct subject *s, pid_t pid)
{
	int r = read_process(s, pid, &keeper_declared);

	if (r == 0)
		rename_copy(&s->process[s->n_processes - 1], &keeper_declared);
	return r;
}

/* Who is above the supervisor: its keeper, where there is one, and the command that started the
 * machine, if it is still there. */
static int read_above(struct subject *s, pid_t supervisor)
{
	int parent = parent_of(supervisor), r = 0;
	pid_t keeper = 0;

	if (parent > 1 && runs(parent, supervisor_declared.name)) {
		keeper = parent;
		parent = parent_of(keeper);
	}
	if (parent < 0)
		return parent;
	if (runs(parent, relay_declared.name))
		r = read_process(s, parent, &relay_declared);
	return r == 0 && keeper ? read_keeper(s, keeper) : r;
}

/* It runs the supervisor's executable, as far as that is seen, and is of who may have started it. */
static bool is_dialer(const struct subject *s, const struct facts *f)
{
	const uid_t uid = f->threads[0].status.uid[0];

	return (f->unseen & UNSEEN_EXE || strcmp(f->name, supervisor_declared.name) == 0) &&
	       (uid == s->uid || uid == CGROUP_DIALER_ID);
}

static int read_dialer(struct subject *s, pid_t pid)
{
	const size_t n = s->n_processes;
	int r = read_process(s, pid, &dialer_declared);

	if (s->n_processes == n)
		return r;
	if (r == 0 && is_dialer(s, &s->process[n].facts)) {
		rename_copy(&s->process[n], &dialer_declared);
		return 0;
	}
	facts_free(&s->process[n].facts);
	s->n_processes = n;
	return r;
}

/* Those of its disks that were attached; a disk may have just been detached. */
static int read_dialers(struct subject *s, pid_t supervisor)
{
	pid_t found[CONFIG_SPARES];
	const int n = dialers_find(supervisor, found, ARRAY_SIZE(found));
	int r = 0;

	for (int i = 0; i < n && (r == 0 || r == -ESRCH); i++)
		r = read_dialer(s, found[i]);
	return n < 0 ? n : r == -ESRCH ? 0 : r;
}

static int read_machine(struct subject *s, pid_t supervisor)
{
	pid_t parts[SUBJECT_MAX_PROCESSES];
	int r = read_above(s, supervisor), n;

	if (r == 0)
		r = read_process(s, supervisor, &supervisor_declared);
	if (r < 0)
		return r;
	n = facts_children(supervisor, parts, ARRAY_SIZE(parts));
	for (int i = 0; i < n && r == 0; i++)
		r = read_part(s, parts[i]);
	if (r == 0)
		r = read_dialers(s, supervisor);
	if (n > 0 && r == 0 && !facts_still_true(&s->process[s->n_processes - 1].facts))
		r = -ESRCH;
	return n < 0 ? n : n == 0 ? -ESRCH : r;
}

static int query(int link, struct subject *s)
{
	const struct control_msg q = { .type = CTL_QUERY };
	_cleanup_(closep) int fd = -1;
	struct control_msg m;
	int r = vmlink_ask(link, &q, CTL_INFO, &m, &fd);

	if (r < 0)
		return r == -EPIPE ? -ESRCH : r;
	if (m.type != CTL_INFO)
		return -EPROTO;
	s->cpus = m.info.cpus;
	s->memory = m.info.memory;
	return 0;
}

/* Who listens, as the kernel says it; the message, which only its user gets, says the rest. */
static int ask(const struct options *o, const char *name, struct subject *s, pid_t *ret_supervisor)
{
	_cleanup_(closep) int link = vmlink_open_of(o->uid, name);
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int r;

	if (link < 0)
		return link;
	r = o->uid == geteuid() ? query(link, s) : 0;
	if (r < 0)
		return r;
	if (getsockopt(link, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	*ret_supervisor = peer.pid;
	return peer.pid > 0 ? 0 : -EPROTO;
}

/* ---- one subject ---- */

static void subject_free(struct subject *s)
{
	for (size_t i = 0; i < s->n_processes; i++)
		facts_free(&s->process[i].facts);
	network_free(s);
}

static int show(struct run *run, struct subject *s)
{
	_cleanup_(findings_free) struct findings f = { 0 };

	judge(s, &f);
	if (f.failed)
		return -ENOMEM;
	if (f.n_weak)
		run->status = EXIT_WEAKER;
	if (run->json)
		return json_add(run->json, s, &f);
	if (run->n++)
		printf("\n");
	show_table(s, &f);
	if (s->deep)
		show_surfaces(s);
	return 0;
}

/* One line for why a machine is not audited. */
static int say_why(const struct options *o, const char *name, int error)
{
	if (error == -ENOENT && o->other_uid)
		return complain(EXIT_FAILED, "no VM of user %u is named '%.64s'", o->uid, name);
	if (error == -EOVERFLOW)
		return vmlink_complain(name, error);
	if (error == -ENOENT)
		return complain(EXIT_FAILED, "no VM of yours is named '%.64s': see bulkhead ps",
				name);
	if (error == -ESRCH)
		return complain(EXIT_FAILED, "%.64s ended while it was audited", name);
	if (error == -EBADMSG)
		return complain(EXIT_FAILED, "%.64s has a process that is none of Bulkhead's",
				name);
	return complain(EXIT_FAILED, "%.64s cannot be audited: %s", name, strerror(-error));
}

static int audit_machine(struct run *run, const char *name)
{
	struct subject s = { .name = name, .uid = run->options->uid, .deep = run->options->deep };
	pid_t supervisor = 0;
	int r = ask(run->options, name, &s, &supervisor);

	facts_own_namespaces(s.own_ns);
	if (r == 0)
		r = read_machine(&s, supervisor);
	if (r == 0)
		r = network_read(&s);
	if (r == 0)
		r = show(run, &s);
	subject_free(&s);
	return r < 0 ? say_why(run->options, name, r) : 0;
}

static int audit_process(struct run *run, pid_t pid)
{
	struct subject s = { .deep = run->options->deep };
	int r;

	facts_own_namespaces(s.own_ns);
	r = read_process(&s, pid, NULL);
	if (r == 0)
		r = show(run, &s);
	subject_free(&s);
	if (r == -ESRCH)
		return complain(EXIT_FAILED, "there is no process %d, or it has just ended",
				(int)pid);
	return r < 0 ? complain(EXIT_FAILED, "process %d cannot be audited: %s", (int)pid,
				strerror(-r)) :
		       0;
}

/* ---- all machines ---- */

struct names {
	char name[MAX_NAMES][CTL_NAME_MAX + 1];
	size_t n;
};

static void add_name(const char *name, void *owner)
{
	struct names *all = owner;

	if (all->n < MAX_NAMES)
		snprintf(all->name[all->n++], sizeof(all->name[0]), "%s", name);
}

static int audit_all(struct run *run)
{
	static struct names all;
	int r = vmlink_each(add_name, &all), worst = 0;

	if (r < 0)
		return complain(EXIT_FAILED, "/proc/net/unix: %s", strerror(-r));
	if (all.n == 0)
		return complain(EXIT_FAILED, "no VM of yours runs");
	for (size_t i = 0; i < all.n; i++) {
		r = audit_machine(run, all.name[i]);
		worst = r ? r : worst;
	}
	return worst;
}

/* ---- words ---- */

static int parse_number(const char *word, long least, const char *what, long *ret)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(word, &end, 10);
	if (errno || *end || end == word || n < least || n > INT32_MAX)
		return complain(EXIT_WORDS, "audit: '%.60s' is no %s", word, what);
	*ret = n;
	return 0;
}

static int parse_pid(struct options *o, const char *word)
{
	long n = 0;
	int r = parse_number(word, 1, "process id", &n);

	o->pid = (pid_t)n;
	return r;
}

static int parse_uid(struct options *o, const char *word)
{
	long n = 0;
	int r = parse_number(word, 0, "user id", &n);

	o->uid = (uid_t)n;
	o->other_uid = true;
	return r;
}

/* Options with a value: `--key value` and `--key=value`. */
static const struct {
	const char *key;
	int (*parse)(struct options *o, const char *word);
} valued[] = { { "--pid", parse_pid }, { "--uid", parse_uid } };

static int parse_word(struct options *o, const char *word, const char *next, bool *ret_took_next)
{
	*ret_took_next = false;
	for (size_t i = 0; i < ARRAY_SIZE(valued); i++) {
		size_t len = strlen(valued[i].key);

		if (strncmp(word, valued[i].key, len) != 0)
			continue;
		if (word[len] == '=')
			return valued[i].parse(o, word + len + 1);
		*ret_took_next = word[len] == '\0' && next;
		if (*ret_took_next)
			return valued[i].parse(o, next);
	}
	if (strcmp(word, "--deep") == 0)
		o->deep = true;
	else if (strcmp(word, "--json") == 0)
		o->json = true;
	else if (word[0] == '-' || o->name)
		return complain(EXIT_WORDS,
				"audit: '%.60s' will not do: say [NAME | --pid N] [--uid N] "
				"[--deep] [--json]",
				word);
	else
		o->name = word;
	return 0;
}

static int check(const struct options *o)
{
	if (o->name && o->pid)
		return complain(EXIT_WORDS, "audit: NAME or --pid N, not both");
	if (o->other_uid && !o->name)
		return complain(EXIT_WORDS, "audit: --uid: which VM is missing: say NAME");
	if (o->deep && geteuid() != 0)
		return complain(EXIT_FAILED, "audit: --deep takes root: the kernel gives filters "
					     "back to nobody else");
	if (o->uid != geteuid() && geteuid() != 0)
		return complain(EXIT_FAILED, "audit: another user's VM takes root");
	return 0;
}

static int parse(struct options *o, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		bool took_next;
		int r = parse_word(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &took_next);

		if (r)
			return r;
		i += took_next;
	}
	return check(o);
}

static int run_all(struct run *run)
{
	const struct options *o = run->options;

	if (o->pid)
		return audit_process(run, o->pid);
	return o->name ? audit_machine(run, o->name) : audit_all(run);
}

int verb_audit(int argc, char **argv)
{
	struct options options = { .uid = geteuid() };
	struct run run = { .options = &options };
	int r;

	if (argc == 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0))
		return verb_help(0, NULL);
	r = parse(&options, argc, argv);
	if (r)
		return r;
	if (options.json) {
		run.json = json_begin();
		if (!run.json)
			return complain(EXIT_FAILED, "no memory");
	}
	r = run_all(&run);
	if (run.json && json_end(run.json) < 0)
		return complain(EXIT_FAILED, "the output was lost");
	if (fflush(stdout) || ferror(stdout))
		return complain(EXIT_FAILED, "the output was lost");
	return r ? r : run.status;
}
