/* SPDX-License-Identifier: Apache-2.0 */
/* The filters of live threads; see deep.h. */
#include "cmd/bulkhead/audit/deep.h"

#include "lib/base/cleanup.h"
#include "lib/surface/calls.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#define STOP_WAIT_S 2
#define MAX_RULES 160

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* ---- stopping ---- */

/*
 * A thread that waits in the kernel for something that no signal ends does not stop. SIGCHLD, which
 * says that one has, is blocked. *ret_signal is one that was on its way and must not be lost.
 */
static int await_stop(pid_t tid, const sigset_t *chld, int *ret_signal)
{
	const struct timespec patience = { .tv_sec = STOP_WAIT_S };
	int status;
	pid_t got;

	while ((got = waitpid(tid, &status, __WALL | WNOHANG)) == 0)
		if (sigtimedwait(chld, NULL, &patience) < 0 && errno != EINTR)
			return -ETIMEDOUT;
	if (got < 0)
		return -errno;
	if (!WIFSTOPPED(status))
		return -ESRCH;
	*ret_signal = status >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status);
	return 0;
}

static int read_filter(pid_t tid, size_t i, struct bpf_program *ret)
{
	long n = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, NULL);
	struct sock_filter *code;

	if (n < 0)
		return -errno;
	if (n == 0 || n > BPF_PROGRAM_MAX)
		return -EBADMSG;
	code = calloc((size_t)n, sizeof(*code));
	if (!code)
		return -ENOMEM;
	if (ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, code) != n) {
		free(code);
		return -EBADMSG;
	}
	*ret = (struct bpf_program){ code, (size_t)n };
	return 0;
}

static int read_filters(pid_t tid, struct surface_filters *ret)
{
	int r = 0;

	while (ret->n < SURFACE_MAX_FILTERS) {
		r = read_filter(tid, ret->n, &ret->program[ret->n]);
		if (r < 0)
			break;
		ret->n++;
	}
	return r == -ENOENT && ret->n ? 0 : r < 0 ? r : -E2BIG;
}

/* Detaching is the kernel's business when this command ends, however it ends. */
static int dump(pid_t tid, struct surface_filters *ret, uint64_t *ret_ns)
{
	int signal = 0, r;
	uint64_t start;
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &chld, NULL) < 0)
		return -errno;
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
		return -errno;
	start = now_ns();
	r = ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 ? -errno :
							    await_stop(tid, &chld, &signal);
	if (r == 0)
		r = read_filters(tid, ret);
	(void)ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)signal);
	*ret_ns = now_ns() - start;
	return r;
}

/* ---- what they let through ---- */

static int add_call(struct facts_surface *s, enum surface_table table, uint32_t nr,
		    const struct surface_call *c)
{
	struct facts_call *more = s->calls;

	if ((s->n_calls & (s->n_calls - 1)) == 0) { /* full at powers of two */
		more = reallocarray(s->calls, s->n_calls ? 2 * s->n_calls : 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->calls = more;
	}
	more[s->n_calls++] = (struct facts_call){
		.table = table,
		.nr = nr,
		.takes = table == SURFACE_X86_64 ? calls_take(nr, c) : 0,
		.call = *c,
	};
	return 0;
}

static int work_out(struct facts_surface *s)
{
	struct surface_call c;
	int r = 0;

	for (int table = 0; table < SURFACE_N_TABLES && r == 0; table++)
		for (uint32_t nr = 0; nr < SURFACE_NUMBERS && r == 0; nr++) {
			surface_call(&s->filters, (enum surface_table)table, nr, &c);
			s->bounded |= c.bounded;
			if (c.verdict != SURFACE_NEVER)
				r = add_call(s, (enum surface_table)table, nr, &c);
		}
	return r;
}

static bool is_unseen(int error)
{
	return error == -EPERM || error == -EACCES || error == -EINVAL || error == -EIO ||
	       error == -ETIMEDOUT || error == -EMEDIUMTYPE || error == -E2BIG || error == -EBADMSG;
}

static int read_thread(struct facts *f, struct facts_thread *t)
{
	struct facts_surface *s = calloc(1, sizeof(*s));
	uint64_t ns = 0;
	int r = 0;

	if (!s)
		return -ENOMEM;
	t->surface = s; /* freed with the thread */
	if (t->status.seccomp)
		r = dump(t->tid, &s->filters, &ns);
	if (ns > f->stopped_ns)
		f->stopped_ns = ns;
	if (r == 0 && !surface_check(&s->filters))
		r = -EBADMSG;
	if (r == 0)
		r = work_out(s);
	if (r == 0)
		return 0;
	facts_free_surface(s);
	t->surface = NULL;
	if (is_unseen(r)) {
		f->unseen |= UNSEEN_FILTERS;
		return 0;
	}
	return r;
}

int deep_read(struct facts *f)
{
	int r = 0;

	for (size_t i = 0; i < f->n_threads && r == 0; i++) {
		if (f->threads[i].worker)
			continue;
		r = read_thread(f, &f->threads[i]);
		/* other threads may end at any time */
		if (r == -ESRCH && f->threads[i].tid != f->pid)
			r = 0;
	}
	return r;
}

/* ---- what is declared ---- */

/* Comparisons with the process's own id are made with that of the process looked at. */
static void set_own_pid(const struct sandbox_policy *p, uint64_t pid, struct sandbox_rule *ret)
{
	memcpy(ret, p->rules, p->n_rules * sizeof(*ret));
	for (size_t i = 0; i < p->n_rules; i++)
		for (size_t k = 0; k < SANDBOX_MAX_ARGS; k++)
			if (ret[i].args[k].cmp == SB_OWN_PID) {
				ret[i].args[k].cmp = SB_EQ;
				ret[i].args[k].value = pid;
			}
}

static int make(const struct sandbox_policy *p, int control_fd, struct bpf_program *ret)
{
	struct sandbox_filter f;
	int r = sandbox_make_filter(p, control_fd, &f);
	struct sock_filter *code;

	if (r < 0)
		return r;
	code = malloc(f.len * sizeof(*code));
	if (!code)
		return -ENOMEM;
	memcpy(code, f.code, f.len * sizeof(*code));
	ret->code = code;
	ret->n = f.len;
	return 0;
}

int deep_declared(const struct subject_process *p, const struct sandbox_policy *policy,
		  struct surface_filters *ret)
{
	struct sandbox_rule rules[MAX_RULES];
	struct sandbox_policy own = *policy;
	int r;

	if (policy->n_rules > MAX_RULES)
		return -E2BIG;
	set_own_pid(policy, (uint64_t)p->facts.threads[0].status.inner_pid, rules);
	own.rules = rules;
	r = make(&own, p->declared->place == DECLARED_JAIL ? FD_CONTROL : -1, &ret->program[0]);
	if (r < 0)
		return r;
	ret->n = 1;
	return 0;
}

void deep_filters_free(struct surface_filters *f)
{
	for (size_t i = 0; i < f->n; i++)
		free((void *)f->program[i].code);
	f->n = 0;
}

void deep_call_name(enum surface_table table, uint32_t nr, char *ret, size_t cap)
{
	static const uint32_t arches[] = {
		[SURFACE_X86_64] = SCMP_ARCH_X86_64,
		[SURFACE_X32] = SCMP_ARCH_X32,
		[SURFACE_I386] = SCMP_ARCH_X86,
	};
	static const char *const suffixes[] = { "", "/x32", "/i386" };
	int number = (int)(table == SURFACE_X32 ? nr | 0x40000000 : nr);
	char *name = seccomp_syscall_resolve_num_arch(arches[table], number);

	if (name)
		snprintf(ret, cap, "%s%s", name, suffixes[table]);
	else
		snprintf(ret, cap, "#%u%s", nr, suffixes[table]);
	free(name);
}
