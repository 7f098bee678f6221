/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and messages that never wait: nobody outside may hold the supervisor up; see vm.h. */
#include "cmd/supervisor/vm.h"

#include "cmd/supervisor/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BUSY_LINE_S 5 /* between two lines about a part */
#define KILLED_LINE_S 30
#define LINE_MAX_LEN (CTL_TEXT_MAX + CTL_NAME_MAX + 64)

static bool takes_now(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && p.revents & POLLOUT;
}

/* The rest of a line that a terminal took a part of, and how many lines were left out since. */
static struct {
	char rest[LINE_MAX_LEN];
	size_t rest_len;
	unsigned int dropped;
} held;

/* What is taken now of len bytes. A pipe that could not be opened once more (main.c) may be shared,
 * and takes a line whole or not at all: asking first is all that can be done there. */
static size_t put_now(const char *text, size_t len)
{
	ssize_t n = takes_now(STDERR_FILENO) ? write(STDERR_FILENO, text, len) : -1;

	return n < 0 ? 0 : (size_t)n;
}

/* Whether nothing is left of the line before. */
static bool put_rest(void)
{
	size_t n = held.rest_len ? put_now(held.rest, held.rest_len) : 0;

	held.rest_len -= n;
	memmove(held.rest, held.rest + n, held.rest_len);
	return held.rest_len == 0;
}

static bool put_line(const char *line, size_t len)
{
	size_t n = put_rest() ? put_now(line, len) : 0;

	if (n > 0 && n < len) {
		held.rest_len = len - n;
		memcpy(held.rest, line + n, held.rest_len);
	}
	return n > 0;
}

static void say(const char *name, const char *who, enum log_level level, const char *text)
{
	char line[LINE_MAX_LEN];
	int n = snprintf(line, sizeof(line), "bulkhead: %s: %s%s%s%s\n", name ? name : "?",
			 who ? who : "", who ? ": " : "",
			 level == LOG_LEVEL_WARNING ? "warning: " : "", text);

	if (n > 0 && (size_t)n < sizeof(line) && !put_line(line, (size_t)n))
		held.dropped++;
}

void tell(const struct vm *vm, const char *who, enum log_level level, const char *text)
{
	unsigned int dropped = held.dropped;
	char count[64];

	if (dropped) {
		held.dropped = 0;
		snprintf(count, sizeof(count), "%u lines were left out: nobody read them", dropped);
		say(vm->config->name, NULL, LOG_LEVEL_WARNING, count);
		if (held.dropped) { /* nor this one */
			held.dropped = dropped + 1;
			return;
		}
	}
	say(vm->config->name, who, level, text);
}

void part_tell_busy(struct part *p)
{
	time_t now = monotonic_s();
	char line[96];

	if (!p->busy || (p->busy_told && now - p->busy_told < BUSY_LINE_S))
		return;
	p->busy_told = now;
	snprintf(line, sizeof(line), "still finishes %u request%s; waiting", p->busy,
		 p->busy == 1 ? "" : "s");
	tell(p->vm, p->name, LOG_LEVEL_INFO, line);
}

/* SIGKILL acts at once, but for what the host does for the process in the middle of a call. */
void part_tell_killed(struct part *p)
{
	time_t now = monotonic_s();

	if (p->busy_told && now - p->busy_told < KILLED_LINE_S)
		return;
	p->busy_told = now;
	tell(p->vm, p->name, LOG_LEVEL_INFO,
	     "was killed, and the host still works for it; waiting");
}

int tell_peer(int sock, const struct control_msg *m, int fd)
{
	return takes_now(sock) ? control_send(sock, m, fd) : -EAGAIN;
}

bool part_tell(struct part *p, const struct control_msg *m)
{
	if (!p || p->state != PART_READY || p->control < 0)
		return false;
	if (tell_peer(p->control, m, -1) == 0)
		return true;
	(void)!loop_set(&p->vm->loop, &p->control_src, EPOLLIN | EPOLLOUT);
	return false;
}
