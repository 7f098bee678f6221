/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user's subordinate ids: the texts of /etc/passwd (passwd(5)), /etc/subuid and /etc/subgid
 * (subuid(5)), decoded, and the blocks that VMs take of them. Pure: no I/O. The files are the
 * administrator's, who may have made mistakes: a line that is not as it should be is passed over.
 */
#ifndef BULKHEAD_SANDBOX_SUBID_H
#define BULKHEAD_SANDBOX_SUBID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SUBID_MAX_RANGES 16
#define SUBID_LEAST 1000U /* below are the host's own */
#define SUBID_BLOCK 16U

struct subid_range {
	uint32_t first;
	uint32_t count;
};

struct subid_ranges {
	struct subid_range range[SUBID_MAX_RANGES];
	size_t n;
};

/* The name of a user, ended by a NUL. 0; -ENOENT, also when it does not fit into cap bytes. Texts
 * here need no NUL at their end. */
[[nodiscard]] int subid_user_name(const char *text, size_t len, uid_t uid, char *ret, size_t cap);

/*
 * What the lines `NAME:FIRST:COUNT` give a user, whom they may call by name (NULL: it has none) or
 * number; the first SUBID_MAX_RANGES of them. Ranges with an id below SUBID_LEAST, with the user's own
 * (uid, or the group's), with the one that is none (UINT32_MAX) or with one of an earlier range are
 * passed over.
 */
void subid_parse(const char *text, size_t len, const char *name, uid_t uid, uint32_t own,
		 struct subid_ranges *ret);

/*
 * Blocks of `used` ids, at most SUBID_BLOCK, that begin at multiples of SUBID_BLOCK: so two blocks are
 * the same or have no id in common, whatever files they come from; those of one file are apart. How
 * many there are, counted over all ranges.
 */
uint32_t subid_count_blocks(const struct subid_ranges *r, uint32_t used);
/* The first id of block i, which is below the count. */
uint32_t subid_block(const struct subid_ranges *r, uint32_t used, uint32_t i);

#endif
