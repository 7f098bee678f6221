/* SPDX-License-Identifier: Apache-2.0 */
/* A dialer by itself; see dialer.h. Trust: as dialer_process.c. */
#include "cmd/supervisor/dialer.h"
#include "cmd/supervisor/open.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUPERVISOR = 2, WORD = 3, ADDRESS = 4 };
enum { FD_CHANNEL = 3, FD_READY = 4 };

int dial_main(char *const *argv)
{
	static struct dialer d = { .pidfd = -1 };
	struct open_error e = { "" };
	struct config_file address;

	if (!argv[SUPERVISOR] || !argv[WORD] || !argv[ADDRESS] ||
	    fcntl(FD_READY, F_SETFD, FD_CLOEXEC) < 0)
		return 1;
	d.supervisor = atoi(argv[SUPERVISOR]);
	address = (struct config_file){ argv[ADDRESS], strlen(argv[ADDRESS]) };
	if (dialer_add_channel(&d, &address, argv[WORD], FD_CHANNEL, &e) == 0)
		dialer_run(&d, FD_READY);
	(void)!write(FD_READY, e.text, strlen(e.text));
	return 1;
}
