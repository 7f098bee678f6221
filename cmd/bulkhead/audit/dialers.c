/* SPDX-License-Identifier: Apache-2.0 */
/* See dialers.h. */
#include "cmd/bulkhead/audit/dialers.h"

#include "cmd/bulkhead/audit/procdir.h"
#include "lib/base/cleanup.h"
#include "lib/declared/declared.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct search {
	char name[32];
	pid_t *found;
	size_t n, max;
};

/* Its parent, whoever that is by now, has not taken its status yet. */
static bool has_ended(int dir)
{
	_cleanup_(freep) char *status = procdir_read(dir, "status");

	return !status || strstr(status, "\nState:\tZ") || strstr(status, "\nState:\tX");
}

static int look(void *owner, int pid)
{
	struct search *q = owner;
	_cleanup_(closep) int dir = procdir_open(pid);
	_cleanup_(freep) char *name = dir < 0 ? NULL : procdir_read(dir, "comm");

	if (name && strcmp(name, q->name) == 0 && !has_ended(dir))
		q->found[q->n++] = pid;
	return q->n == q->max;
}

int dialers_find(pid_t supervisor, pid_t *ret, size_t max)
{
	struct search q = { .found = ret, .max = max };
	int r;

	snprintf(q.name, sizeof(q.name), "%s %d\n", dialer_declared.name, (int)supervisor);
	r = procdir_each(AT_FDCWD, "/proc", look, &q);
	return r < 0 ? r : (int)q.n;
}
