/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of a job say; see relay.h. */
#include "cmd/bulkhead/image/relay.h"

#include "cmd/bulkhead/termfilter.h"
#include "cmd/bulkhead/termout.h"
#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/control/control.h"
#include "lib/imagefile/progress.h"
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define PIECE 4096 /* of output: what a pipe that can be written to takes at once */
#define SHOW_EVERY_NS 200000000U
#define SAID_LIMIT 65536U /* bytes of what is not for the user */

struct relay {
	const struct image_words *w;
	struct image_run *run;
	struct termfilter filter;
	uint64_t since_ns, shown_ns;
	bool show_progress;
	uint64_t tenth; /* that was shown last */
	size_t said;	/* bytes */
	size_t shown;	/* columns of the line that shows it */
	bool failed;	/* a line has said why */
	bool lost;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static int wait_for(struct pollfd *p, nfds_t n)
{
	int r;

	do
		r = ppoll(p, n, NULL, NULL);
	while (r < 0 && errno == EINTR);
	return r;
}

/* ---- output ---- */

static bool write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = fd, .events = POLLOUT };

			(void)wait_for(&p, 1);
			continue;
		}
		if (n < 0 && errno != EINTR)
			return false;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

static void take_output(struct relay *r)
{
	char in[PIECE - TERMFILTER_PENDING_MAX], out[PIECE];
	ssize_t n = read(r->run->output, in, sizeof(in));

	if (n <= 0) {
		closep(&r->run->output);
		return;
	}
	r->said += (size_t)n;
	if (r->run->said >= 0) /* as it is, for who checks it */
		r->lost = r->said > SAID_LIMIT || !write_all(r->run->said, in, (size_t)n);
	else if (!write_all(STDOUT_FILENO, out, termfilter_feed(&r->filter, in, (size_t)n, out)))
		r->lost = true;
}

static int output_of(const struct relay *r)
{
	return r->run->said >= 0 ? r->run->said : STDOUT_FILENO;
}

/* ---- progress ---- */

static void show(struct relay *r, const struct progress *p)
{
	char line[100] = "\r";
	size_t len = 1 + progress_line(p, r->w->job.offset, now_ns() - r->since_ns, line + 1,
				       sizeof(line) - 41);
	size_t columns = len - 1;

	while (len - 1 < r->shown && len < sizeof(line))
		line[len++] = ' ';
	r->shown = columns;
	(void)write_all(STDERR_FILENO, line, len);
}

static void end_progress(struct relay *r)
{
	if (r->shown)
		(void)write_all(STDERR_FILENO, "\n", 1);
	r->shown = 0;
}

/* Where there is no terminal: a line for each tenth of what is downloaded, or GiB. */
static void show_tenth(struct relay *r, const struct progress *p)
{
	const uint64_t tenth = p->total == PROGRESS_UNKNOWN ? p->done >> 30 :
			       p->total			    ? p->done / (p->total / 10 + 1) :
							      10;
	char line[60];

	if (tenth == r->tenth || r->w->job.verb != IMAGE_FETCH)
		return;
	r->tenth = tenth;
	progress_line(p, r->w->job.offset, now_ns() - r->since_ns, line, sizeof(line));
	complain(0, "image %s: %s", r->w->verb, line);
}

/* The last of what has come, now and then. */
static void take_progress(struct relay *r)
{
	uint8_t wire[PROGRESS_WIRE_LEN * 64];
	ssize_t n = read(r->run->progress, wire, sizeof(wire));
	struct progress p;
	uint64_t now = now_ns();
	size_t last;

	if (n < PROGRESS_WIRE_LEN || n % PROGRESS_WIRE_LEN) {
		closep(&r->run->progress);
		return;
	}
	if (r->w->alive >= 0)
		(void)!write(r->w->alive, "", 1);
	last = (size_t)n - PROGRESS_WIRE_LEN;
	if (!r->show_progress || progress_decode(wire + last, PROGRESS_WIRE_LEN, &p) < 0)
		return;
	if (r->w->as_lines) {
		show_tenth(r, &p);
		return;
	}
	if (p.done < p.total && now - r->shown_ns < SHOW_EVERY_NS)
		return;
	r->shown_ns = now;
	show(r, &p);
}

/* ---- messages ---- */

/* Of several that fail, as one has, the first knows why. */
static void fail(struct relay *r, const char *what, const char *text)
{
	if (!r->failed) {
		end_progress(r);
		complain(0, "image %s: %s%s", r->w->verb, what, text);
	}
	r->failed = true;
}

static void take_message(struct relay *r, size_t i)
{
	struct control_msg m;
	char call[64], text[128];
	int fd = -1;
	int n = control_recv(r->run->controls[i], &m, &fd);

	closep(&fd);
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		closep(&r->run->controls[i]);
		return;
	}
	if (m.type == CTL_FAILED) {
		fail(r, "", m.text);
	} else if (m.type == CTL_LOG && m.number <= LOG_LEVEL_WARNING && !r->w->quiet) {
		end_progress(r);
		complain(0, "image %s: %s", r->w->verb, m.text);
	} else if (m.type == CTL_DENIED) {
		sandbox_call_name((int)m.number, call, sizeof(call));
		snprintf(text, sizeof(text), " was stopped by its filter: system call %s (%u)",
			 call, m.number);
		fail(r, r->run->programs[i], text);
	}
}

/* ---- the loop ---- */

enum { P_SIGNALS, P_OUTPUT, P_PROGRESS, P_STDOUT, P_CONTROLS, N_POLLS = P_CONTROLS + 4 };
_Static_assert(N_POLLS == P_CONTROLS + IMAGE_PROCESSES_MAX + 1, "one each");

/* Output is read once somebody takes it. */
static bool fill(const struct relay *r, int signals, bool ready, struct pollfd *p)
{
	bool open = r->run->output >= 0;

	p[P_SIGNALS] = (struct pollfd){ .fd = signals, .events = POLLIN };
	p[P_OUTPUT] = (struct pollfd){ .fd = ready ? -1 : r->run->output, .events = POLLIN };
	p[P_STDOUT] = (struct pollfd){ .fd = ready ? output_of(r) : -1, .events = POLLOUT };
	p[P_PROGRESS] = (struct pollfd){ .fd = r->run->progress, .events = POLLIN };
	for (size_t i = 0; i <= IMAGE_PROCESSES_MAX; i++) {
		p[P_CONTROLS + i] = (struct pollfd){ .fd = r->run->controls[i], .events = POLLIN };
		open |= r->run->controls[i] >= 0;
	}
	return open;
}

static int await_starter(const struct image_run *run)
{
	int status;

	while (waitpid(run->starter, &status, 0) < 0)
		if (errno != EINTR)
			return IMAGE_EXIT_FAILED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : IMAGE_EXIT_FAILED;
}

static enum image_end serve(struct relay *r, int signals)
{
	struct pollfd p[N_POLLS];
	bool ready = false; /* there is output to be taken */

	while (fill(r, signals, ready, p)) {
		if (wait_for(p, N_POLLS) < 0)
			return IMAGE_OUTPUT_LOST;
		if (p[P_SIGNALS].revents)
			return IMAGE_INTERRUPTED;
		if (p[P_STDOUT].revents) {
			take_output(r);
			ready = false;
		} else if (p[P_OUTPUT].revents) {
			ready = true;
		}
		if (p[P_PROGRESS].revents)
			take_progress(r);
		for (size_t i = 0; i <= IMAGE_PROCESSES_MAX; i++)
			if (p[P_CONTROLS + i].revents)
				take_message(r, i);
		if (r->lost)
			return IMAGE_OUTPUT_LOST;
	}
	return IMAGE_ENDED;
}

enum image_end image_relay(const struct image_words *w, struct image_run *run, int signals,
			   int *ret_status)
{
	struct relay r = { .w = w, .run = run, .since_ns = now_ns(), .show_progress = w->show };
	enum image_end end;

	termfilter_init(&r.filter, termout_is_utf8());
	end = serve(&r, signals);
	end_progress(&r);
	closep(&run->life); /* whatever still runs ends */
	*ret_status = await_starter(run);
	if (end == IMAGE_ENDED && *ret_status == IMAGE_EXIT_FAILED && !r.failed)
		fail(&r, "", "an image process failed");
	return end;
}
