/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a jailed process, the child's side, as a table of steps from clone to exec. It is a copy of
 * the supervisor until exec, and reads nothing that anybody else wrote.
 */
#include "lib/base/cleanup.h"
#include "lib/sandbox/internal.h"
#include "lib/sandbox/selinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct child {
	const struct jail_host *host;
	const struct jail_spec *spec;
	int status;
	int exe;
	int proc; /* /proc, for a label */
};

/* For whoever gives it its ids through /proc; taking them ends it again. */
static int be_traceable(struct child *c)
{
	if (!c->host->for_parent)
		return 0;
	if (prctl(PR_SET_DUMPABLE, 1) < 0)
		return -errno;
	return send(c->status, "t", 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

/* The parent gives this process its ids first; without the parent there is nobody to serve. */
static int await_ids(struct child *c)
{
	char byte;
	ssize_t n = recv(c->status, &byte, 1, 0);

	return n == 1 ? 0 : n < 0 ? -errno : -EPIPE;
}

static int take_ids(struct child *c)
{
	uid_t id = c->spec->id;

	if (setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
		return -errno;
	return 0;
}

static int empty_root(struct child *c)
{
	(void)c;
	return root_make_empty();
}

/* Not by clone: its root would be the parent's group. */
static int cgroup_namespace(struct child *c)
{
	(void)c;
	return unshare(CLONE_NEWCGROUP) < 0 ? -errno : 0;
}

static int forget_host(struct child *c)
{
	static const char name[] = "bulkhead";

	(void)c;
	umask(0777);
	if (sethostname(name, sizeof(name) - 1) < 0 || setdomainname("", 0) < 0)
		return -errno;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return -errno;
	return setsid() < 0 ? -errno : 0;
}

/* Handlers end with exec; what is ignored would stay so. By the call itself: the C library refuses to touch
 * two signals of its own. */
static int reset_signals(struct child *c)
{
	static const unsigned long default_action[4]; /* handler, flags, restorer, mask */
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		if (c->host->ignored >> (sig - 1) & 1)
			(void)syscall(SYS_rt_sigaction, sig, default_action, NULL, 8UL);
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

static int raise_fd(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, JAIL_MAX_FDS);

	return high < 0 ? -errno : high;
}

static int place(int from, int to)
{
	return dup2(from, to) < 0 ? -errno : 0;
}

/* First everything out of the table's numbers, then into its place; exec closes the rest. */
static int place_fds(struct child *c)
{
	int high[JAIL_MAX_FDS];
	const struct jail_spec *s = c->spec;
	int null = raise_fd(c->host->null_fd), r = null < 0 ? null : 0;

	if (s->n_fds > JAIL_MAX_FDS)
		return -EINVAL;
	c->exe = raise_fd(s->exe_fd);
	c->status = raise_fd(c->status);
	c->proc = s->label ? raise_fd(c->host->proc_fd) : -1;
	if (c->exe < 0 || c->status < 0 || (s->label && c->proc < 0))
		return -EBADF;
	for (size_t i = 0; i < s->n_fds && r == 0; i++) {
		if (s->fds[i].to < 3 || s->fds[i].to >= JAIL_MAX_FDS)
			return -EINVAL;
		high[i] = raise_fd(s->fds[i].from);
		r = high[i] < 0 ? high[i] : 0;
	}
	if (r == 0 && close_range(0, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		r = -errno;
	for (int fd = 0; fd < 3 && r == 0; fd++)
		r = place(null, fd);
	for (size_t i = 0; i < s->n_fds && r == 0; i++)
		r = place(high[i], s->fds[i].to);
	return r;
}

static int drop_power(struct child *c)
{
	int r = caps_drop_all();

	(void)c;
	if (r < 0)
		return r;
	return caps_are_empty() ? 0 : -EPERM;
}

static int bind_life(struct child *c)
{
	char byte;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	/* a parent that died before the line above sends no signal, but its end is closed */
	if (recv(c->status, &byte, 1, MSG_DONTWAIT) == 0)
		return -EPIPE;
	return 0;
}

static int ask_label(struct child *c)
{
	return c->spec->label ? selinux_at_exec(c->proc, c->spec->label) : 0;
}

static int execute(struct child *c)
{
	char *const empty[] = { NULL };

	execveat(c->exe, "", c->spec->argv, empty, AT_EMPTY_PATH);
	return -errno;
}

static const struct {
	const char *name;
	int (*run)(struct child *c);
} steps[] = {
	{ "being one that can be given ids", be_traceable },
	{ "waiting for its ids", await_ids },
	{ "its ids", take_ids },
	{ "an empty root", empty_root },
	{ "a cgroup namespace", cgroup_namespace },
	{ "a session and host name of its own", forget_host },
	{ "default signals", reset_signals },
	{ "its descriptors", place_fds },
	{ "no capabilities", drop_power },
	{ "no_new_privs", bind_life },
	{ "its label", ask_label },
	{ "its executable", execute },
};

const char *jail_step_name(int step)
{
	return step >= 0 && (size_t)step < ARRAY_SIZE(steps) ? steps[step].name : NULL;
}

void jail_child(const struct jail_host *host, const struct jail_spec *spec, int status)
{
	struct child c = { .host = host, .spec = spec, .status = status, .exe = -1 };
	struct jail_failure f = { .error = 0 };

	for (size_t i = 0; i < ARRAY_SIZE(steps) && f.error == 0; i++) {
		f.error = steps[i].run(&c);
		f.step = (int)i;
	}
	(void)send(c.status, &f, sizeof(f), MSG_NOSIGNAL);
	_exit(127);
}
