/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead stop: presses a VM's power button, or ends it, and waits for its end. */
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/vmlink.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_S 90
#define TIMEOUT_S_MAX 86400
#define FOR_EVER (-1)
/* A guest that ends sooner needs no line. */
#define SAY_AFTER_MS 2000
#define USAGE "say NAME [--timeout SECONDS|none] [--now]"

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for the VM's end, at most until deadline (FOR_EVER: as long as it takes). Whether it came. */
static bool await_end(int sock, const char *name, int64_t deadline)
{
	for (;;) {
		int64_t left = deadline == FOR_EVER ? FOR_EVER : deadline - now_ms();
		struct pollfd p = { .fd = sock, .events = POLLIN };
		struct control_msg m;
		int fd = -1, r;

		if (deadline != FOR_EVER && left < 0)
			left = 0;
		r = poll(&p, 1, (int)left);
		if (r == 0)
			return false;
		if (r < 0)
			continue;
		r = control_recv(sock, &m, &fd);
		if (r == -EAGAIN)
			continue;
		if (r <= 0)
			return true;
		closep(&fd);
		if (m.type == CTL_ENDED)
			printf("%s: %s\n", name, m.text);
	}
}

/* 0, or the exit status. */
static int ask(int sock, const char *name, bool now)
{
	const struct control_msg q = { .type = CTL_STOP, .number = now };
	_cleanup_(closep) int fd = -1;
	struct control_msg m;
	int r = vmlink_ask(sock, &q, CTL_DONE, &m, &fd);

	if (r < 0 && r != -EPIPE)
		return complain(EXIT_FAILED, "%.64s does not answer: %s", name, strerror(-r));
	if (r > 0 && m.type == CTL_REFUSED)
		return complain(EXIT_START, "%.64s: %s", name, m.text);
	return 0;
}

/* The power button was pressed timeout_s ago and the guest still runs. */
static void end_it(int sock, const char *name, int timeout_s)
{
	const struct control_msg m = { .type = CTL_STOP, .number = 1 };

	complain(0, "%.64s: its guest did not power off in %d s: ending it", name, timeout_s);
	if (control_send(sock, &m, -1) == 0) /* else it is gone */
		(void)await_end(sock, name, FOR_EVER);
}

static void await(int sock, const char *name, bool now, int timeout_s)
{
	int64_t start = now_ms();
	int64_t end = timeout_s == FOR_EVER ? FOR_EVER : start + timeout_s * 1000LL;
	int64_t say = start + SAY_AFTER_MS;

	if (now) {
		(void)await_end(sock, name, FOR_EVER);
		return;
	}
	if (end == FOR_EVER || end > say) {
		if (await_end(sock, name, say))
			return;
		if (end == FOR_EVER)
			complain(0,
				 "%.64s: waiting for its guest to power off: --now ends it at "
				 "once",
				 name);
		else
			complain(0,
				 "%.64s: waiting up to %d s for its guest to power off: --now "
				 "ends it at once",
				 name, timeout_s);
	}
	if (!await_end(sock, name, end))
		end_it(sock, name, timeout_s);
}

static int stop(const char *name, bool now, int timeout_s)
{
	_cleanup_(closep) int sock = vmlink_open(name);
	int status;

	if (sock < 0)
		return vmlink_complain(name, sock);
	status = ask(sock, name, now);
	if (status == 0)
		await(sock, name, now, timeout_s);
	return status;
}

static bool parse_timeout(const char *word, int *ret)
{
	char *end;
	long n;

	if (strcmp(word, "none") == 0) {
		*ret = FOR_EVER;
		return true;
	}
	n = strtol(word, &end, 10);
	if (word[0] < '0' || word[0] > '9' || *end || n < 0 || n > TIMEOUT_S_MAX)
		return false;
	*ret = (int)n;
	return true;
}

int timeout_word(int argc, char **argv, int *i, int *ret_s)
{
	const char *word = argv[*i];
	bool next = strcmp(word, "--timeout") == 0 && *i + 1 < argc;

	if (!next && strncmp(word, "--timeout=", 10) != 0)
		return 0;
	word = next ? argv[++*i] : word + 10;
	if (parse_timeout(word, ret_s))
		return 1;
	complain(0, "--timeout: '%.60s' will not do: say seconds, 0 to 86400, or none", word);
	return -1;
}

int verb_stop(int argc, char **argv)
{
	const char *name = NULL;
	int timeout_s = TIMEOUT_S;
	bool now = false;

	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		int r = timeout_word(argc, argv, &i, &timeout_s);

		if (r < 0)
			return EXIT_WORDS;
		if (r > 0)
			continue;
		if (strcmp(word, "--now") == 0) {
			now = true;
		} else if (word[0] == '-' || name) {
			return complain(EXIT_WORDS, "stop: '%.60s' will not do: " USAGE, word);
		} else {
			name = word;
		}
	}
	if (!name)
		return complain(EXIT_WORDS, "stop: which VM is missing: " USAGE);
	return stop(name, now, timeout_s);
}
