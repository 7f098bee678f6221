/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server has acknowledged and may still lose: the changes of a disk since its last flush, in their order, with
 * their data. Bounded: who wants to add to it asks for room first. One per process. Pure.
 */
#ifndef BULKHEAD_STORAGEKIT_JOURNAL_H
#define BULKHEAD_STORAGEKIT_JOURNAL_H

#include "lib/image/image.h"

#define JOURNAL_BYTES (16U << 20) /* of data: what a storage process takes for it at most */
#define JOURNAL_RECORDS 8192U

struct journal_record {
	enum image_op op;
	bool may_unmap, sync;
	bool done; /* the owner's */
	uint64_t offset, len;
	uint64_t at; /* of its data */
};

struct journal {
	uint64_t first, next;		/* records: their numbers only grow */
	uint64_t data_first, data_next; /* bytes of all that there ever were */
	uint64_t n_promised, promised;	/* records and bytes that there is to be room for */
};

void journal_open(struct journal *j);
[[nodiscard]] static inline bool journal_is_empty(const struct journal *j)
{
	return j->first == j->next;
}
/* Whether a flush is due, so that nobody has to wait for one. */
[[nodiscard]] bool journal_is_half_full(const struct journal *j);
/* Room for a WRITE, ZERO or DISCARD of at most JOURNAL_BYTES, which is then added or given up. Whether there is. */
[[nodiscard]] bool journal_promise(struct journal *j, const struct image_io *io);
void journal_give_up(struct journal *j, const struct image_io *io);
void journal_add(struct journal *j, const struct image_io *io);
/* What comes before that record has been flushed. */
void journal_drop(struct journal *j, uint64_t before);
/* From first on, below next. */
[[nodiscard]] struct journal_record *journal_at(uint64_t number);
/* The request of that record; iov is filled in. */
[[nodiscard]] struct image_io journal_request(uint64_t number, struct iovec iov[2]);

#endif
