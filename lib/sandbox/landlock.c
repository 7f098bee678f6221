/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: paths, ports, signals and abstract sockets out of reach; see internal.h.
 *
 * Every version of the kernel's interface knows rights that the one before it did not, and the
 * build's headers may be older than the kernel: the numbers are here.
 */
#include "lib/base/cleanup.h"
#include "lib/sandbox/internal.h"

#include <errno.h>
#include <linux/landlock.h>
#include <unistd.h>

/* struct landlock_ruleset_attr of version 6. A kernel that knows less takes it as well, as long as
 * what it does not know is 0. */
struct ruleset {
	uint64_t paths;
	uint64_t ports;
	uint64_t scopes;
};

#define PATHS_1 0x1fffULL /* EXECUTE to MAKE_SYM */
#define PATHS_2 0x3fffULL /* and REFER */
#define PATHS_3 0x7fffULL /* and TRUNCATE */
#define PATHS_5 0xffffULL /* and IOCTL_DEV */
#define PORTS_4 0x3ULL	  /* BIND_TCP, CONNECT_TCP */
#define SCOPES_6 0x3ULL	  /* ABSTRACT_UNIX_SOCKET, SIGNAL */

static const struct ruleset all_of[] = {
	{ 0 },
	{ PATHS_1 },
	{ PATHS_2 },
	{ PATHS_3 },
	{ PATHS_3, PORTS_4 },
	{ PATHS_5, PORTS_4 },
	{ PATHS_5, PORTS_4, SCOPES_6 },
};

int sandbox_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

static struct ruleset ruleset_of(int abi, unsigned int what)
{
	size_t last = ARRAY_SIZE(all_of) - 1;
	struct ruleset r = all_of[(size_t)abi < last ? (size_t)abi : last];

	if (!(what & LANDLOCK_PATHS))
		r.paths = 0;
	if (!(what & LANDLOCK_PORTS))
		r.ports = 0;
	if (!(what & LANDLOCK_SCOPES))
		r.scopes = 0;
	return r;
}

static int allow(int ruleset, uint64_t known, const struct sandbox_beneath *b)
{
	const struct landlock_path_beneath_attr rule = { .allowed_access = b->rights & known,
							 .parent_fd = b->fd };

	if (!b->rights)
		return 0;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ?
		       -errno :
		       0;
}

int landlock_enter_but(unsigned int what, const struct sandbox_beneath *beneath)
{
	const struct ruleset r = ruleset_of(sandbox_landlock_abi(), what);
	_cleanup_(closep) int fd = -1;
	int error;

	if (!r.paths && !r.ports && !r.scopes)
		return 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &r, sizeof(r), 0);
	if (fd < 0)
		return -errno;
	error = allow(fd, r.paths, beneath);
	if (error < 0)
		return error;
	return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
}

int landlock_enter(unsigned int what)
{
	return landlock_enter_but(what, &(struct sandbox_beneath){ .rights = 0 });
}

int sandbox_scope_self(void)
{
	return landlock_enter(LANDLOCK_SCOPES);
}
