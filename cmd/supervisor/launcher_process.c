/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher; see launcher.h. Trust: the supervisor HOSTILE, who says one byte at a time; what it was
 * made with trusted. Holds: the descriptors of lib/declared, executables, and what parts are given.
 */
#include "cmd/supervisor/launcher.h"

#include "cmd/supervisor/clock.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/declared/declared.h"
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXIT_FAILED 1
#define MAX_HELD 900 /* descriptors, below the policy's limit */

/* Parts by their number; a name that is none has no executable. */
struct state {
	struct jail_host host;
	struct launcher_part parts[BOUNDS_MAX_PARTS];
	struct bounds bounds;
};

static struct state state;

/* ---- what it holds ---- */

/* Descriptors on their way to their places: first above all places, then down. */
struct places {
	int *slot[MAX_HELD];
	size_t n;
};

static void keep(struct places *p, int *slot)
{
	if (p->n < MAX_HELD)
		p->slot[p->n] = slot;
	p->n++;
}

static void keep_part(struct places *p, struct launcher_part *part)
{
	keep(p, &part->pidfd);
	keep(p, &part->exe_fd);
	for (size_t i = 0; i < part->n_given; i++)
		keep(p, &part->given[i].from);
}

static int raise_all(struct places *p)
{
	for (size_t i = 0; i < p->n; i++) {
		int high = *p->slot[i] < 0 ? -1 :
					     fcntl(*p->slot[i], F_DUPFD_CLOEXEC, (int)p->n + 3);

		if (high < 0 && *p->slot[i] >= 0)
			return -errno;
		*p->slot[i] = high;
	}
	return 0;
}

/* The order of the slots is that of the numbers, from 3 up; one that is empty leaves a hole. */
static int place_all(struct places *p)
{
	for (size_t i = 0; i < p->n; i++) {
		int to = (int)i + 3;

		if (*p->slot[i] < 0)
			close(to);
		else if (dup2(*p->slot[i], to) < 0)
			return -errno;
		else
			*p->slot[i] = to;
	}
	return close_range((unsigned int)p->n + 3, ~0U, 0) < 0 ? -errno : 0;
}

static int hold(int requests, int answers)
{
	static struct places p;
	int r;

	keep(&p, &requests);
	keep(&p, &answers);
	keep(&p, &state.host.proc_fd);
	keep(&p, &state.host.cgroup_fd);
	for (size_t i = 0; i < BOUNDS_MAX_PARTS; i++)
		if (bounds_know(&state.bounds, (uint8_t)i))
			keep_part(&p, &state.parts[i]);
	if (p.n > MAX_HELD)
		return -EMFILE;
	for (int fd = 0; fd < 3; fd++)
		if (dup2(state.host.null_fd, fd) < 0)
			return -errno;
	state.host.null_fd = 0;
	r = raise_all(&p);
	return r < 0 ? r : place_all(&p);
}

static void learn(const struct jail_host *host, const struct launcher_part *parts, size_t n)
{
	uint64_t now = monotonic_ns();

	state.host = *host;
	state.host.userns_fd = -1;
	state.host.for_parent = true;
	bounds_init(&state.bounds, now);
	for (size_t i = 0; i < n; i++) {
		state.parts[parts[i].number] = parts[i];
		bounds_allow(&state.bounds, parts[i].number, now);
	}
}

static int prepare(int requests, int answers, pid_t supervisor)
{
	sigset_t all;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    setsid() < 0)
		return -errno;
	if (getppid() != supervisor)
		return -ESRCH;
	prctl(PR_SET_NAME, "launcher");
	return hold(requests, answers);
}

static int confine(const struct selinux_vm *labels)
{
	int r = selinux_become(labels, state.host.proc_fd, SELINUX_LAUNCHER);

	if (r == 0 && shutdown(LAUNCHER_FD_ANSWERS, SHUT_RD) < 0)
		r = -errno;
	return r < 0 ? r : sandbox_confine_self(launcher_declared.policy, NULL);
}

/* ---- one start ---- */

/* What goes along with an answer: the first is the process, the others are the supervisor's ends. */
struct made {
	int ours[ANSWER_MAX_FDS];
	size_t n_ours;
	struct jail_fd fds[JAIL_MAX_FDS];
	size_t n_fds;
	size_t n_given;
};

static int make_channel(struct made *m, int type, int to)
{
	int pair[2];

	if (m->n_fds == JAIL_MAX_FDS || m->n_ours == ANSWER_MAX_FDS)
		return -EMFILE;
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	m->ours[m->n_ours++] = pair[0];
	m->fds[m->n_fds++] = (struct jail_fd){ pair[1], to };
	return 0;
}

static int make_channels(const struct launcher_part *part, struct made *m)
{
	int r;

	memcpy(m->fds, part->given, part->n_given * sizeof(m->fds[0]));
	m->n_fds = m->n_given = part->n_given;
	m->ours[m->n_ours++] = -1; /* the process */
	r = make_channel(m, SOCK_SEQPACKET, FD_CONTROL);
	for (size_t i = 0; i < part->n_channels && r == 0; i++)
		r = make_channel(m, SOCK_STREAM, part->channels[i]);
	return r;
}

static void close_made(struct made *m)
{
	for (size_t i = m->n_given; i < m->n_fds; i++)
		close(m->fds[i].from);
	for (size_t i = 1; i < m->n_ours; i++)
		close(m->ours[i]);
}

static int run(const struct launcher_part *part, const struct made *m, struct jail_process *ret,
	       const char **ret_what)
{
	const char *label = *part->label ? part->label : NULL;
	const struct jail_spec spec = { .name = part->argv[0],
					.exe_fd = part->exe_fd,
					.argv = part->argv,
					.fds = m->fds,
					.n_fds = m->n_fds,
					.id = part->id,
					.label = label };
	int r = jail_begin(&state.host, &spec, ret, ret_what);

	if (r == 0)
		r = jail_finish(ret, ret_what);
	if (r == 0 && label) {
		*ret_what = "its label";
		r = selinux_check(state.host.proc_fd, ret->pid, label);
		if (r < 0)
			jail_kill(ret);
	}
	return r;
}

/* Waits for a supervisor that does not listen; with it this process ends. */
static void say(const struct answer *a, const int *fds, size_t n_fds)
{
	uint8_t wire[ANSWER_WIRE_MAX];
	int len = answer_encode(a, wire, sizeof(wire));
	struct iovec iov = { wire, len < 0 ? 0 : (size_t)len };

	if (len < 0 || msg_send(LAUNCHER_FD_ANSWERS, &iov, 1, fds, n_fds) < 0)
		_exit(EXIT_FAILED);
}

static void start(struct launcher_part *part)
{
	struct answer a = { .part = part->number, .result = ANSWER_STARTED };
	struct jail_process p = JAIL_PROCESS_NONE;
	struct made m = { .n_ours = 0 };
	const char *what = "its channels";
	int r = make_channels(part, &m);

	if (r == 0)
		r = run(part, &m, &p, &what);
	m.ours[0] = p.pidfd;
	if (r < 0) {
		a.result = ANSWER_FAILED;
		a.reason = r;
		strncpy(a.text, what, ANSWER_TEXT_MAX);
		say(&a, m.ours, p.pidfd < 0 ? 0 : 1);
	} else {
		say(&a, m.ours, m.n_ours);
	}
	close_made(&m);
	if (p.pidfd >= 0) {
		closep(&part->pidfd);
		part->pidfd = p.pidfd;
	}
}

static bool is_alive(const struct launcher_part *part)
{
	struct pollfd p = { .fd = part->pidfd, .events = POLLIN };

	return ppoll(&p, 1, &(struct timespec){ 0 }, NULL) == 0;
}

static void serve(uint8_t number)
{
	struct launcher_part *part = &state.parts[number];
	bool alive = bounds_know(&state.bounds, number) && is_alive(part);
	enum bounds_refusal refusal = bounds_ask(&state.bounds, number, alive, monotonic_ns());
	const struct answer no = { .part = number, .result = ANSWER_REFUSED, .reason = refusal };

	if (refusal == BOUNDS_FINE)
		start(part);
	else
		say(&no, NULL, 0);
}

void launcher_run(const struct jail_host *host, const struct selinux_vm *labels,
		  const struct launcher_part *parts, size_t n, int requests, int answers,
		  pid_t supervisor)
{
	uint8_t number;

	learn(host, parts, n);
	if (prepare(requests, answers, supervisor) < 0 || confine(labels) < 0 ||
	    send(LAUNCHER_FD_ANSWERS, "c", 1, MSG_NOSIGNAL) != 1)
		_exit(EXIT_FAILED); /* the supervisor sees it */
	while (read(LAUNCHER_FD_REQUESTS, &number, 1) == 1)
		serve(number);
	_exit(0);
}
