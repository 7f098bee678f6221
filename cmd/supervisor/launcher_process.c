/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher; see launcher.h. Trust: the supervisor HOSTILE, who sends one bounded message at a time; what
 * it was made with trusted. Holds: the descriptors of lib/declared, executables, and what parts are given.
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
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXIT_FAILED 1
#define MAX_HELD 900 /* descriptors, below the policy's limit */

/* Parts by their number; NULL is none, and has no bounds. */
struct state {
	struct jail_host host;
	struct selinux_vm labels;
	struct launcher_part *parts[BOUNDS_MAX_PARTS];
	struct launcher_spare spares[CONFIG_SPARES];
	struct launcher_spare *of[BOUNDS_MAX_PARTS]; /* of spare parts */
	int programs[KINDS_MAX];
	const struct vm_config *config;
	struct bounds bounds;
	int beside[KIND_FILES_MAX - 1]; /* of what is attached next; or -1 */
	int inner; /* of the card that is attached next, after what is behind it; or -1 */
	struct launcher_part *found; /* whose file its user has shown; or NULL */
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

static int hold(int sock, struct launcher_kit *kit)
{
	static struct places p;
	int r;

	keep(&p, &sock);
	keep(&p, &state.host.proc_fd);
	keep(&p, &state.host.cgroup_fd);
	for (size_t i = 0; i < KINDS_MAX; i++)
		if (state.programs[i] >= 0)
			keep(&p, &state.programs[i]);
	for (size_t i = 0; i < kit->n; i++)
		if (kit->parts[i].argv)
			keep_part(&p, &kit->parts[i]);
	if (p.n > MAX_HELD)
		return -EMFILE;
	for (int fd = 0; fd < 3; fd++)
		if (dup2(state.host.null_fd, fd) < 0)
			return -errno;
	state.host.null_fd = 0;
	r = raise_all(&p);
	return r < 0 ? r : place_all(&p);
}

static void learn(const struct jail_host *host, const struct selinux_vm *labels,
		  struct launcher_kit *kit)
{
	uint64_t now = monotonic_ns();
	size_t n_spares = 0;

	state.host = *host;
	state.labels = *labels;
	memcpy(state.programs, kit->programs, sizeof(state.programs));
	state.config = kit->config;
	state.host.userns_fd = -1;
	memset(state.beside, -1, sizeof(state.beside));
	state.inner = -1;
	state.host.for_parent = true;
	bounds_init(&state.bounds, now);
	for (size_t i = 0; i < kit->n; i++) {
		struct launcher_part *part = &kit->parts[i];

		if (part->spare && n_spares == CONFIG_SPARES)
			continue;
		state.parts[part->number] = part;
		if (part->spare)
			state.of[part->number] = &state.spares[n_spares++];
		bounds_allow(&state.bounds, part->number, now);
	}
}

static int prepare(int sock, struct launcher_kit *kit, pid_t supervisor)
{
	sigset_t all;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    setsid() < 0)
		return -errno;
	if (getppid() != supervisor)
		return -ESRCH;
	prctl(PR_SET_NAME, "launcher");
	return hold(sock, kit);
}

static int confine(const struct selinux_vm *labels)
{
	int r = selinux_become(labels, state.host.proc_fd, SELINUX_LAUNCHER);

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

	if (len < 0 || msg_send(LAUNCHER_FD_SUPERVISOR, &iov, 1, fds, n_fds) < 0)
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

	return part->pidfd >= 0 && ppoll(&p, 1, &(struct timespec){ 0 }, NULL) == 0;
}

/* ---- requests ---- */

static enum bounds_refusal may_start(struct launcher_part *part)
{
	if (launcher_is_changing(part))
		return BOUNDS_CHANGING;
	return bounds_ask(&state.bounds, part->number, is_alive(part), monotonic_ns());
}

/* Each says why not; what may be is done and answered. */

static enum bounds_refusal on_again(struct launcher_part *part, const struct ask *a, int *fd)
{
	enum bounds_refusal r = part->argv ? may_start(part) : BOUNDS_UNKNOWN;

	(void)a;
	(void)fd;
	if (r == BOUNDS_FINE)
		start(part);
	return r;
}

static enum bounds_refusal on_new(struct launcher_part *part, const struct ask *a, int *fd)
{
	const struct launcher_filling f = { .ask = a,
					    .fd = fd,
					    .beside = state.beside,
					    .inner = &state.inner,
					    .spare = state.of[part->number],
					    .programs = state.programs,
					    .labels = &state.labels,
					    .config = state.config };
	enum bounds_refusal r = part->spare && !part->argv ? launcher_fill(part, &f) :
							     BOUNDS_UNKNOWN;

	fds_close(state.beside, ARRAY_SIZE(state.beside));
	if (r == BOUNDS_FINE) {
		r = may_start(part);
		if (r == BOUNDS_FINE)
			start(part);
		else
			launcher_empty(part);
	}
	if (a->what == ASK_NEW || r != BOUNDS_FINE)
		closep(&state.inner);
	return r;
}

static enum bounds_refusal on_forget(struct launcher_part *part, const struct ask *a, int *fd)
{
	const struct answer done = { .part = a->part, .result = ANSWER_FORGOTTEN };

	(void)fd;
	if (!part->spare || !part->argv)
		return BOUNDS_UNKNOWN;
	if (is_alive(part))
		return BOUNDS_ALIVE;
	launcher_empty(part);
	say(&done, NULL, 0);
	return BOUNDS_FINE;
}

static enum bounds_refusal on_beside(struct launcher_part *part, const struct ask *a, int *fd)
{
	(void)part;
	if (a->number >= KIND_FILES_MAX)
		_exit(EXIT_FAILED); /* it breaks the protocol */
	closep(&state.beside[a->number - 1]);
	state.beside[a->number - 1] = take_fd(fd);
	return BOUNDS_FINE;
}

static enum bounds_refusal on_find(struct launcher_part *part, const struct ask *a, int *fd)
{
	struct answer found = { .result = ANSWER_UNFOUND, .reason = ANSWER_NO_PART };
	uint64_t size;

	(void)a;
	part = launcher_find(state.parts, *fd);
	if (part && !launcher_has_beside(part, state.beside)) {
		found.reason = ANSWER_BESIDE;
		part = NULL;
	}
	fds_close(state.beside, ARRAY_SIZE(state.beside));
	state.found = part;
	if (part) {
		found.result = ANSWER_FOUND;
		found.reason = 0;
		found.part = part->number;
		if (launcher_noted_size(part, &size))
			snprintf(found.text, sizeof(found.text), "%llu", (unsigned long long)size);
	}
	say(&found, NULL, 0);
	return BOUNDS_FINE;
}

/* Once for each time that its user has shown the file. */
static enum bounds_refusal on_larger(struct launcher_part *part, const struct ask *a, int *fd)
{
	enum bounds_refusal r = part->argv && part == state.found ? may_start(part) :
								    BOUNDS_UNKNOWN;

	(void)a;
	(void)fd;
	if (r != BOUNDS_FINE)
		return r;
	state.found = NULL;
	if (launcher_renew_note(part) < 0)
		_exit(EXIT_FAILED);
	start(part);
	return r;
}

static const struct {
	enum ask_what what;
	bool any; /* of no part in particular */
	enum bounds_refusal (*handle)(struct launcher_part *part, const struct ask *a, int *fd);
} requests[] = {
	{ ASK_AGAIN, false, on_again },	  { ASK_NEW, false, on_new },
	{ ASK_FORGET, false, on_forget }, { ASK_FIND, true, on_find },
	{ ASK_LARGER, false, on_larger }, { ASK_BESIDE, true, on_beside },
	{ ASK_BEHIND, false, on_new },
};

static void serve(const struct ask *a, int *fd)
{
	struct launcher_part *part = state.parts[a->part];
	enum bounds_refusal r = BOUNDS_UNKNOWN;

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		if (requests[i].what == a->what &&
		    (requests[i].any || bounds_know(&state.bounds, a->part)))
			r = requests[i].handle(part, a, fd);
	if (r != BOUNDS_FINE)
		say(&(struct answer){ .part = a->part, .result = ANSWER_REFUSED, .reason = r },
		    NULL, 0);
}

/* One request. False: there is nobody any more, or who is there breaks the protocol. */
static bool hear(struct ask *ret, int *ret_fd)
{
	uint8_t wire[ASK_WIRE_MAX];
	int fds[MSG_MAX_FDS];
	size_t n = 0;
	ssize_t len = msg_recv(LAUNCHER_FD_SUPERVISOR, wire, sizeof(wire), fds, &n, 0);

	if (len <= 0 || ask_decode(wire, (size_t)len, n, ret) < 0)
		return false;
	*ret_fd = n ? fds[0] : -1;
	return true;
}

void launcher_run(const struct jail_host *host, const struct selinux_vm *labels,
		  struct launcher_kit *kit, int sock, pid_t supervisor)
{
	struct ask a;
	int fd;

	learn(host, labels, kit);
	if (prepare(sock, kit, supervisor) < 0 || confine(labels) < 0 ||
	    send(LAUNCHER_FD_SUPERVISOR, "c", 1, MSG_NOSIGNAL) != 1)
		_exit(EXIT_FAILED); /* the supervisor sees it */
	while (hear(&a, &fd)) {
		serve(&a, &fd);
		closep(&fd);
	}
	_exit(0);
}
