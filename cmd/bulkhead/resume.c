/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead resume: tries the dead device of a paused VM again, and lets the VM go on. */
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/vmlink.h"
#include "lib/base/cleanup.h"

/* However long the device takes to start: its supervisor bounds how often that is tried. */
static int await(int sock, const char *name)
{
	struct control_msg m;

	if (vmlink_await(sock, CTL_DONE, -1, &m) < 0)
		return complain(EXIT_FAILED, "%.64s has ended", name);
	if (m.type == CTL_DONE)
		return 0;
	return complain(m.type == CTL_REFUSED ? EXIT_START : EXIT_FAILED, "%.64s: %s", name,
			m.text);
}

int verb_resume(int argc, char **argv)
{
	const struct control_msg q = { .type = CTL_RESUME };
	_cleanup_(closep) int sock = -1;

	if (argc != 1 || argv[0][0] == '-')
		return complain(EXIT_WORDS, "resume: say NAME, of a VM that is paused");
	sock = vmlink_open(argv[0]);
	if (sock < 0)
		return vmlink_complain(argv[0], sock);
	if (control_send(sock, &q, -1) < 0)
		return complain(EXIT_FAILED, "%.64s does not answer", argv[0]);
	return await(sock, argv[0]);
}
