/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead stop: presses a VM's power button, or ends it, and waits for its end. */
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/vmlink.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* A guest takes the time that it takes. */
static void await_end(int sock, const char *name)
{
	const struct timeval forever = { 0 };
	struct control_msg m;
	int fd = -1;

	(void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
	while (control_recv(sock, &m, &fd) > 0) {
		closep(&fd);
		if (m.type == CTL_ENDED)
			printf("%s: %s\n", name, m.text);
	}
}

static int stop(const char *name, bool now)
{
	const struct control_msg q = { .type = CTL_STOP, .number = now };
	_cleanup_(closep) int sock = vmlink_open(name);
	_cleanup_(closep) int fd = -1;
	struct control_msg m;
	int r;

	if (sock < 0)
		return vmlink_complain(name, sock);
	r = vmlink_ask(sock, &q, CTL_DONE, &m, &fd);
	if (r < 0 && r != -EPIPE)
		return complain(EXIT_FAILED, "%.64s does not answer: %s", name, strerror(-r));
	if (r > 0 && m.type == CTL_REFUSED)
		return complain(EXIT_START, "%.64s: %s", name, m.text);
	await_end(sock, name);
	return 0;
}

int verb_stop(int argc, char **argv)
{
	const char *name = NULL;
	bool now = false;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--now") == 0)
			now = true;
		else if (argv[i][0] == '-' || name)
			return complain(EXIT_WORDS, "stop: '%.60s' will not do: say NAME [--now]",
					argv[i]);
		else
			name = argv[i];
	}
	if (!name)
		return complain(EXIT_WORDS, "stop: which VM is missing: say NAME [--now]");
	return stop(name, now);
}
