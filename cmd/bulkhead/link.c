/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead link: a network card's cable, pulled and put back. */
#include "cmd/bulkhead/verbs.h"
#include "cmd/bulkhead/vmlink.h"
#include "lib/base/cleanup.h"

#include <string.h>

#define USAGE "say NAME CARD up|down, of a card such as net-1"

/* A process that is started again answers once it is there, which its supervisor bounds. */
static int ask(int sock, const char *name, const char *card, bool up)
{
	struct control_msg m = { .type = CTL_SET_LINK, .number = up, .text_len = strlen(card) };

	memcpy(m.text, card, m.text_len);
	if (control_send(sock, &m, -1) < 0 || vmlink_await(sock, CTL_DONE, -1, &m) < 0)
		return complain(EXIT_FAILED, "%.64s does not answer", name);
	return m.type == CTL_DONE ? 0 : complain(EXIT_START, "%.64s: %s: %s", name, card, m.text);
}

int verb_link(int argc, char **argv)
{
	_cleanup_(closep) int sock = -1;
	bool up;

	if (argc != 3 || argv[0][0] == '-')
		return complain(EXIT_WORDS, "link: " USAGE);
	up = strcmp(argv[2], "up") == 0;
	if (!up && strcmp(argv[2], "down") != 0)
		return complain(EXIT_WORDS, "link: '%.60s' will not do: " USAGE, argv[2]);
	if (strlen(argv[1]) > CTL_TEXT_MAX)
		return complain(EXIT_WORDS, "link: no card has so long a name");
	sock = vmlink_open(argv[0]);
	return sock < 0 ? vmlink_complain(argv[0], sock) : ask(sock, argv[0], argv[1], up);
}
