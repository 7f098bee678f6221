/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead: the command. One file per verb; what holds for all is here.
 *
 * Trust: its user trusted; the supervisor trusted; the console's bytes HOSTILE (termfilter.h).
 */
#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* For a line of ours to be taken. */
#define LINE_PATIENCE_MS 2000

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "attach", verb_attach },     { "detach", verb_detach },   { "audit", verb_audit },
	{ "run", verb_run },	       { "ps", verb_ps },	    { "stop", verb_stop },
	{ "console", verb_console },   { "explain", verb_explain }, { "image", verb_image },
	{ "features", verb_features }, { "version", verb_version }, { "--version", verb_version },
	{ "help", verb_help },	       { "--help", verb_help },	    { "-h", verb_help },
	{ "link", verb_link },	       { "resume", verb_resume },   { "resize", verb_resize },
	{ "vsock", verb_vsock },       { "segment", verb_segment },
};

/* All of it, unless nobody takes it. Standard error of `run` and `console` may be a pipe that is full for
 * ever, and does not wait by itself where it could be opened once more: so ask first. */
static void put_line(const char *line, size_t len)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	while (len && poll(&p, 1, LINE_PATIENCE_MS) > 0) {
		ssize_t n = write(STDERR_FILENO, line, len);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return;
		line += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

int complain(int status, const char *fmt, ...)
{
	char line[600] = "bulkhead: ";
	size_t len = strlen(line);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	if (n > 0)
		len += (size_t)n < sizeof(line) - len - 1 ? (size_t)n : sizeof(line) - len - 2;
	line[len++] = '\n';
	put_line(line, len);
	return status;
}

/* What its starter has closed of 0, 1 and 2 is taken: what is opened next would be read and written in its place.
 * To write there fails, as it would to what is closed. */
static bool take_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	if (!take_standard())
		return EXIT_START;
	/* what its starter left open is none of a VM's business, nor a hostile console's; run and attach take
	 * what they are told of, and close the rest */
	if (argc < 2 || (strcmp(argv[1], "run") != 0 && strcmp(argv[1], "attach") != 0))
		(void)close_range(3, ~0U, 0);
	signal(SIGCHLD, SIG_DFL); /* children are waited for, by the supervisor too */
	if (argc < 2)
		return complain(EXIT_WORDS, "what to do is missing: see bulkhead --help");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 2, argv + 2);
	return complain(EXIT_WORDS, "there is no command '%.60s': see bulkhead --help", argv[1]);
}
