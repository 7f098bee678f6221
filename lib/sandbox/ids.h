/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ids that a VM's processes run under, which no other process has, in a user namespace of their
 * own: JAIL_N_IDS of them, or for a VM of more processes as many as JAIL_BLOCKS_MAX blocks have.
 *
 * As root they are computed from the caller's process id, so that no state is kept and no two VMs
 * have the same. As an ordinary user they are a block of the user's subordinate ids (subid.h), mapped
 * by newuidmap(1) and newgidmap(1), the host's set-uid programs:
 *
 *  - which are run here, by their absolute paths and with an empty environment;
 *  - a block is claimed by an abstract socket that bears its first id's number, which one process of
 *    a network namespace can have at a time, and lasts as long as it does; blocks of one VM follow one
 *    another;
 *  - a block is passed over when any process that the kernel shows here (those of the caller's
 *    process namespace and of those within) has an id of it: one of a container's, say, or what
 *    is left of another VM.
 *
 * Where that cannot be had, there is one id, the user's own, for all.
 */
#ifndef BULKHEAD_SANDBOX_IDS_H
#define BULKHEAD_SANDBOX_IDS_H

#include <stdint.h>
#include <sys/types.h>

#define JAIL_IDS_FIRST 0x62000000U  /* of those that are computed, for one block */
#define JAIL_MANY_FIRST 0x24000000U /* for JAIL_BLOCKS_MAX blocks */
#define JAIL_N_IDS 15U /* of one block: the supervisor's own id and those of 14 processes */
#define JAIL_BLOCKS_MAX 9U
#define JAIL_IDS_MAX (JAIL_BLOCKS_MAX * (JAIL_N_IDS + 1) - 1)
/*
 * How the user who started a VM is seen inside, always: by an id that no block has (they begin at
 * multiples of 16) and that is above 65535. The id that stands for everybody who is not mapped
 * (/proc/sys/kernel/overflowuid) cannot be, so that no other user is ever taken for the owner: not
 * even where the owner is the user nobody, whose own number is just that id.
 */
#define JAIL_ID_OWNER 0x6200000fU

struct jail_ids {
	uid_t base; /* first id, as seen from inside; outside too, as a user id, where n is not 1 */
	uint32_t n; /* 1, JAIL_N_IDS or JAIL_IDS_MAX */
	uid_t owner; /* JAIL_ID_OWNER: as seen from inside, the user who started this process */
	int userns;  /* the namespace that has them, or -1: there is one id */
	int claims[JAIL_BLOCKS_MAX]; /* keep them from other VMs as long as they are open; or -1 */
	char why[120];		     /* why there is one id, or "" */
};

#define JAIL_IDS_NONE \
	((struct jail_ids){ .userns = -1, .claims = { -1, -1, -1, -1, -1, -1, -1, -1, -1 } })

/*
 * needed: ids, of the supervisor and the processes, at most JAIL_IDS_MAX. To be called with one thread, while paths can be reached, before any hostile byte. With root a
 * failure is a negative errno with *ret_what (may be NULL) naming the step; an ordinary user gets a
 * single id then, and 0.
 */
[[nodiscard]] int jail_ids_take(unsigned int needed, struct jail_ids *ret, const char **ret_what);
void jail_ids_close(struct jail_ids *ids);
/* The first of the ids that a process of root's has to itself and its children: one block. */
uid_t jail_ids_of_root(pid_t pid);

#endif
