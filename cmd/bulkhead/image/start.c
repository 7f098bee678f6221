/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a job's processes; see start.h. */
#include "cmd/bulkhead/image/start.h"

#include "cmd/bulkhead/image/policy.h"
#include "cmd/bulkhead/programs.h"
#include "lib/base/cleanup.h"
#include "lib/control/control.h"
#include "lib/sandbox/jail.h"
#include "lib/sandbox/sandbox.h"
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
#include <sys/stat.h>
#include <sys/wait.h>

#define TEXT_BYTES ((IMAGE_FILES_MAX + 8) * (IMAGE_NAME_MAX + 64))

/* One process that is to be started. */
struct task {
	const char *program;
	struct image_job job; /* with its own descriptors' numbers */
	struct jail_fd fds[2 * IMAGE_FILES_MAX + 4];
	size_t n_fds;
	int control; /* its end */
	int exe;
	struct jail_process process;
};

struct plan {
	struct task tasks[IMAGE_PROCESSES_MAX]; /* image-tool last */
	size_t n;
	int output, progress; /* the processes' ends */
	int life;	      /* the starter's end */
	int say;	      /* the starter's channel */
};

/* ---- the plan ---- */

static int give(struct task *t, int from, int to)
{
	t->fds[t->n_fds++] = (struct jail_fd){ from, to };
	return to;
}

/* The node as the process sees it. */
static void give_node(struct task *t, const struct image_node *n)
{
	struct image_node *own = &t->job.nodes[t->job.n_nodes];
	int at = IMAGE_FD_FILES + 2 * (int)t->job.n_nodes++;

	*own = *n;
	own->fd = give(t, n->fd, at);
	if (n->data_fd >= 0)
		own->data_fd = give(t, n->data_fd, at + 1);
}

static int new_task(struct plan *p, const char *program, const struct image_job *job,
		    struct image_run *run, struct task **ret)
{
	struct task *t = &p->tasks[p->n];
	int pair[2] = { -1, -1 };

	if (p->n == IMAGE_PROCESSES_MAX)
		return -E2BIG;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	*t = (struct task){ .program = program,
			    .job = *job,
			    .control = pair[1],
			    .exe = -1,
			    .process = JAIL_PROCESS_NONE };
	t->job.n_nodes = 0;
	run->controls[p->n] = pair[0];
	run->programs[p->n] = program;
	give(t, pair[1], 3);
	give(t, p->output, IMAGE_FD_OUTPUT);
	give(t, p->progress, IMAGE_FD_PROGRESS);
	p->n++;
	*ret = t;
	return 0;
}

/* Who reads the file's tables, and writes its map into a pipe, whose other end is in the node then. */
static int plan_import(struct plan *p, const struct image_job *job, struct image_node *n,
		       struct image_run *run)
{
	struct image_node own = *n;
	struct task *t = NULL;
	int ends[2] = { -1, -1 };
	int r = new_task(p, "image-import", job, run, &t);

	if (r < 0 || !t)
		return r;
	if (job->verb != IMAGE_INFO) {
		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		own.data_fd = ends[1];
		n->data_fd = ends[0];
		n->mapped = true;
		t->job.verb = IMAGE_SERVE;
	}
	give_node(t, &own);
	return 0;
}

static int plan_all(struct plan *p, struct image_job *job, struct image_run *run)
{
	struct task *tool = NULL;
	int r = 0;

	for (size_t i = 0; i < job->n_nodes && r == 0; i++)
		if (image_format_is_import(job->nodes[i].format))
			r = plan_import(p, job, &job->nodes[i], run);
	if (r < 0 || (p->n && job->verb == IMAGE_INFO))
		return r;
	r = new_task(p, "image-tool", job, run, &tool);
	for (size_t i = 0; i < job->n_nodes && r == 0 && tool; i++)
		give_node(tool, &job->nodes[i]);
	return r;
}

/* ---- their programs ---- */

static int open_program(const char *name)
{
	char path[PATH_MAX + 128];
	int r = program_find(name, path, sizeof(path)), fd;

	if (r < 0)
		return r;
	fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* ---- the starter ---- */

static void say(int sock, const char *what, int error, const char *why)
{
	control_fail(sock, "this host does not let image processes be confined: %s: %s%s%s", what,
		     strerror(-error), *why ? ": " : "", why);
}

static int begin(struct task *t, const struct jail_host *host, uid_t id, const char **ret_what)
{
	static char text[TEXT_BYTES];
	static const char *argv[IMAGE_WORDS_MAX + 1];
	const struct jail_spec spec = { .name = t->program,
					.exe_fd = t->exe,
					.argv = (char *const *)argv,
					.fds = t->fds,
					.n_fds = t->n_fds,
					.id = id };
	int n = image_job_render(&t->job, argv + 1, text, sizeof(text));

	*ret_what = "its words";
	argv[0] = t->program;
	return n < 0 ? n : jail_begin(host, &spec, &t->process, ret_what);
}

static int start_all(struct plan *p, const char **ret_what)
{
	struct jail_host host = JAIL_HOST_NONE;
	struct jail_ids ids = JAIL_IDS_NONE; /* the claims last as long as this process */
	int r = jail_ids_take((unsigned int)p->n + 1, &ids, ret_what);

	if (r == 0)
		r = jail_host_open(&host, &ids, ret_what);
	if (r == 0)
		r = jail_host_enter(&host, ret_what);
	for (size_t i = 0; i < p->n && r == 0; i++)
		r = begin(&p->tasks[i], &host, jail_id(&host, (unsigned int)i + 1), ret_what);
	for (size_t i = 0; i < p->n && r == 0; i++)
		r = jail_finish(&p->tasks[i].process, ret_what);
	jail_host_close(&host);
	return r;
}

/* Nothing but the processes, the life line and the channel is left open. */
static void let_go(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < p->tasks[i].n_fds; k++)
			close(p->tasks[i].fds[k].from); /* some of them once more */
		closep(&p->tasks[i].exe);
	}
}

static int status_of(const struct task *t, int status, int sock)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	control_fail(sock, "%s was killed by signal %s (%d)%s", t->program,
		     sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?",
		     WTERMSIG(status),
		     WTERMSIG(status) == SIGKILL ? ", by another program, or by the kernel if "
						   "memory ran out" :
						   "");
	return IMAGE_EXIT_FAILED;
}

/* Until the last of them, image-tool, has ended, or the command. */
static int await(struct plan *p)
{
	struct task *last = &p->tasks[p->n - 1];
	struct pollfd polls[] = { { .fd = last->process.pidfd, .events = POLLIN },
				  { .fd = p->life, .events = POLLIN } };
	int status, r;

	for (;;) {
		if (poll(polls, ARRAY_SIZE(polls), -1) < 0 && errno != EINTR)
			return IMAGE_EXIT_FAILED;
		if (polls[1].revents) /* what it started dies with it */
			return IMAGE_EXIT_FAILED;
		r = jail_reap(&last->process, &status);
		if (r != 0)
			return r < 0 ? IMAGE_EXIT_FAILED : status_of(last, status, p->say);
	}
}

static void bind_life(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(IMAGE_EXIT_FAILED);
}

static _Noreturn void starter(struct plan *p, pid_t parent)
{
	const char *what = "?";
	int r;

	bind_life(parent);
	setsid(); /* the terminal's keys are the command's business */
	r = start_all(p, &what);
	if (r < 0) {
		say(p->say, what, r, userns_why(r));
		_exit(IMAGE_EXIT_FAILED);
	}
	bind_life(parent); /* new ids have ended it */
	let_go(p);
	r = sandbox_confine_self(&image_starter_policy, &what);
	if (r < 0) {
		say(p->say, what, r, "");
		_exit(IMAGE_EXIT_FAILED);
	}
	_exit(await(p));
}

/* ---- the command ---- */

static int make_pipe(int *ret_read, int *ret_write, bool nonblock)
{
	int ends[2] = { -1, -1 };

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	if (nonblock && fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	*ret_read = ends[0];
	*ret_write = ends[1];
	return 0;
}

static int make_channels(struct plan *p, struct image_run *run)
{
	int pair[2] = { -1, -1 };
	int r = make_pipe(&run->output, &p->output, false);

	if (r == 0)
		r = make_pipe(&run->progress, &p->progress, true);
	if (r == 0)
		r = make_pipe(&p->life, &run->life, false);
	if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		r = -errno;
	if (r < 0)
		return r;
	run->controls[IMAGE_PROCESSES_MAX] = pair[0];
	run->programs[IMAGE_PROCESSES_MAX] = "image-starter";
	p->say = pair[1];
	return 0;
}

static int open_programs(struct plan *p, const char **ret_what)
{
	for (size_t i = 0; i < p->n; i++) {
		p->tasks[i].exe = open_program(p->tasks[i].program);
		if (p->tasks[i].exe < 0) {
			*ret_what = strcmp(p->tasks[i].program, "image-tool") == 0 ?
					    "the program image-tool" :
					    "the program image-import";
			return p->tasks[i].exe;
		}
	}
	return 0;
}

static void close_theirs(struct plan *p)
{
	let_go(p);
	closep(&p->life);
	closep(&p->say);
}

int image_run_start(struct image_job *job, struct image_run *run, const char **ret_what)
{
	static struct plan p;
	pid_t own = getpid();
	int r;

	for (size_t i = 0; i <= IMAGE_PROCESSES_MAX; i++)
		run->controls[i] = -1;
	*ret_what = "channels";
	r = make_channels(&p, run);
	if (r == 0)
		r = plan_all(&p, job, run);
	if (r == 0)
		r = open_programs(&p, ret_what);
	if (r < 0)
		return r;
	*ret_what = "a process";
	run->starter = fork();
	if (run->starter == 0) {
		closep(&run->life);
		for (size_t i = 0; i <= IMAGE_PROCESSES_MAX; i++)
			closep(&run->controls[i]);
		starter(&p, own);
	}
	if (run->starter < 0)
		return -errno;
	close_theirs(&p);
	return 0;
}
