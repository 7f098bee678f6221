/* SPDX-License-Identifier: Apache-2.0 */
/* Of which family a process's sockets are; see sockets.h. */
#include "cmd/bulkhead/audit/sockets.h"

#include "cmd/bulkhead/audit/procdir.h"
#include "lib/base/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
	const char *file;
	const char *family;
	unsigned int column; /* of the inode, from 0 */
} lists[] = {
	{ "net/unix", "unix", 6 },     { "net/tcp", "tcp", 9 },		{ "net/tcp6", "tcp", 9 },
	{ "net/udp", "udp", 9 },       { "net/udp6", "udp", 9 },	{ "net/raw", "raw", 9 },
	{ "net/raw6", "raw", 9 },      { "net/icmp", "icmp", 9 },	{ "net/icmp6", "icmp", 9 },
	{ "net/packet", "packet", 8 }, { "net/netlink", "netlink", 9 },
};

static void mark(struct facts *f, uint64_t inode, const char *family)
{
	for (size_t i = 0; i < f->n_fds; i++)
		if (f->fds[i].type == S_IFSOCK && f->fds[i].inode == inode)
			f->fds[i].family = family;
}

static void read_list(int dir, size_t which, struct facts *f)
{
	_cleanup_(freep) char *text = procdir_read(dir, lists[which].file);
	char *at = text, *line;
	uint64_t inode;

	while (text && (line = strsep(&at, "\n")) && *line)
		if (procfs_column(line, lists[which].column, &inode) == 0)
			mark(f, inode, lists[which].family);
}

static bool any_unknown(const struct facts *f)
{
	for (size_t i = 0; i < f->n_fds; i++)
		if (f->fds[i].type == S_IFSOCK && !f->fds[i].family)
			return true;
	return false;
}

/* No further than needed: the kernel walks tables of a fixed size for some, however few there are. */
static void read_lists(int dir, struct facts *f)
{
	for (size_t i = 0; dir >= 0 && i < ARRAY_SIZE(lists) && any_unknown(f); i++)
		read_list(dir, i, f);
}

/* Whether the process has it still. */
static bool is_open(int dir, const struct facts_fd *fd)
{
	char name[32];
	struct stat st;

	snprintf(name, sizeof(name), "fd/%d", fd->fd);
	return fstatat(dir, name, &st, 0) == 0 && st.st_ino == fd->inode;
}

/* One that was closed before its list was read is in none. */
static void forget_closed(int dir, struct facts *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_fds; i++) {
		const struct facts_fd *fd = &f->fds[i];

		if (fd->type != S_IFSOCK || fd->family || is_open(dir, fd))
			f->fds[n++] = *fd;
	}
	f->n_fds = n;
}

void sockets_read(int dir, struct facts *f)
{
	_cleanup_(closep) int own = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closep) int parent = procdir_open(f->threads[0].status.ppid);

	read_lists(own, f);
	read_lists(parent, f);
	read_lists(dir, f);
	forget_closed(dir, f);
}
