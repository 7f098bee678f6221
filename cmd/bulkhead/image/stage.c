/* SPDX-License-Identifier: Apache-2.0 */
/* One job of an import; see stage.h. */
#include "cmd/bulkhead/image/stage.h"

#include "cmd/bulkhead/image/image.h"
#include "cmd/bulkhead/image/relay.h"
#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEARD_MAX 16384U /* bytes: a few lines are right */

struct stage {
	struct image_words *w;
	pid_t child;
	stage_heard heard;
	void *owner;
	bool interrupted;
	bool lied;
	size_t heard_bytes;
	size_t len;
	char line[SAID_MAX];
};

/* ---- the child ---- */

static void bind_life(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(EXIT_START);
}

static int relay(struct image_words *w, int said, const int *keep)
{
	struct image_run run = IMAGE_RUN_NONE;
	enum image_end end;
	const char *what = "signals";
	int status = EXIT_START, signals = image_signals_open();
	int r;

	for (; keep && *keep >= 0; keep++)
		close(*keep);
	run.said = said;
	r = signals < 0 ? signals : image_run_start(&w->job, &run, &what);
	if (r == 0)
		r = image_confine(NULL, &what);
	if (r < 0)
		return complain(EXIT_START, "image %s: %s: %s", w->verb, what, strerror(-r));
	end = image_relay(w, &run, signals, &status);
	return end == IMAGE_INTERRUPTED ? IMAGE_EXIT_INTERRUPTED :
	       end == IMAGE_ENDED	? status :
					  EXIT_START;
}

/* ---- the command ---- */

static void take_line(struct stage *s, const char *line, size_t len)
{
	struct said said;

	if (s->lied)
		return;
	s->lied = said_parse(line, len, &said) < 0 || !s->heard(s->owner, &said);
}

/* False: there is no more. */
static bool take_lines(struct stage *s, int from)
{
	ssize_t n = read(from, s->line + s->len, sizeof(s->line) - s->len);
	char *end;

	if (n < 0)
		return errno == EINTR;
	if (n == 0) {
		s->lied |= s->len > 0; /* a line without an end */
		return false;
	}
	s->len += (size_t)n;
	s->heard_bytes += (size_t)n;
	while ((end = memchr(s->line, '\n', s->len))) {
		const size_t whole = (size_t)(end - s->line) + 1;

		take_line(s, s->line, whole - 1);
		memmove(s->line, s->line + whole, s->len - whole);
		s->len -= whole;
	}
	s->lied |= s->len == sizeof(s->line) || s->heard_bytes > HEARD_MAX;
	return !s->lied;
}

static void take_signal(struct stage *s, int signals)
{
	struct signalfd_siginfo info;

	(void)!read(signals, &info, sizeof(info));
	s->interrupted = true;
	kill(s->child, SIGTERM);
}

static int await(const struct stage *s)
{
	int status;

	while (waitpid(s->child, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_START;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int finish(const struct stage *s)
{
	int status = await(s);

	if (s->interrupted)
		return IMAGE_EXIT_INTERRUPTED;
	if (status < 0 && !s->lied)
		return complain(EXIT_START, "image %s: the process that relays was killed",
				s->w->verb);
	if (s->lied)
		return complain(EXIT_START,
				"image %s: its process does not keep to what it may say",
				s->w->verb);
	return status;
}

static void serve(struct stage *s, int signals, int from)
{
	struct pollfd p[] = { { .fd = from, .events = POLLIN },
			      { .fd = signals, .events = POLLIN } };

	for (;;) {
		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents)
			take_signal(s, signals);
		if (p[0].revents && !take_lines(s, from))
			break;
	}
	if (s->lied)
		kill(s->child, SIGTERM);
}

/* What the child is to do: the one or the other. */
struct work {
	const int *keep; /* of a job */
	int (*run)(struct image_words *w);
};

static int child(struct image_words *w, const struct work *work, pid_t parent, int said)
{
	bind_life(parent);
	return work->run ? work->run(w) : relay(w, said, work->keep);
}

static int run(struct stage *s, int signals, const struct work *work)
{
	_cleanup_(closep) int from = -1;
	const pid_t self = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return complain(EXIT_START, "image %s: a pipe: %s", s->w->verb, strerror(errno));
	from = ends[0];
	s->child = fork();
	if (s->child == 0)
		_exit(child(s->w, work, self, ends[1]));
	close(ends[1]);
	if (s->child < 0)
		return complain(EXIT_START, "image %s: a process: %s", s->w->verb, strerror(errno));
	serve(s, signals, from);
	return finish(s);
}

int stage_run(struct image_words *w, int signals, const int *keep, stage_heard heard, void *owner)
{
	struct stage s = { .w = w, .heard = heard, .owner = owner };

	return run(&s, signals, &(struct work){ .keep = keep });
}

static bool hear_nothing(void *owner, const struct said *said)
{
	(void)owner;
	(void)said;
	return false;
}

int stage_fork(struct image_words *w, int signals, int (*work)(struct image_words *w))
{
	struct stage s = { .w = w, .heard = hear_nothing };

	return run(&s, signals, &(struct work){ .run = work });
}
