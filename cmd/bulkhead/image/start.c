/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a job's processes; see start.h. */
#include "cmd/bulkhead/image/start.h"

#include "cmd/bulkhead/image/starter.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(STARTER_FDS_MAX >= 2 * IMAGE_FILES_MAX + 4, "room for a job's files");
_Static_assert(STARTER_WORDS_MAX >= IMAGE_WORDS_MAX, "room for its words");
_Static_assert(STARTER_TEXT_BYTES >= (IMAGE_FILES_MAX + 8) * (IMAGE_NAME_MAX + 64),
	       "and their text");

struct plan {
	struct starter starter;
	struct starter_task tasks[IMAGE_PROCESSES_MAX]; /* image-tool last */
	struct image_job jobs[IMAGE_PROCESSES_MAX];	/* with their own descriptors' numbers */
	int output, progress;				/* the processes' ends */
};

/* ---- the plan ---- */

static int render(const void *job, const char **argv, char *text, size_t cap)
{
	return image_job_render(job, argv, text, cap);
}

/* The node as the process sees it. */
static void give_node(struct plan *p, size_t i, const struct image_node *n)
{
	struct image_job *job = &p->jobs[i];
	struct image_node *own = &job->nodes[job->n_nodes];
	int at = IMAGE_FD_FILES + 2 * (int)job->n_nodes++;

	*own = *n;
	own->fd = starter_give(&p->tasks[i], n->fd, at);
	if (n->data_fd >= 0)
		own->data_fd = starter_give(&p->tasks[i], n->data_fd, at + 1);
}

/* Its number, or a negative errno. */
static int new_task(struct plan *p, const char *program, const struct image_job *job,
		    struct image_run *run)
{
	const size_t i = p->starter.n;
	struct starter_task *t = &p->tasks[i];
	int pair[2] = { -1, -1 };

	if (i == IMAGE_PROCESSES_MAX)
		return -E2BIG;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	p->jobs[i] = *job;
	p->jobs[i].n_nodes = 0;
	*t = (struct starter_task){ .program = program,
				    .job = &p->jobs[i],
				    .render = render,
				    .exe = -1,
				    .process = JAIL_PROCESS_NONE };
	run->controls[i] = pair[0];
	run->programs[i] = program;
	starter_give(t, pair[1], 3);
	starter_give(t, p->output, IMAGE_FD_OUTPUT);
	starter_give(t, p->progress, IMAGE_FD_PROGRESS);
	p->starter.n++;
	return (int)i;
}

/* Who reads the file's tables, and writes its map into a pipe, whose other end is in the node then. */
static int plan_import(struct plan *p, const struct image_job *job, struct image_node *n,
		       struct image_run *run)
{
	struct image_node own = *n;
	int ends[2] = { -1, -1 };
	int i = new_task(p, "image-import", job, run);

	if (i < 0)
		return i;
	if (job->verb != IMAGE_INFO) {
		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		own.data_fd = ends[1];
		n->data_fd = ends[0];
		n->mapped = true;
		p->jobs[i].verb = IMAGE_SERVE;
	}
	give_node(p, (size_t)i, &own);
	return 0;
}

/* With all that the job has. */
static int plan_one(struct plan *p, const char *program, const struct image_job *job,
		    struct image_run *run)
{
	int task = new_task(p, program, job, run);

	for (size_t i = 0; i < job->n_nodes && task >= 0; i++)
		give_node(p, (size_t)task, &job->nodes[i]);
	return task < 0 ? task : 0;
}

static int plan_all(struct plan *p, struct image_job *job, struct image_run *run)
{
	int r = 0;

	if (job->verb == IMAGE_FETCH || job->verb == IMAGE_DIGEST)
		return plan_one(p, job->verb == IMAGE_FETCH ? "image-fetch" : "image-digest", job,
				run);
	for (size_t i = 0; i < job->n_nodes && r == 0; i++)
		if (image_format_is_import(job->nodes[i].format))
			r = plan_import(p, job, &job->nodes[i], run);
	if (r < 0 || (p->starter.n && job->verb == IMAGE_INFO))
		return r;
	return plan_one(p, "image-tool", job, run);
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
		r = make_pipe(&p->starter.life, &run->life, false);
	if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		r = -errno;
	if (r < 0)
		return r;
	run->controls[IMAGE_PROCESSES_MAX] = pair[0];
	run->programs[IMAGE_PROCESSES_MAX] = "image-starter";
	p->starter.say = pair[1];
	return 0;
}

int image_run_start(struct image_job *job, struct image_run *run, const char **ret_what)
{
	static struct plan p;
	int ours[IMAGE_PROCESSES_MAX + 2];
	int r;

	p.starter.tasks = p.tasks;
	for (size_t i = 0; i <= IMAGE_PROCESSES_MAX; i++)
		run->controls[i] = -1;
	*ret_what = "channels";
	r = make_channels(&p, run);
	if (r == 0)
		r = plan_all(&p, job, run);
	if (r < 0)
		return r;
	for (size_t i = 0; i <= IMAGE_PROCESSES_MAX; i++)
		ours[i] = run->controls[i];
	ours[IMAGE_PROCESSES_MAX + 1] = run->life;
	run->starter = starter_start(&p.starter, ours, IMAGE_PROCESSES_MAX + 2, ret_what);
	return run->starter < 0 ? run->starter : 0;
}
