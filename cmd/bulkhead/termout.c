/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's standard output: what it is, and a description of it that is ours alone; see terminal.h. */
#include "cmd/bulkhead/termout.h"

#include "lib/base/cleanup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DEV_NULL makedev(1, 3)

bool termout_is_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *v = getenv(names[i]);

		if (v && *v)
			return strcasestr(v, "utf-8") || strcasestr(v, "utf8");
	}
	return false;
}

/*
 * O_NONBLOCK belongs to the description, which the user's shell and other processes share; so a
 * terminal or pipe is opened once more for us alone.
 */
void termout_open(struct terminal *t)
{
	struct stat st;
	int fd = -1;

	t->out_fd = STDOUT_FILENO;
	if (fstat(STDOUT_FILENO, &st) < 0)
		return;
	t->out_is_socket = S_ISSOCK(st.st_mode);
	if (S_ISFIFO(st.st_mode) || t->out_is_tty)
		fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	t->out_fd = fd;
	t->out_is_ours = true;
}

void termout_close(struct terminal *t)
{
	if (t->out_is_ours)
		close(t->out_fd);
	t->out_is_ours = false;
}

enum terminal_filter terminal_default_filter(void)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) < 0)
		return TERMINAL_SAFE;
	if (S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && st.st_rdev == DEV_NULL))
		return TERMINAL_RAW;
	return TERMINAL_SAFE;
}
