/* SPDX-License-Identifier: Apache-2.0 */
/* The switch keeper's start; see keeper.h. */
#include "cmd/bulkhead/segment/keeper.h"

#include "cmd/bulkhead/segment/ports.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/control/control.h"
#include "lib/declared/declared.h"
#include "lib/sandbox/cgroup.h"
#include "lib/sandbox/jail.h"
#include "lib/sandbox/sandbox.h"
#include "lib/sandbox/selinux.h"
#include "lib/sandbox/userns_why.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_FDS (SWITCH_KEEPER_FD_EXE + 1)
#define PATIENCE_MS 60000 /* until net-switch is confined */

/* ---- in its process ---- */

/* Nothing of the command's is left, its terminal above all; and nothing of this is net-switch's. */
static int keep_fds(int first, int listener, int exe)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[N_FDS] = { null, null, null, first, listener, exe };
	int r = fds_place(fds, N_FDS);

	for (int i = STDERR_FILENO + 1; i < N_FDS && r == 0; i++)
		r = fcntl(i, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
	return r;
}

static int begin(const struct jail_host *host, int control, const struct selinux_vm *labels,
		 struct jail_process *ret, const char **ret_what)
{
	static char name[] = "net-switch";
	char *const argv[] = { name, NULL }, label[SELINUX_LABEL_MAX];
	const struct jail_fd fds[] = { { control, FD_CONTROL } };
	const struct jail_spec spec = { .name = name,
					.exe_fd = SWITCH_KEEPER_FD_EXE,
					.argv = argv,
					.fds = fds,
					.n_fds = ARRAY_SIZE(fds),
					.id = jail_id(host, 1),
					.label = labels->on ? label : NULL };
	int r;

	selinux_label(labels, SELINUX_SWITCH, label);
	r = jail_begin(host, &spec, ret, ret_what);
	if (r == 0)
		r = jail_finish(ret, ret_what);
	if (r < 0 || !labels->on)
		return r;
	*ret_what = "its label";
	return selinux_check(host->proc_fd, ret->pid, label);
}

/* The switch says nothing else before it is confined, and then it says that. */
static int await_ready(int channel, const char **ret_what)
{
	struct pollfd p = { .fd = channel, .events = POLLIN };
	static struct control_msg m;
	int fd = -1, r;

	*ret_what = "net-switch does not answer";
	if (poll(&p, 1, PATIENCE_MS) != 1)
		return -ETIMEDOUT;
	r = control_recv(channel, &m, &fd);
	closep(&fd);
	if (r > 0 && m.type == CTL_READY)
		return 0;
	if (r > 0 && m.type == CTL_FAILED)
		*ret_what = m.text;
	return -ECHILD;
}

static int become(const struct selinux_vm *labels, const struct jail_host *host, const char *domain,
		  const char **ret_what)
{
	*ret_what = "its SELinux domain";
	return selinux_become(labels, host->proc_fd, domain);
}

/* Its channel has the label of the domain in which it is made. */
static int start_apart(struct jail_host *host, const struct selinux_vm *labels, int *ret_channel,
		       struct jail_process *process, const char **ret_what)
{
	int pair[2], r = become(labels, host, SELINUX_START, ret_what);

	if (r < 0)
		return r;
	*ret_what = "its channel";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	*ret_channel = pair[0];
	r = begin(host, pair[1], labels, process, ret_what);
	close(pair[1]);
	if (r == 0)
		r = await_ready(pair[0], ret_what);
	return r < 0 ? r : become(labels, host, SELINUX_SWITCH_KEEPER, ret_what);
}

/* As of here no path can be reached. The claims on its ids and its categories last as long as this process. */
static int start_switch(struct keeper *k, int *ret_channel, struct jail_process *process,
			const char **ret_what)
{
	struct jail_host host = JAIL_HOST_NONE;
	static struct jail_ids ids;
	struct selinux_vm labels = SELINUX_VM_NONE;
	int r;

	ids = JAIL_IDS_NONE;
	*ret_what = "SELinux: a pair of categories";
	r = selinux_vm_open(&labels);
	if (r == 0)
		r = jail_ids_take(2, &ids, ret_what);
	if (r == 0)
		r = jail_host_open(&host, &ids, ret_what);
	if (r == 0)
		r = jail_host_enter(&host, ret_what);
	if (r == 0)
		r = start_apart(&host, &labels, ret_channel, process, ret_what);
	k->owner = host.owner;
	jail_host_close(&host);
	return r;
}

static int confine(const char **ret_what)
{
	close(SWITCH_KEEPER_FD_EXE);
	return sandbox_confine_self(switch_keeper_declared.policy, ret_what);
}

static void serve(void)
{
	static const struct control_msg done = { .type = CTL_DONE };
	static struct keeper k;
	struct jail_process process = JAIL_PROCESS_NONE;
	const char *what = "its event loop", *why = "";
	int channel = -1, r = loop_open(&k.loop);

	if (r == 0) {
		r = start_switch(&k, &channel, &process, &what);
		why = r < 0 ? userns_why(r) : "";
	}
	if (r == 0)
		r = confine(&what);
	if (r == 0)
		r = control_send(SWITCH_KEEPER_FD_FIRST, &done, -1);
	if (r < 0)
		control_fail(SWITCH_KEEPER_FD_FIRST,
			     "this host does not let it be confined: %s: %s%s%s", what,
			     strerror(-r), *why ? ": " : "", why);
	else
		(void)!keeper_serve(&k, SWITCH_KEEPER_FD_FIRST, SWITCH_KEEPER_FD_LISTENER, channel,
				    process.pidfd);
}

/* Where it and net-switch are born, or -1: this host has none, as an audit says. */
static int make_group(const char *segment)
{
	static struct cgroup_place place;
	char name[NAME_MAX];
	const char *why;

	snprintf(name, sizeof(name), SEGMENT_GROUP "%s", segment);
	return cgroup_find(NULL, &place, &why) < 0 ?
		       -1 :
		       cgroup_make_alone(&place, name, SEGMENT_MEMORY, SEGMENT_TASKS);
}

/* Of a session of its own, and nobody's child; net-switch dies with it. */
static _Noreturn void run(const char *name, int first, int listener, int exe)
{
	sigset_t all;
	pid_t pid;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 || setsid() < 0)
		_exit(1);
	pid = cgroup_fork(make_group(name));
	if (pid != 0)
		_exit(pid < 0);
	prctl(PR_SET_NAME, switch_keeper_declared.name);
	if (keep_fds(first, listener, exe) == 0)
		serve();
	_exit(0);
}

/* ---- who starts it ---- */

static int await(int channel, const char **ret_why)
{
	static struct control_msg m;
	int fd = -1, r = control_recv(channel, &m, &fd);

	closep(&fd);
	if (r > 0 && m.type == CTL_DONE)
		return 0;
	*ret_why = r > 0 && m.type == CTL_FAILED ? m.text : "its switch does not start";
	return -ECHILD;
}

int switch_keeper_start(const char *name, int listener, int exe, const char **ret_why)
{
	_cleanup_(closep) int ours = -1, theirs = -1, own_listener = listener, own_exe = exe;
	int pair[2], r;
	pid_t pid;

	*ret_why = "its switch cannot be started";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	pid = fork();
	if (pid == 0)
		run(name, theirs, own_listener, own_exe);
	if (pid < 0)
		return -errno;
	closep(&theirs);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	r = await(ours, ret_why);
	return r < 0 ? r : take_fd(&ours);
}
