/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead detach: asks a VM's guest to let go of a device that was attached, and waits until it has. */
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/vmlink.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT_S 60
#define USAGE "say NAME DEVICE [--timeout SECONDS|none]"

struct detachment {
	const char *name, *device;
	int timeout_s;
};

static int parse(struct detachment *d, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		int r = timeout_word(argc, argv, &i, &d->timeout_s);

		if (r > 0)
			continue;
		if (r < 0)
			return EXIT_WORDS;
		if (word[0] == '-' || d->device)
			return complain(EXIT_WORDS, "detach: '%.60s' will not do: " USAGE, word);
		if (d->name)
			d->device = word;
		else
			d->name = word;
	}
	if (!d->device)
		return complain(EXIT_WORDS, "detach: which %s is missing: " USAGE,
				d->name ? "device" : "VM");
	if (strlen(d->device) > CTL_TEXT_MAX)
		return complain(EXIT_WORDS, "detach: no device has so long a name");
	return 0;
}

static int ask(int sock, const struct detachment *d)
{
	struct control_msg m = { .type = CTL_REMOVE, .text_len = strlen(d->device) };
	int r;

	memcpy(m.text, d->device, m.text_len);
	r = control_send(sock, &m, -1);
	if (r == 0)
		r = vmlink_await(sock, CTL_DONE,
				 d->timeout_s < 0 ? -1 : d->timeout_s * INT64_C(1000), &m);
	if (r == -ETIMEDOUT)
		return complain(EXIT_START,
				"%.64s: its guest has not let go of %s in %d s: it still may, and "
				"does when it reboots",
				d->name, d->device, d->timeout_s);
	if (r < 0)
		return complain(EXIT_FAILED, "%.64s does not answer: %s", d->name, strerror(-r));
	return m.type == CTL_DONE ?
		       0 :
		       complain(EXIT_START, "%.64s: %s: %s", d->name, d->device, m.text);
}

int verb_detach(int argc, char **argv)
{
	struct detachment d = { .timeout_s = TIMEOUT_S };
	_cleanup_(closep) int sock = -1;
	int status = parse(&d, argc, argv);

	if (status || !d.name || !d.device)
		return status;
	sock = vmlink_open(d.name);
	return sock < 0 ? vmlink_complain(d.name, sock) : ask(sock, &d);
}
