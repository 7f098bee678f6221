/* SPDX-License-Identifier: Apache-2.0 */
/* See pidns.h. */
#include "lib/sandbox/pidns.h"

#include "lib/sandbox/internal.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

/* Inside, both are nobody's until they are mapped. */
static int map_own(int proc_fd, uid_t uid, gid_t gid)
{
	char map[32];
	int r = proc_write(proc_fd, getpid(), "setgroups", "deny");

	snprintf(map, sizeof(map), "%u %u 1\n", uid, uid);
	if (r == 0)
		r = proc_write(proc_fd, getpid(), "uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1\n", gid, gid);
	return r < 0 ? r : proc_write(proc_fd, getpid(), "gid_map", map);
}

int pidns_enter(int proc_fd)
{
	const uid_t uid = geteuid();
	const gid_t gid = getegid();

	if (unshare(CLONE_NEWPID | (uid == 0 ? 0 : CLONE_NEWUSER)) < 0)
		return -errno;
	return uid == 0 ? 0 : map_own(proc_fd, uid, gid);
}
