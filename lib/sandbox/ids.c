/* SPDX-License-Identifier: Apache-2.0 */
/* Which ids a VM has; see ids.h. */
#include "lib/sandbox/ids.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/sandbox/internal.h"
#include "lib/sandbox/subid.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#define FILE_MAX_BYTES (1U << 20)
#define ATTEMPTS 4096U
#define WAIT_MS 500
#define WAIT_PAUSE_MS 10

_Static_assert(JAIL_ID_OWNER % SUBID_BLOCK >= JAIL_N_IDS, "no block has the owner's id");
_Static_assert(JAIL_N_IDS + 1 == SUBID_BLOCK, "blocks that follow one another are one range");
_Static_assert(JAIL_ID_OWNER > UINT16_MAX, "it is not the id of those that are not mapped");

static int give_up(struct jail_ids *ids, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int give_up(struct jail_ids *ids, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ids->why, sizeof(ids->why), fmt, ap);
	va_end(ap);
	return -EAGAIN;
}

/* ---- what the host's files give ---- */

struct text {
	char *at;
	size_t len;
};

static void text_free(struct text *t)
{
	free(t->at);
}

/* What is behind the first FILE_MAX_BYTES is not read. */
static int read_file(const char *path, struct text *ret)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret = (struct text){ .at = malloc(FILE_MAX_BYTES) };
	if (!ret->at)
		return -ENOMEM;
	while (ret->len < FILE_MAX_BYTES &&
	       (n = read(fd, ret->at + ret->len, FILE_MAX_BYTES - ret->len)) > 0)
		ret->len += (size_t)n;
	return 0;
}

static int read_ranges(const char *path, const char *name, uint32_t own, struct jail_ids *ids,
		       struct subid_ranges *ret)
{
	_cleanup_(text_free) struct text t = { .at = NULL };
	int r = read_file(path, &t);

	if (r < 0)
		return give_up(ids, "%s: %s", path, strerror(-r));
	subid_parse(t.at, t.len, name, geteuid(), own, ret);
	if (ret->n == 0)
		return give_up(ids, "%s has no range for this user", path);
	if (subid_count_blocks(ret, JAIL_N_IDS) == 0)
		return give_up(ids, "the range in %s is too small: %u ids from a multiple of %u on",
			       path, JAIL_N_IDS, SUBID_BLOCK);
	return 0;
}

/* Without a name in the file, of a network's users say, the lines of its number are what is left. */
static const char *find_name(char *buf, size_t cap)
{
	_cleanup_(text_free) struct text t = { .at = NULL };

	if (read_file("/etc/passwd", &t) < 0 ||
	    subid_user_name(t.at, t.len, geteuid(), buf, cap) < 0)
		return NULL;
	return buf;
}

struct host_ids {
	struct subid_ranges uids, gids;
};

static int read_host(struct jail_ids *ids, struct host_ids *ret)
{
	char buf[256];
	const char *name = find_name(buf, sizeof(buf));
	int r = read_ranges("/etc/subuid", name, geteuid(), ids, &ret->uids);

	return r < 0 ? r : read_ranges("/etc/subgid", name, getegid(), ids, &ret->gids);
}

/* ---- one block of them ---- */

static int claim(uint32_t first)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int len = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "bulkhead/ids/%u", first);
	socklen_t sa_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&sa, sa_len) < 0)
		return -errno;
	return take_fd(&fd);
}

/* ESRCH: no process has it. Priorities may be -1. */
static bool is_used(uint32_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		errno = 0;
		if (getpriority(PRIO_USER, first + i) != -1 || errno != ESRCH)
			return true;
	}
	return false;
}

static void close_claims(struct jail_ids *ids)
{
	fds_close(ids->claims, JAIL_BLOCKS_MAX);
}

static bool claim_blocks(struct jail_ids *ids, uint32_t first)
{
	const uint32_t n = (ids->n + 1) / SUBID_BLOCK;
	bool claimed = true;

	ids->base = first;
	for (uint32_t i = 0; i < n && claimed; i++) {
		ids->claims[i] = claim(first + i * SUBID_BLOCK);
		claimed = ids->claims[i] >= 0;
	}
	if (claimed && !is_used(first, ids->n))
		return true;
	close_claims(ids);
	return false;
}

/* Whether the blocks from k on follow one another, among the uids and among the gids. */
static bool in_a_row(const struct host_ids *host, uint32_t k, uint32_t n)
{
	const uint32_t uid = subid_block(&host->uids, JAIL_N_IDS, k);
	const uint32_t gid = subid_block(&host->gids, JAIL_N_IDS, k);

	for (uint32_t i = 1; i < n; i++)
		if (subid_block(&host->uids, JAIL_N_IDS, k + i) != uid + i * SUBID_BLOCK ||
		    subid_block(&host->gids, JAIL_N_IDS, k + i) != gid + i * SUBID_BLOCK)
			return false;
	return true;
}

/* How many blocks there are of which each can be the first. */
static uint32_t count_firsts(const struct jail_ids *ids, const struct host_ids *host)
{
	uint32_t uids = subid_count_blocks(&host->uids, JAIL_N_IDS);
	uint32_t gids = subid_count_blocks(&host->gids, JAIL_N_IDS);
	uint32_t n = uids < gids ? uids : gids, more = (ids->n + 1) / SUBID_BLOCK - 1;

	return n > more ? n - more : 0;
}

/* Begins at a place of its own, so that VMs seldom meet; the claim is what keeps them apart. */
static bool claim_any(struct jail_ids *ids, const struct host_ids *host, uint32_t *ret_gid)
{
	uint32_t n = count_firsts(ids, host);

	for (uint32_t i = 0; i < n && i < ATTEMPTS; i++) {
		uint32_t k = (uint32_t)(((uint64_t)getpid() + i) % n);

		if (!in_a_row(host, k, (ids->n + 1) / SUBID_BLOCK) ||
		    !claim_blocks(ids, subid_block(&host->uids, JAIL_N_IDS, k)))
			continue;
		*ret_gid = subid_block(&host->gids, JAIL_N_IDS, k);
		return true;
	}
	return false;
}

/* A VM that has just ended may need a moment to be gone. */
static int claim_in_time(struct jail_ids *ids, const struct host_ids *host, uint32_t *ret_gid)
{
	const struct timespec pause = { .tv_nsec = WAIT_PAUSE_MS * 1000000L };

	for (int waited_ms = 0; waited_ms < WAIT_MS; waited_ms += WAIT_PAUSE_MS) {
		if (claim_any(ids, host, ret_gid))
			return 0;
		nanosleep(&pause, NULL);
	}
	return give_up(ids,
		       ids->n == JAIL_N_IDS ?
			       "all of this user's subordinate ids are in use" :
			       "this VM's processes need %u subordinate ids in a row, "
			       "which are not free",
		       ids->n);
}

/* ---- the whole ---- */

uid_t jail_ids_of_root(pid_t pid)
{
	return JAIL_IDS_FIRST + (uid_t)pid * SUBID_BLOCK;
}

static int take_as_root(struct jail_ids *ids)
{
	ids->base = ids->n == JAIL_N_IDS ? jail_ids_of_root(getpid()) :
					   JAIL_MANY_FIRST + (uid_t)getpid() * (JAIL_IDS_MAX + 1);
	ids->userns = userns_make_by_root(ids);
	return ids->userns < 0 ? ids->userns : 0;
}

static int take_subordinate(struct jail_ids *ids)
{
	struct host_ids host;
	uint32_t first_gid = 0;
	int r = read_host(ids, &host);

	if (r == 0)
		r = claim_in_time(ids, &host, &first_gid);
	if (r < 0)
		return r;
	ids->userns = userns_make_by_helpers(ids, first_gid, ids->why, sizeof(ids->why));
	return ids->userns < 0 ? ids->userns : 0;
}

static void use_one(struct jail_ids *ids)
{
	close_claims(ids);
	ids->base = ids->owner = JAIL_ID_OWNER;
	ids->n = 1;
}

int jail_ids_take(unsigned int needed, struct jail_ids *ret, const char **ret_what)
{
	int r;

	*ret = JAIL_IDS_NONE;
	ret->owner = JAIL_ID_OWNER;
	ret->n = needed <= JAIL_N_IDS ? JAIL_N_IDS : JAIL_IDS_MAX;
	if (needed > JAIL_IDS_MAX) {
		if (ret_what)
			*ret_what = "more ids than a VM has";
		return -E2BIG;
	}
	if (geteuid() == 0) {
		r = take_as_root(ret);
		if (r < 0 && ret_what)
			*ret_what = "a user namespace";
		return r;
	}
	if (take_subordinate(ret) < 0)
		use_one(ret);
	return 0;
}

void jail_ids_close(struct jail_ids *ids)
{
	closep(&ids->userns);
	close_claims(ids);
}
